using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines.BuildKit;

/// <summary>BuildKit: buildkitd by itself, the builder in dockerd, and buildx's own in a container.</summary>
internal sealed class BuildKitEngine : IEngine
{
    private const string AuthorityPath = "/etc/buildkit/imageaccess.crt";
    private const string SourcePolicyPath = "/etc/buildkit/imageaccess-policy.json";

    private static readonly EngineFile Settings = new("/etc/buildkit/buildkitd.toml", WaysIn.Mirror);
    private static readonly SystemdUnit Unit = new("buildkit");

    private static readonly string Container =
        $"buildx's docker-container driver takes nothing over from daemon.json: docker buildx create --use --buildkitd-config {Settings.Path}";

    public string Name => "buildkit";

    public IReadOnlyList<EngineFile> Files { get; } =
    [
        Settings,
        new("~/.config/buildkit/buildkitd.toml", WaysIn.Mirror),
        new("~/.config/buildkit/buildkitd.default.toml", WaysIn.Mirror),
        new("~/.docker/buildx/buildkitd.default.toml", WaysIn.Mirror),
    ];

    /// <summary>Renames every image of Docker Hub to the proxy's own name before BuildKit asks for it.</summary>
    public static ClientFile SourcePolicy(string path, MirrorWay way) => new(path, $$"""
        {
          "rules": [
        {{string.Join(",\n", DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Rule(name, way)))}}
          ]
        }

        """);

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            new ClientFile(Settings.Ours, $"""
                # {Settings.Path}
                {string.Join("\n\n", DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => $"[registry.\"{name}\"]\n  mirrors = [\"{way.Host}\"]"))}
                {(way.IsPlain || way.Authority is not null ? $"\n[registry.\"{way.Host}\"]\n{(way.IsPlain ? "  http = true" : $"  ca = [\"{AuthorityPath}\"]")}\n" : "")}
                """),
            .. way.Authority is { } pem ? [new ClientFile(AuthorityPath, pem)] : Array.Empty<ClientFile>(),
            .. MachineParts.AuthorityOf(way),
            SourcePolicy(SourcePolicyPath, way),
            new ClientFile("/etc/profile.d/imageaccess-buildkit.sh", $"""
                # /etc/profile.d/imageaccess-buildkit.sh
                # A mirror alone falls back to Docker Hub; with this policy Docker Hub is not asked.
                export EXPERIMENTAL_BUILDKIT_SOURCE_POLICY={SourcePolicyPath}

                """),
        ],
        Commands = [.. MachineParts.TrustAuthorityOf(way), Unit.Restart],
        Notes =
        [
            .. way.Authority is null ? Array.Empty<string>() : ["The client (docker, buildctl) fetches the tokens: its machine needs the trust store too. Without it BuildKit falls back to Docker Hub."],
            "mirrors steers and does not enforce: when the mirror does not answer, or denies and does not hold, BuildKit pulls from Docker Hub. Nothing in buildkitd.toml prevents it.",
            "With the source policy (buildx 0.11 and BuildKit 0.12 or later; Docker 25 or later) nothing falls back. It is the build's, so every shell and job that builds needs the variable; buildctl takes --source-policy-file. Whoever unsets it is held by closed egress alone.",
            $"With it a denial shows its reason, and builds are recognized after docker login {way.Host}.",
            $"The builder in dockerd reads daemon.json instead of buildkitd.toml: imageaccess clients docker. {Container}",
            $"Where there is a {Settings.Path} already, merge the tables into it by hand.",
        ],
    };

    public ClientSetup Gateway(GatewayWay way) => new()
    {
        Files =
        [
            MachineParts.Authority(way.Authority),
            MachineParts.Hosts(way),
            TrustedByContainers(),
        ],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts, Unit.Restart],
        Notes =
        [
            "The client (docker, buildctl) fetches the tokens: its machine needs the trust store and the names as buildkitd's does.",
            $"{Container} --driver-opt network=host",
            $"Where there is a {Settings.Path} already, merge the table into it by hand.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files =
        [
            MachineParts.Authority(way.Authority),
            Unit.DropIn(way),
            MachineParts.Profile(way),
            TrustedByContainers(),
        ],
        Commands = [.. MachineParts.TrustAuthority, Unit.Reload],
        Notes =
        [
            "The client (docker, buildctl) fetches the tokens: the profile is for it, and its machine needs the trust store as buildkitd's does.",
            $"{Container} --driver-opt env.HTTPS_PROXY={way.Address} --driver-opt '\"env.NO_PROXY={MachineParts.NoProxy}\"'",
            $"Where there is a {Settings.Path} already, merge the table into it by hand.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => BuildKitReader.Read(files, Files);

    /// <summary>buildx copies the file into its container, whose system trust store is the image's own.</summary>
    private static ClientFile TrustedByContainers() => new(Settings.Ours, $"""
        # {Settings.Path}
        [registry."docker.io"]
          ca = ["{MachineParts.AuthorityPath}"]

        """);

    private static string Rule(string name, MirrorWay way) => $$"""
            {
              "action": "CONVERT",
              "selector": { "identifier": "docker-image://{{name}}/*", "matchType": "WILDCARD" },
              "updates": { "identifier": "docker-image://{{way.Host}}/${1}" }
            }
        """;
}
