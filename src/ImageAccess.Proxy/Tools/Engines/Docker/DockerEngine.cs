namespace ImageAccess.Proxy.Tools.Engines.Docker;

/// <summary>dockerd, with the builder that is in it, and the docker command line.</summary>
internal sealed class DockerEngine : IEngine
{
    public static readonly EngineFile Daemon = new("/etc/docker/daemon.json", WaysIn.Mirror | WaysIn.ForwardProxy);
    public static readonly EngineFile RootlessDaemon = new("~/.config/docker/daemon.json", WaysIn.Mirror | WaysIn.ForwardProxy);
    public static readonly SystemdUnit Unit = new("docker");

    private static readonly string Merge = $"Where there is a {Daemon.Path} already, merge these keys into it by hand; undo it by taking them out again.";

    public string Name => "docker";

    public IReadOnlyList<EngineFile> Files => [Daemon, RootlessDaemon, Unit.DropIns];

    /// <summary>What a docker daemon in a container is started with.</summary>
    public static string MirrorArguments(MirrorWay way) =>
        $"--registry-mirror={way.Address}" + (way.IsPlain ? $" --insecure-registry={way.Address}" : "");

    public static string AuthorityFolder(MirrorWay way) => $"/etc/docker/certs.d/{way.Host}";

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            new ClientFile(Daemon.Ours, way.IsPlain
                ? $$"""
                    {
                      "registry-mirrors": ["{{way.Address}}"],
                      "insecure-registries": ["{{way.Address}}"]
                    }

                    """
                : $$"""
                    {
                      "registry-mirrors": ["{{way.Address}}"]
                    }

                    """),
            .. way.Authority is { } pem ? [new ClientFile($"{AuthorityFolder(way)}/ca.crt", pem)] : Array.Empty<ClientFile>(),
            .. MachineParts.AuthorityOf(way),
        ],
        Commands = [.. MachineParts.TrustAuthorityOf(way), Unit.Restart],
        Notes =
        [
            Merge,
            .. way.Authority is null
                ? Array.Empty<string>()
                : ["The system's trust store is needed too, on dockerd's machine and on that of the docker command line: the containerd store and builds fetch the mirror's tokens with it alone, and pull from Docker Hub when they cannot."],
            "registry-mirrors steers and does not enforce: when the mirror does not answer, dockerd pulls from Docker Hub. Close direct egress as well: deploy/egress-gateway.",
            "Only pulls and the FROM of builds use a mirror, and not those of names that begin with registry-1.docker.io/ or registry.hub.docker.com/. login, push, search, manifest inspect and buildx imagetools go to Docker Hub.",
            .. way.IsPlain ? ["Over plain http dockerd sends the Docker Hub credentials of docker login in the clear."] : Array.Empty<string>(),
            .. way is { IsPlain: true, Url.IsLoopback: false }
                ? ["The builder of Docker before 28, BuildKit, speaks TLS to a mirror beyond loopback, fails, and builds from Docker Hub: http:// in insecure-registries prevents it, and dockerd logs a warning about that. Better is https (Listen:Mirror)."]
                : Array.Empty<string>(),
        ],
    };

    public ClientSetup Gateway(GatewayWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), MachineParts.Hosts(way)],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts, Unit.Restart],
        Notes =
        [
            "The system's trust store is needed on dockerd's machine and on that of the docker command line, which signs in for builds: /etc/docker/certs.d does not work for Docker Hub's names.",
            "Take registry-mirrors out of daemon.json.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), Unit.DropIn(way), MachineParts.Profile(way)],
        Commands = [.. MachineParts.TrustAuthority, Unit.Reload],
        Alternatives =
        [
            new ClientFile(Daemon.Ours, $$"""
                {
                  "proxies": {
                    "https-proxy": "{{way.Address}}",
                    "no-proxy": "{{MachineParts.NoProxy}}"
                  }
                }

                """)
            {
                When = "Docker 23 and later, in the place of the file for systemd; Docker 20.10 does not start with it",
            },
        ],
        Notes =
        [
            Merge,
            "The profile is for the docker command line, which fetches the tokens of builds itself.",
            $"Containers and RUN steps have a proxy of their own: \"proxies\": {{ \"default\": {{ \"httpsProxy\": \"{way.Proxy.GetLeftPart(UriPartial.Authority)}\" }} }} in ~/.docker/config.json. Pulls do not need it.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => DockerReader.Read(files);
}
