using System.Net;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A way in to the proxy, with what a client must know to take it.</summary>
/// <param name="Authority">The certificate authority that the client must trust, in PEM; null when it needs none.</param>
internal abstract record WayIn(string? Authority)
{
    /// <summary>Where only clients on the proxy's own machine find it so: what to do for others.</summary>
    public string? OnlyHere { get; init; }

    /// <summary>What a client's machine must have for this engine to come this way.</summary>
    public abstract ClientSetup SetUp(IEngine engine);
}

/// <summary>The client names the proxy as its mirror.</summary>
/// <param name="Url">Scheme, host and port alone.</param>
/// <param name="Authority">Null when the mirror speaks http, or has a certificate that everybody trusts.</param>
internal sealed record MirrorWay(Uri Url, string? Authority) : WayIn(Authority)
{
    /// <summary><c>mirror.example.com:5000</c>.</summary>
    public string Host => Url.Authority;

    public bool IsPlain => Url.Scheme == Uri.UriSchemeHttp;

    /// <summary>Without a path: <c>http://mirror.example.com:5000</c>.</summary>
    public string Address => Url.GetLeftPart(UriPartial.Authority);

    public override ClientSetup SetUp(IEngine engine) => engine.Mirror(this);
}

/// <summary>Docker Hub's own names lead to the proxy.</summary>
/// <param name="Addresses">Of IPv4, IPv6 or both.</param>
/// <param name="Port">Where the gateway listens; clients come to 443.</param>
internal sealed record GatewayWay(IReadOnlyList<IPAddress> Addresses, int Port, string Authority) : WayIn(Authority)
{
    public new string Authority => base.Authority!;

    public override ClientSetup SetUp(IEngine engine) => engine.Gateway(this);
}

/// <summary>The client sends <c>CONNECT</c> to the proxy.</summary>
/// <param name="Proxy">Scheme, host and port alone.</param>
/// <param name="User">The user who signs in at the proxy, when it asks for one.</param>
internal sealed record ForwardProxyWay(Uri Proxy, string? User, string Authority) : WayIn(Authority)
{
    /// <summary>Stands where the password belongs. The command line takes no password: other people see it.</summary>
    public const string Placeholder = "PASSWORD";

    public new string Authority => base.Authority!;

    /// <summary>As the environment's proxy variables take it.</summary>
    public string Address => User is null
        ? Proxy.GetLeftPart(UriPartial.Authority)
        : $"{Proxy.Scheme}://{Uri.EscapeDataString(User)}:{Placeholder}@{Proxy.Authority}";

    public override ClientSetup SetUp(IEngine engine) => engine.ForwardProxy(this);
}
