using ImageAccess.EndToEnd.Tests.Clients;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>The clients that Debian's stable and testing suites have, and their commands. A new one is a row here, and its package in <c>tests/install</c>.</summary>
internal static class KnownClients
{
    private const Ways DockerWays = Ways.Mirror | Ways.Intercepted;

    private static readonly string Token = Canaries.TokenOf("bob");

    private static readonly Row[] DockerPulls =
    [
        new("docker pull IMAGE"),
        new("docker pull IMAGE@DIGEST"),
        new("docker pull -a IMAGE"),
        new("docker run IMAGE"),
        new("docker pull index.docker.io/IMAGE"),
        new("docker pull registry-1.docker.io/IMAGE") { Past = Ways.Mirror },
        new("docker pull registry.hub.docker.com/IMAGE") { Past = Ways.Mirror },
        new("docker pull index.docker.io/library/hello") { End = End.Done },
        new("docker plugin install IMAGE", "docker plugin install --grant-all-permissions IMAGE"),
        Build("`docker build` of `FROM IMAGE`, classic builder", "DOCKER_BUILDKIT=0 docker build", "FROM IMAGE"),
        Build("`docker build` of `COPY --from=IMAGE`, classic builder", "DOCKER_BUILDKIT=0 docker build", "FROM scratch", "COPY --from=IMAGE /custom.txt /"),
        BuildKit("FROM IMAGE"),
        BuildKit("# syntax=IMAGE", "FROM scratch"),
        BuildKit("FROM scratch", "COPY --from=IMAGE /custom.txt /"),
    ];

    private static readonly Row[] DockerOthers =
    [
        new("docker push IMAGE", $$"""
            tar --create --file file.tar context/file; docker import file.tar IMAGE
            docker login --username bob --password {{Token}}
            code=0; docker push IMAGE || code=$?
            { docker logout; docker image rm --force IMAGE; } >/dev/null 2>&1; exit $code
            """) { Past = Ways.Mirror },
        new("docker manifest inspect IMAGE") { Past = Ways.Mirror },
        new("docker search IMAGE") { Past = Ways.Mirror, End = End.Done },
        new("docker login", $"docker login --username bob --password {Token}; docker logout") { Past = Ways.Mirror, End = End.Done },
    ];

    private static readonly Row[] DockerPlugins =
    [
        Compose("docker compose pull", "docker compose --ansi never pull"),
        new("docker buildx imagetools inspect IMAGE") { Past = Ways.Mirror },
        new("docker buildx imagetools create IMAGE", "docker buildx imagetools create --dry-run IMAGE") { Past = Ways.Mirror },
    ];

    private static readonly Row[] Ctr =
    [
        Pull("docker.io/IMAGE:latest"),
        Pull("docker.io/IMAGE@DIGEST"),
        Pull("--all-platforms docker.io/IMAGE:latest"),
        new("ctr content fetch docker.io/IMAGE:latest", "ctr content fetch $CTR_HOSTS docker.io/IMAGE:latest"),
        Pull("index.docker.io/IMAGE:latest") with { Past = Ways.Before },
        Pull("registry-1.docker.io/IMAGE:latest") with { Past = Ways.Before },
        Pull("registry.hub.docker.com/IMAGE:latest") with { Past = Ways.Before },
        Pull("index.docker.io/library/hello:latest") with { Past = Ways.Before, End = End.Done },
        Pull("registry-1.docker.io/library/hello:latest") with { Past = Ways.Before, End = End.Done },
        Pull("registry.hub.docker.com/library/hello:latest") with { Past = Ways.Before, End = End.Done },
        new("ctr images push docker.io/IMAGE:latest", $"""
            ctr images pull $CTR_HOSTS --snapshotter native docker.io/library/hello:latest
            ctr images push $CTR_HOSTS --user bob:{Token} docker.io/IMAGE:latest docker.io/library/hello:latest
            """) { Past = Ways.Before },
    ];

