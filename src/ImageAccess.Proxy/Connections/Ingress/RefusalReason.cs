namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>Why a connection was refused, as events and metrics name it.</summary>
internal static class RefusalReason
{
    /// <summary>A name of Docker Hub that would go around the policy.</summary>
    public const string DockerHub = "docker-hub";

    /// <summary>An address that Docker Hub's registry or token service has.</summary>
    public const string DockerHubAddress = "docker-hub-address";

    public const string HubCopy = "hub-copy";

    public const string Denied = "denied";

    public const string NotAllowed = "not-allowed";

    /// <summary>An organization of the policy limits registries, and does not allow this one.</summary>
    public const string Registry = "registry";

    /// <summary>The name leads to an address that is not public.</summary>
    public const string PrivateAddress = "private-address";

    /// <summary>An address in place of a name.</summary>
    public const string Address = "address";

    public const string Unreachable = "unreachable";

    public const string SignIn = "sign-in";

    /// <summary>Too many sign-ins of the user or the address have failed.</summary>
    public const string SignInLimit = "sign-in-limit";

    /// <summary>Too many passwords wait to be checked.</summary>
    public const string Busy = "busy";

    /// <summary>A request that is none, or one that could be read in two ways.</summary>
    public const string Malformed = "malformed";

    /// <summary>The first bytes are not TLS.</summary>
    public const string NotTls = "not-tls";

    public const string NoServerName = "no-server-name";

    public const string OtherServerName = "other-server-name";

    public const string EncryptedClientHello = "encrypted-client-hello";

    public const string Late = "late";

    /// <summary>The client has all the tunnels that it may have, or all clients together have.</summary>
    public const string TooMany = "too-many";

    /// <summary>The connection is this program's own.</summary>
    public const string Loop = "loop";

    public static IReadOnlyList<string> All { get; } =
    [
        DockerHub, DockerHubAddress, HubCopy, Denied, NotAllowed, Registry, PrivateAddress, Address, Unreachable, SignIn, SignInLimit, Busy, Malformed, NotTls,
        NoServerName, OtherServerName, EncryptedClientHello, Late, TooMany, Loop,
    ];
}
