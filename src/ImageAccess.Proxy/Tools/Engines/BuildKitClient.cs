using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>BuildKit: buildkitd by itself, the builder in dockerd, and buildx's own in a container.</summary>
internal static class BuildKitClient
{
    private const string Configuration = "/etc/buildkit/buildkitd.toml";
    private const string AuthorityPath = "/etc/buildkit/imageaccess.crt";
    private const string SourcePolicyPath = "/etc/buildkit/imageaccess-policy.json";

    private const string Container =
        $"buildx's docker-container driver takes nothing over from daemon.json: docker buildx create --use --buildkitd-config {Configuration}";

    public static ClientSetup Build(WayIn way) => way switch
    {
        MirrorWay mirror => Mirror(mirror),
        GatewayWay gateway => Gateway(gateway),
        ForwardProxyWay proxy => ForwardProxy(proxy),
        _ => throw new ArgumentOutOfRangeException(nameof(way)),
    };

    /// <summary>Rewrites every image of Docker Hub to the proxy's own name, before BuildKit asks for it.</summary>
    public static ClientFile SourcePolicy(string path, MirrorWay way) => new(path, $$"""
        {
          "rules": [
        {{string.Join(",\n", DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => Rule(name, way)))}}
          ]
        }

        """);

    private static ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            new ClientFile(Configuration, $"""
                # {Configuration}
                [registry."docker.io"]
                  mirrors = ["{way.Host}"]
                {(way.IsPlain || way.Authority is not null ? $"\n[registry.\"{way.Host}\"]\n{(way.IsPlain ? "  http = true" : $"  ca = [\"{AuthorityPath}\"]")}\n" : "")}
                """),
            .. way.Authority is { } pem ? [new ClientFile(AuthorityPath, pem)] : Array.Empty<ClientFile>(),
            SourcePolicy(SourcePolicyPath, way),
            new ClientFile("/etc/profile.d/imageaccess-buildkit.sh", $"""
                # /etc/profile.d/imageaccess-buildkit.sh
                # A mirror alone falls back to Docker Hub; with this policy Docker Hub is not asked.
                export EXPERIMENTAL_BUILDKIT_SOURCE_POLICY={SourcePolicyPath}

                """),
        ],
        Commands = [MachineParts.Restart("buildkit")],
        Notes =
        [
            "mirrors steers and does not enforce: when the mirror does not answer, or denies and does not hold, BuildKit pulls from Docker Hub. Nothing in buildkitd.toml prevents it.",
            "With the source policy (buildx 0.11 and BuildKit 0.12 or later; Docker 25 or later) nothing falls back. It is the build's, so every shell and job that builds needs the variable; buildctl takes --source-policy-file. Whoever unsets it is held by closed egress alone.",
            $"With it a denial shows its reason, and builds are recognized after docker login {way.Host}.",
            $"The builder in dockerd reads daemon.json instead of buildkitd.toml: imageaccess clients docker. {Container}",
            $"Where there is a {Configuration} already, merge the tables into it by hand.",
        ],
    };

    private static ClientSetup Gateway(GatewayWay way) => new()
    {
        Files =
        [
            MachineParts.Authority(way.Authority),
            MachineParts.Hosts(way),
            TrustedByContainers(),
        ],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.AddHosts, MachineParts.Restart("buildkit")],
        Notes =
        [
            "The client (docker, buildctl) fetches the tokens: its machine needs the trust store and the names as buildkitd's does.",
            $"{Container} --driver-opt network=host",
            $"Where there is a {Configuration} already, merge the table into it by hand.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    private static ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files =
        [
            MachineParts.Authority(way.Authority),
            MachineParts.DropIn("buildkit", way),
            MachineParts.Profile(way),
            TrustedByContainers(),
        ],
        Commands = [.. MachineParts.TrustAuthority, MachineParts.Reload("buildkit")],
        Notes =
        [
            "The client (docker, buildctl) fetches the tokens: the profile is for it, and its machine needs the trust store as buildkitd's does.",
            $"{Container} --driver-opt env.HTTPS_PROXY={way.Address} --driver-opt '\"env.NO_PROXY={MachineParts.NoProxy}\"'",
            $"Where there is a {Configuration} already, merge the table into it by hand.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    /// <summary>buildx copies the file into its container, whose system trust store is the image's own.</summary>
    private static ClientFile TrustedByContainers() => new(Configuration, $"""
        # {Configuration}
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
