using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines.Containerd;

/// <summary>containerd, with ctr and nerdctl.</summary>
internal sealed class ContainerdEngine : IEngine
{
    /// <summary>Has a folder for each registry. The CRI plugin reads it only when <see cref="Settings"/> names it.</summary>
    public const string Folder = "/etc/containerd/certs.d";

    /// <summary>In the place of a registry's name: for those without a folder.</summary>
    public const string AllRegistries = "_default";

    public static readonly EngineFile Settings = new("/etc/containerd/config.toml", WaysIn.Mirror);
    public static readonly SystemdUnit Unit = new("containerd");

    private const string AuthorityPath = $"{Folder}/docker.io/ca.crt";

    public string Name => "containerd";

    public IReadOnlyList<EngineFile> Files =>
    [
        Settings,
        new(HostsFile(Folder, DockerHubHosts.Domain), WaysIn.Mirror),
        new(HostsFile(Folder, AllRegistries), WaysIn.Mirror),
    ];

    public static string HostsFile(string folder, string registry) => $"{folder}/{registry}/hosts.toml";

    /// <summary>One for each name that an image of Docker Hub may be written with.</summary>
    public static IReadOnlyList<ClientFile> MirrorFiles(MirrorWay way) =>
    [
        .. way.Authority is { } pem ? [new ClientFile(AuthorityPath, pem)] : Array.Empty<ClientFile>(),
        .. DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Hosts(name, way)),
    ];

    public static IReadOnlyList<ClientFile> FolderSettings { get; } =
    [
        new ClientFile(Settings.Ours, $"""
            version = 3

            [plugins."io.containerd.cri.v1.images".registry]
              config_path = "{Folder}"

            """)
        {
            When = "for Kubernetes, merged by hand; containerd 2",
            IsMerged = true,
        },
        new ClientFile(Settings.Ours, $"""
            version = 2

            [plugins."io.containerd.grpc.v1.cri".registry]
              config_path = "{Folder}"

            """)
        {
            When = "for Kubernetes, merged by hand; containerd 1",
            IsMerged = true,
        },
    ];

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files = MirrorFiles(way),
        Alternatives = FolderSettings,
        Notes =
        [
            "containerd reads the files at each pull, without a restart; after a change of config.toml it needs one.",
            $"ctr takes the folder by hand: ctr images pull --hosts-dir {Folder} docker.io/library/nginx:latest. nerdctl takes this one by itself.",
            "Nothing falls back to Docker Hub, also when the proxy is down.",
        ],
    };

    public ClientSetup Gateway(GatewayWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.Hosts(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts, Unit.Restart],
        Notes =
        [
            $"Take a hosts.toml for docker.io out of {Folder}: it would lead past Docker Hub's names.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), Unit.DropIn(way), MachineParts.Profile(way)],
        Commands = [.. MachineParts.TrustAuthority, Unit.Reload],
        Notes =
        [
            "The profile is for ctr and nerdctl, which pull in their own process.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => ContainerdReader.Read(files);

    private static ClientFile Hosts(string name, MirrorWay way)
    {
        var authority = way.Authority is null ? "" : $"ca = \"{AuthorityPath}\"\n";
        var path = HostsFile(Folder, name);
        return new ClientFile(path, $"""
            # {path}
            # `server` names the proxy too: without it containerd falls back to Docker Hub.
            server = "{way.Address}"
            {authority}
            [host."{way.Address}"]
              capabilities = ["pull", "resolve"]
            {(authority.Length > 0 ? "  " : "")}{authority}
            """);
    }
}