    private static readonly Row[] Podman =
    [
        new("podman pull docker.io/IMAGE"),
        new("podman pull docker.io/IMAGE@DIGEST"),
        new("podman pull -a docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("podman run docker.io/IMAGE"),
        new("podman pull index.docker.io/IMAGE"),
        new("podman pull index.docker.io/library/hello") { End = End.Done },
        Build("`podman build` of `FROM docker.io/IMAGE`", "podman build", "FROM docker.io/IMAGE"),
        Build("`podman build` of `COPY --from=docker.io/IMAGE`", "podman build", "FROM scratch", "COPY --from=docker.io/IMAGE /custom.txt /"),
        new("podman manifest inspect docker.io/IMAGE") { StandsIn = Ways.BothMirrors },
        new("podman search --list-tags docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("podman search docker.io/IMAGE") { Past = Ways.BothMirrors, End = End.Done },
        new("podman push docker.io/IMAGE", $$"""
            tar --create --file file.tar context/file; podman import file.tar docker.io/IMAGE
            podman login --username bob --password {{Token}} docker.io
            code=0; podman push docker.io/IMAGE || code=$?
            { podman logout docker.io; podman rmi --force docker.io/IMAGE; } >/dev/null 2>&1; exit $code
            """) { Past = Ways.BothMirrors },
        new("podman login docker.io", $"podman login --username bob --password {Token} docker.io; podman logout docker.io") { Past = Ways.BothMirrors, End = End.Done },
    ];

    private static readonly Row[] Buildah =
    [
        new("buildah pull docker.io/IMAGE"),
        new("buildah pull -a docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("buildah from docker.io/IMAGE"),
        Build("`buildah build` of `FROM docker.io/IMAGE`", "buildah build", "FROM docker.io/IMAGE"),
        Build("`buildah build` of `COPY --from=docker.io/IMAGE`", "buildah build", "FROM scratch", "COPY --from=docker.io/IMAGE /custom.txt /"),
        Build("`buildah build` of `RUN --mount=from=docker.io/IMAGE`", "buildah build", "FROM scratch", "RUN --mount=type=bind,from=docker.io/IMAGE,target=/mnt true"),
        new("buildah manifest inspect docker.io/IMAGE") { StandsIn = Ways.BothMirrors },
        new("buildah push docker.io/IMAGE", $"""
            buildah commit $(buildah from scratch) docker.io/IMAGE
            code=0; buildah push --creds bob:{Token} docker.io/IMAGE || code=$?
            buildah rm --all >/dev/null; exit $code
            """) { Past = Ways.BothMirrors },
        new("buildah login docker.io", $"buildah login --username bob --password {Token} docker.io; buildah logout docker.io") { Past = Ways.BothMirrors, End = End.Done },
    ];

    private static readonly Row[] Skopeo =
    [
        new("skopeo copy docker://docker.io/IMAGE dir:copy", "mkdir -p copy; skopeo copy docker://docker.io/IMAGE dir:copy"),
        new("skopeo copy docker://docker.io/IMAGE@DIGEST dir:copy", "mkdir -p copy; skopeo copy docker://docker.io/IMAGE@DIGEST dir:copy"),
        new("skopeo inspect docker://docker.io/IMAGE"),
        new("skopeo inspect --raw docker://docker.io/IMAGE") { StandsIn = Ways.BothMirrors },
        new("skopeo inspect --config docker://docker.io/IMAGE"),
        new("skopeo list-tags docker://docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("skopeo sync --src docker --dest dir docker.io/IMAGE copies", "mkdir -p copies; skopeo sync --src docker --dest dir docker.io/IMAGE copies") { Past = Ways.BothMirrors },
        new("skopeo copy oci:layout docker://docker.io/IMAGE", $"skopeo copy --dest-creds bob:{Token} oci:../layout docker://docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("skopeo delete docker://docker.io/IMAGE", $"skopeo delete --creds bob:{Token} docker://docker.io/IMAGE") { Past = Ways.BothMirrors },
        new("skopeo login docker.io", $"skopeo login --username bob --password {Token} docker.io; skopeo logout docker.io") { Past = Ways.BothMirrors, End = End.Done },
    ];

    private static readonly Row[] Charliecloud = WithoutMirror(
        new("ch-image pull IMAGE", "ch-image -s storage pull IMAGE"),
        new("ch-image list IMAGE", "ch-image -s storage list IMAGE"),
        Build("`ch-image build` of `FROM IMAGE`", "ch-image -s storage build --tag built", "FROM IMAGE"));

    private static readonly Row[] Crane = WithoutMirror(
        new("crane pull IMAGE image.tar"),
        new("crane pull IMAGE@DIGEST image.tar"),
        new("crane export IMAGE files.tar"),
        new("crane manifest IMAGE"),
        new("crane config IMAGE"),
        new("crane digest IMAGE"),
        new("crane ls IMAGE"),
        new("crane copy IMAGE acme/copy"),
        new("crane push layout IMAGE", $"crane auth login --username bob --password {Token} index.docker.io; code=0; crane push ../layout IMAGE || code=$?; crane auth logout index.docker.io >/dev/null 2>&1; exit $code"),
        new("crane auth login index.docker.io", $"crane auth login --username bob --password {Token} index.docker.io; crane auth logout index.docker.io; crane ls library/hello") { End = End.Done });

    private static readonly Row[] Oras = WithoutMirror(
        new("oras pull docker.io/IMAGE:latest"),
        new("oras pull docker.io/IMAGE@DIGEST"),
        new("oras manifest fetch docker.io/IMAGE:latest"),
        new("oras resolve docker.io/IMAGE:latest"),
        new("oras discover docker.io/IMAGE:latest"),
        new("oras repo tags docker.io/IMAGE"),
        new("oras copy docker.io/IMAGE:latest --to-oci-layout copy:latest"),
        new("oras push docker.io/IMAGE:latest file", $"cp context/file file; oras push --username bob --password {Token} docker.io/IMAGE:latest file"),
        new("oras login docker.io", $"oras login --username bob --password {Token} docker.io; oras logout docker.io") { End = End.Done });

    private static readonly Row[] Cosign = WithoutMirror(
        new("cosign tree IMAGE"),
        new("cosign triangulate IMAGE"),
        new("cosign download signature IMAGE"),
        new("cosign save --dir copy IMAGE"),
        new("cosign verify --key cosign.pub IMAGE", "test -e cosign.pub || COSIGN_PASSWORD= cosign generate-key-pair; cosign verify --key cosign.pub --insecure-ignore-tlog IMAGE"));

    private static readonly Row[] Notation = WithoutMirror(
        new("notation list docker.io/IMAGE:latest"),
        new("notation inspect docker.io/IMAGE:latest"),
        new("notation inspect docker.io/IMAGE@DIGEST"));

    public static IReadOnlyList<ClientKind> All { get; } =
    [
        new("dockerd 20.10", "docker", "docker.io", [.. DockerPulls, Compose("docker-compose pull", "docker-compose --no-ansi pull"), .. DockerOthers]) { Daemon = Classic, Ways = DockerWays },
        new("dockerd 20.10 by an http mirror", "docker", "docker.io", DockerPulls) { Daemon = Classic, Ways = Ways.Mirror, IsPlain = true },
        new("dockerd 28, containerd store", "docker", "docker.io", [.. DockerPulls, .. DockerOthers, .. DockerPlugins]) { Daemon = Current, Ways = DockerWays, IsCurrent = true },
        new("dockerd 28, classic store", "docker", "docker.io", DockerPulls) { Daemon = CurrentWithClassicStore, Ways = DockerWays, IsCurrent = true },
        new("dockerd 28 by an http mirror", "docker", "docker.io", DockerPulls) { Daemon = Current, Ways = Ways.Mirror, IsCurrent = true, IsPlain = true },
        new("containerd 1.6", "containerd", "containerd", Ctr) { Daemon = Containerd },
        new("containerd 2", "containerd", "containerd", [.. Ctr, Pull("--local docker.io/IMAGE:latest")]) { Daemon = Containerd, IsCurrent = true },
        new("podman 4", "podman", "podman", Podman),
        new("podman 5", "podman", "podman", Podman) { IsCurrent = true },
        new("buildah 1.28", "podman", "buildah", Buildah),
        new("buildah 1.43", "podman", "buildah", Buildah) { IsCurrent = true },
        new("skopeo 1.9", "podman", "skopeo", Skopeo),
        new("skopeo 1.22", "podman", "skopeo", Skopeo) { IsCurrent = true },
        Alone("charliecloud 0.31", "charliecloud-builders", Charliecloud) with { IsCurrent = false },
        Alone("charliecloud 0.45", "charliecloud-builders", Charliecloud),
        Alone("crane 0.20", "crane", Crane),
        Alone("oras 1.3", "oras", Oras),
        Alone("cosign 3", "cosign", Cosign),
        Alone("notation 1.3", "notation", Notation),
    ];

    /// <summary>A client of the testing suite that has no daemon and no notion of a mirror.</summary>
    private static ClientKind Alone(string name, string package, IReadOnlyList<Row> rows) => new(name, null, package, rows) { Ways = Ways.Mirror | Ways.Intercepted, IsCurrent = true };

    private static Row[] WithoutMirror(params IReadOnlyList<Row> rows) => [.. rows.Select(row => row with { Past = Ways.Mirror })];

    private static Row Pull(string image) => new($"ctr images pull {image}", $"ctr images pull $CTR_HOSTS --snapshotter native {image}");

    private static Row Compose(string shown, string command) => new(shown, $"printf 'services:\\n  one:\\n    image: IMAGE\\n' >compose.yaml; {command}");

    private static Row BuildKit(params IReadOnlyList<string> dockerfile) =>
        Build($"`docker build` of `{string.Join("`, `", dockerfile.Where(line => line.Contains("IMAGE", StringComparison.Ordinal)).Select(line => line.Replace(" /custom.txt /", "", StringComparison.Ordinal)))}`, BuildKit", "DOCKER_BUILDKIT=1 docker build --progress plain", dockerfile);

    private static Row Build(string shown, string command, params IReadOnlyList<string> dockerfile) => new(shown, $"""
        printf '%s\n' '{string.Join("' '", dockerfile)}' 'COPY file /file' >context/Dockerfile
        {command} context
        """);

    private static async Task<IClient> Classic(Cell cell, string daemon) => await Docker.ClassicAsync(cell, daemon);

    private static async Task<IClient> Current(Cell cell, string daemon) => await Docker.CurrentAsync(cell, daemon);

    private static async Task<IClient> CurrentWithClassicStore(Cell cell, string daemon) => await Docker.CurrentWithClassicStoreAsync(cell, daemon);

    private static async Task<IClient> Containerd(Cell cell, string daemon)
    {
        cell.Set("CONTAINERD_ADDRESS", cell.PathOf("containerd.sock"));
        return await Clients.Containerd.StartAsync(cell, daemon);
    }
}
