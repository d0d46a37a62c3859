using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines.Podman;

/// <summary>podman, buildah, skopeo and CRI-O.</summary>
internal sealed class PodmanEngine : IEngine
{
    private static readonly EngineFile Settings = new("/etc/containers/containers.conf.d/*.conf", WaysIn.ForwardProxy);

    public static RegistriesFiles Machine { get; } = new("/etc/containers");

    public static RegistriesFiles Home { get; } = new("~/.config/containers");

    public string Name => "podman";

    public string Description => "podman (buildah, skopeo, CRI-O)";

    public IReadOnlyList<EngineFile> Files => [Machine.Main, Machine.DropIns, Home.Main, Home.DropIns];

    public static ClientFile Registries(string path, MirrorWay way) => new(path, $"""
        # {path}
        # `location` replaces Docker Hub: nothing falls back, also when the proxy is down.
        unqualified-search-registries = ["docker.io"]
        {string.Concat(DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Registry(name, way)))}
        """);

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            Registries(Machine.DropIns.Ours, way),
            .. way.Authority is { } pem ? [new ClientFile($"/etc/containers/certs.d/{way.Host}/ca.crt", pem)] : Array.Empty<ClientFile>(),
        ],
        Notes =
        [
            "It holds for podman, buildah, skopeo and CRI-O, from the next command on (CRI-O: systemctl reload crio).",
            $"Sign in at the proxy's own name to be recognized: podman login {way.Host}. Credentials of a pull itself (--creds; in CRI-O an image pull secret) are not sent there.",
        ],
    };

    public ClientSetup Gateway(GatewayWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.Hosts(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts],
        Notes =
        [
            "A [[registry]] for docker.io in registries.conf would lead past Docker Hub's names: take it out.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), Proxy(way), MachineParts.Profile(way)],
        Commands = MachineParts.TrustAuthority,
        Notes =
        [
            "containers.conf is for podman, also as a service; the profile is for buildah and skopeo as well. podman hands the variables on to the containers it runs: http_proxy = false under [containers] stops that.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => PodmanReader.Read(files);

    private static ClientFile Proxy(ForwardProxyWay way) => new(Settings.Ours, $"""
        # {Settings.Ours}
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

/// <summary><c>registries.conf</c> and its drop-ins below a folder.</summary>
internal sealed class RegistriesFiles(string folder)
{
    public EngineFile Main { get; } = new($"{folder}/registries.conf", WaysIn.Mirror);

    public EngineFile DropIns { get; } = new($"{folder}/registries.conf.d/*.conf", WaysIn.Mirror);
}
