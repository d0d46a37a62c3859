using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>containerd, with ctr and nerdctl.</summary>
internal static class ContainerdClient
{
    public const string Folder = "/etc/containerd/certs.d";

    private const string AuthorityPath = $"{Folder}/docker.io/ca.crt";

    public static ClientSetup Build(WayIn way) => way switch
    {
        MirrorWay mirror => Mirror(mirror),
        GatewayWay gateway => Gateway(gateway),
        ForwardProxyWay proxy => ForwardProxy(proxy),
        _ => throw new ArgumentOutOfRangeException(nameof(way)),
    };

    /// <summary>One for each name that an image of Docker Hub may be written with.</summary>
    public static IReadOnlyList<ClientFile> MirrorFiles(MirrorWay way) =>
    [
        .. way.Authority is { } pem ? [new ClientFile(AuthorityPath, pem)] : Array.Empty<ClientFile>(),
        .. DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Hosts(name, way)),
    ];

    /// <summary>The CRI plugin reads no folder unless it is told.</summary>
    public static IReadOnlyList<ClientFile> FolderSettings { get; } =
    [
        new ClientFile("/etc/containerd/config.toml", $"""
            version = 3

            [plugins."io.containerd.cri.v1.images".registry]
              config_path = "{Folder}"

            """)
        {
            When = "for Kubernetes, merged by hand; containerd 2",
            IsMerged = true,
        },
        new ClientFile("/etc/containerd/config.toml", $"""
            version = 2

            [plugins."io.containerd.grpc.v1.cri".registry]
              config_path = "{Folder}"

            """)
        {
            When = "for Kubernetes, merged by hand; containerd 1",
            IsMerged = true,
        },
    ];

    public static ClientSetup Gateway(GatewayWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.Hosts(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts, MachineParts.Restart("containerd")],
        Notes =
        [
            $"Take a hosts.toml for docker.io out of {Folder}: it would lead past Docker Hub's names.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    private static ClientSetup Mirror(MirrorWay way) => new()
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

    private static ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.DropIn("containerd", way), MachineParts.Profile(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.Reload("containerd")],
        Notes =
        [
            "The profile is for ctr and nerdctl, which pull in their own process.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    private static ClientFile Hosts(string name, MirrorWay way)
    {
        var authority = way.Authority is null ? "" : $"ca = \"{AuthorityPath}\"\n";
        var path = $"{Folder}/{name}/hosts.toml";
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
