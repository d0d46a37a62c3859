using ImageAccess.Proxy.Tools.Engines.BuildKit;
using ImageAccess.Proxy.Tools.Engines.Docker;
using ImageAccess.Proxy.Tools.Engines.Podman;

namespace ImageAccess.Proxy.Tools.Engines.ContinuousIntegration;

/// <summary>A repository whose jobs build and pull: what each job's shell reads, and how GitLab and GitHub make it do so.</summary>
internal sealed class JobsEngine : IEngine
{
    private const string Folder = "ci/imageaccess";
    private const string Environment = $"{Folder}/env.sh";

    /// <summary>Where the runner has put the repository.</summary>
    private const string Here = "here=${CI_PROJECT_DIR:-${GITHUB_WORKSPACE:-$PWD}}/" + Folder;

    /// <summary>Adds our folder: Go's programs read all of these folders.</summary>
    private const string TrustAuthority = "export SSL_CERT_DIR=\"$here/trust:/etc/ssl/certs:/etc/pki/tls/certs\"";

    public string Name => "ci";

    /// <summary>None: the files are a repository's, and a machine has no repository that could be looked for.</summary>
    public IReadOnlyList<EngineFile> Files => [];

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files =
        [
            Script($"""
                # podman, buildah; skopeo $SKOPEO_MIRROR copy and so on: nothing falls back.
                export CONTAINERS_REGISTRIES_CONF="$here/registries.conf"
                export SKOPEO_MIRROR="--registries-conf=$here/registries.conf"
                # docker build, buildx: nothing falls back.
                export EXPERIMENTAL_BUILDKIT_SOURCE_POLICY="$here/source-policy.json"
                # kaniko: /kaniko/executor $KANIKO_MIRROR --context=dir://. and so on
                export KANIKO_MIRROR="{KanikoArguments(way)}"
                {(way.Authority is null ? "" : TrustAuthority + "\n")}
                """),
            PodmanEngine.Registries($"{Folder}/registries.conf", way),
            BuildKitEngine.SourcePolicy($"{Folder}/source-policy.json", way),
            .. way.Authority is { } pem ? [Authority(pem)] : Array.Empty<ClientFile>(),
            GitLab(way, MirrorDaemon(way)),
            GitHub("CONTAINERS_REGISTRIES_CONF|SKOPEO_MIRROR|EXPERIMENTAL_BUILDKIT_SOURCE_POLICY|KANIKO_MIRROR|SSL_CERT_DIR"),
        ],
        Notes =
        [
            "docker pull in a job is the daemon's: a docker-in-docker service takes the mirror as above and falls back to Docker Hub when it is down; a runner's own daemon is set up by imageaccess clients docker.",
            "Jobs can change their environment: only closed egress of the runners enforces.",
        ],
    };

    public ClientSetup Gateway(GatewayWay way) => new()
    {
        Files =
        [
            Script($"""
                # Where the network's DNS does not lead Docker Hub's names to the gateway; needs root.
                grep -q ' # imageaccess$' /etc/hosts || cat >>/etc/hosts <<'HOSTS'
                {MachineParts.HostsLines(way)}HOSTS
                {TrustAuthority}

                """),
            Authority(way.Authority),
            GitLab(way, $"""
                cat >>/etc/hosts <<'HOSTS'
                {MachineParts.HostsLines(way)}HOSTS
                {SystemTrust}
                exec dockerd-entrypoint.sh
                """),
            GitHub("SSL_CERT_DIR"),
        ],
        Notes =
        [
            "A runner's own daemon is set up by imageaccess clients docker --mode gateway; then its jobs need nothing.",
            .. MachineParts.HostsNotes(way),
        ],
    };

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files =
        [
            Script(MachineParts.ProxyExports(way) + TrustAuthority + "\n"),
            Authority(way.Authority),
            GitLab(way, $"""
                export HTTPS_PROXY={Shell.Word(way.Address)} NO_PROXY={MachineParts.NoProxy}
                {SystemTrust}
                exec dockerd-entrypoint.sh
                """),
            GitHub("HTTPS_PROXY|https_proxy|NO_PROXY|no_proxy|SSL_CERT_DIR"),
        ],
        Notes =
        [
            "A self-hosted GitHub runner itself reads https_proxy and no_proxy from the file .env in its folder.",
            .. way.User is null ? MachineParts.ProxyNotes(way) : MachineParts.ProxyNotes(way).SkipLast(1)
                .Append($"Never commit the password: write a masked variable of the CI, as $PROXY_PASSWORD, where {ForwardProxyWay.Placeholder} stands."),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => [];

    private const string SystemTrust = """
        printf '%s' "$IMAGEACCESS_CA" >/usr/local/share/ca-certificates/imageaccess.crt
        update-ca-certificates
        """;

    private static ClientFile Script(string lines) => new(Environment, $"""
        # {Environment}: at the beginning of each job, in the repository's folder: . {Environment}
        {Here}
        {lines}
        """);

    private static ClientFile Authority(string pem) => new($"{Folder}/trust/imageaccess.crt", pem);

    private static string MirrorDaemon(MirrorWay way) =>
        (way.Authority is null ? "" : $"""
            mkdir -p {DockerEngine.AuthorityFolder(way)}
            printf '%s' "$IMAGEACCESS_CA" >{DockerEngine.AuthorityFolder(way)}/ca.crt

            """) + $"exec dockerd-entrypoint.sh {DockerEngine.MirrorArguments(way)}";

    private static string KanikoArguments(MirrorWay way) =>
        $"--registry-mirror={way.Host} --skip-default-registry-fallback"
        + (way.IsPlain ? $" --insecure-registry={way.Host}" : way.Authority is null ? "" : $" --registry-certificate={way.Host}=$here/trust/imageaccess.crt");

    private static ClientFile GitLab(WayIn way, string daemon) => new($"{Folder}/gitlab-ci.yml", $"""
        # GitLab: include: "/{Folder}/gitlab-ci.yml", and in each job: extends: .imageaccess
        .imageaccess:
          before_script:
            - . {Environment}
          services:
            - name: docker:dind
              alias: docker
              entrypoint: ["sh", "-euc"]
              command:
                - |
        {Indented(daemon, 10)}{(way.Authority is { } pem ? $"  variables:\n    IMAGEACCESS_CA: |\n{Indented(pem.TrimEnd('\n'), 6)}" : "")}
        """);

    private static ClientFile GitHub(string variables) => new($"{Folder}/github.yml", $"""
        # GitHub Actions, self-hosted runners: the first step after the checkout of each job
        - name: Image access
          run: |
            . {Environment}
            env | grep -E '^({variables})=' >>"$GITHUB_ENV"

        """);

    private static string Indented(string text, int by) =>
        string.Concat(text.Split('\n').Select(line => $"{new string(' ', by)}{line}\n"));
}
