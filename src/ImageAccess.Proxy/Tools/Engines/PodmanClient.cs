using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>podman, buildah, skopeo and CRI-O.</summary>
internal static class PodmanClient
{
    public static ClientSetup Build(WayIn way) => way switch
    {
        MirrorWay mirror => Mirror(mirror),
        GatewayWay gateway => Gateway(gateway),
        ForwardProxyWay proxy => ForwardProxy(proxy),
        _ => throw new ArgumentOutOfRangeException(nameof(way)),
    };

    public static ClientFile Registries(string path, MirrorWay way) => new(path, $"""
        # {path}
        # `location` replaces Docker Hub: nothing falls back, also when the proxy is down.
        unqualified-search-registries = ["docker.io"]
        {string.Concat(DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Registry(name, way)))}
        """);

    private static ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            Registries("/etc/containers/registries.conf.d/imageaccess.conf", way),
            .. way.Authority is { } pem ? [new ClientFile($"/etc/containers/certs.d/{way.Host}/ca.crt", pem)] : Array.Empty<ClientFile>(),
        ],
        Notes =
        [
            "It holds for podman, buildah, skopeo and CRI-O, from the next command on (CRI-O: systemctl reload crio).",
            $"Sign in at the proxy's own name to be recognized: podman login {way.Host}",
        ],
    };

    private static ClientSetup Gateway(GatewayWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.Hosts(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts],
        Notes =
        [
            "A [[registry]] for docker.io in registries.conf would lead past Docker Hub's names: take it out.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    private static ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), Engine(way), MachineParts.Profile(way)],
        Commands = MachineParts.TrustAuthority,
        Notes =
        [
            "containers.conf is for podman, also as a service; the profile is for buildah and skopeo as well. podman hands the variables on to the containers it runs: http_proxy = false under [containers] stops that.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    private static ClientFile Engine(ForwardProxyWay way) => new("/etc/containers/containers.conf.d/imageaccess.conf", $"""
        # /etc/containers/containers.conf.d/imageaccess.conf
        [engine]
        env = ["HTTPS_PROXY={way.Address}", "NO_PROXY={MachineParts.NoProxy}"]

        """);

    private static string Registry(string name, MirrorWay way) => $"""

        [[registry]]
        prefix = "{name}"
        location = "{way.Host}"
        {(way.IsPlain ? "insecure = true\n" : "")}
        """;
}
