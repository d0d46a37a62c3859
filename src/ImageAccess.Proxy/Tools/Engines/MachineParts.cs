using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>What serves all clients of a machine: its trust store, the addresses of Docker Hub's names, the proxy of its programs.</summary>
internal static class MachineParts
{
    public const string AuthorityPath = "/usr/local/share/ca-certificates/imageaccess.crt";

    /// <summary>Hosts that programs reach without the proxy.</summary>
    public const string NoProxy = "localhost,127.0.0.0/8,::1";

    private const string RedHatAuthorityPath = "/etc/pki/ca-trust/source/anchors/imageaccess.crt";
    private const string HostsPath = "/etc/imageaccess/hosts";

    /// <summary>Ends each of our lines in <c>/etc/hosts</c> and tells them from the others.</summary>
    private const string HostsMark = "# imageaccess";

    /// <summary>The system's trust store. Nothing else makes an engine trust Docker Hub's token service; <c>certs.d</c> does not.</summary>
    public static ClientFile Authority(string pem) => new(AuthorityPath, pem);

    /// <summary>That of a mirror, where it has its own: in the system's trust store too, because a token is often fetched with that alone.</summary>
    public static IEnumerable<ClientFile> AuthorityOf(MirrorWay way) => way.Authority is { } pem ? [Authority(pem)] : [];

    public static IEnumerable<ClientCommand> TrustAuthorityOf(MirrorWay way) => way.Authority is null ? [] : TrustAuthority;

    public static IReadOnlyList<ClientCommand> TrustAuthority { get; } =
    [
        new("update-ca-certificates", "update-ca-certificates --fresh") { When = "Debian, Ubuntu, Alpine", Needs = "update-ca-certificates" },
        new($"cp {AuthorityPath} {RedHatAuthorityPath} && update-ca-trust", $"rm -f {RedHatAuthorityPath} && update-ca-trust")
        {
            When = "RHEL, Fedora",
            Needs = "update-ca-trust",
        },
    ];

    /// <summary>For <c>/etc/hosts</c>. The system does not ask DNS for a name that it finds there, for neither version of IP.</summary>
    public static ClientFile Hosts(GatewayWay way) => new(HostsPath, HostsLines(way));

    public static string HostsLines(GatewayWay way) =>
        string.Concat(way.Addresses.Select(address => $"{address} {string.Join(' ', DockerHubHosts.Intercepted)} {HostsMark}\n"));

    public static ClientCommand AddHosts { get; } = new($"grep -v '^#' {HostsPath} >>/etc/hosts", $"sed -i '/ {HostsMark}$/d' /etc/hosts");

    public static IEnumerable<string> HostsNotes(GatewayWay way)
    {
        yield return "The same names as A and AAAA records of the network's DNS serve all its machines at once: deploy/dns.";
        if (way.Port != 443)
            yield return $"Clients come to port 443, the gateway listens on {way.Port}: deploy/egress-gateway redirects the one to the other.";
    }

    /// <summary>The proxy of programs that people and scripts start.</summary>
    public static ClientFile Profile(ForwardProxyWay way) => new("/etc/profile.d/imageaccess.sh", $"""
        # /etc/profile.d/imageaccess.sh
        {Remark(way)}{ProxyExports(way)}
        """);

    public static string ProxyExports(ForwardProxyWay way) => $"""
        export HTTPS_PROXY={Shell.Word(way.Address)} https_proxy={Shell.Word(way.Address)}
        export NO_PROXY={NoProxy} no_proxy={NoProxy}

        """;

    public static IEnumerable<string> ProxyNotes(ForwardProxyWay way)
    {
        yield return "Add to NO_PROXY the registries that are reached without the proxy. HTTP_PROXY stays unset: the proxy refuses plain http.";
        if (way.User is not null)
            yield return $"Write the password where {ForwardProxyWay.Placeholder} stands, percent-encoded, and let root alone read the file: chmod 600.";
    }

    /// <summary>A comment for a file in which a password belongs.</summary>
    public static string Remark(ForwardProxyWay way) => way.User is null ? "" : $"# {ForwardProxyWay.Placeholder} is to be replaced.\n";
}
