using System.Globalization;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Connections.Ingress;

namespace ImageAccess.Proxy.Tests.Walk;

public abstract class DenialTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Message = "image access denied: community images not allowed";
    private const string Denied = Message + " (ask in #platform)";
    private const string Repository = "someuser/custom-image";
    private const string ClassicDocker = "docker/20.10.24 go/go1.19 git-commit/5d6db84 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24)";
    private const string ContainerdStore = "docker/28.5.1 go/go1.24 UpstreamClient(Docker-Client/28.5.1) containerd-client/2.1.0";
    private const string Ctr = "containerd/1.6.20";
    private const string Podman = "containers/5.20.1 (github.com/containers/image)";
    private const string Crane = "go-containerregistry/v0.20";

    /// <summary>How programs of each family ask. Those that are here with <c>ns</c> take the proxy for a mirror.</summary>
    private static readonly (string Family, string Query, string?[] UserAgents)[] Families =
    [
        ("classic", "",
        [
            @"docker/29.7.0 go/go1.25.4 git-commit/8e1f0c2 kernel/6.12.43 os/linux arch/arm64 UpstreamClient(Docker-Client/29.7.0 \(linux\))",
            "docker/23.0.1 go/go1.19.5 git-commit/bc3805a kernel/5.15.0 os/linux arch/amd64 UpstreamClient(compose/v2.40.3)",
            "docker/26.1.5+dfsg1",
        ]),
        ("plugin", "?ns=docker.io",
        [
            @"docker/29.7.0 go/go1.25.4 git-commit/8e1f0c2 kernel/6.12.43 os/linux arch/arm64 UpstreamClient(Docker-Client/29.7.0 \(linux\))",
            "docker/20.10.5+dfsg1 go/go1.15.15 os/linux arch/amd64",
            "docker/27.5.1",
        ]),
        ("containerd", "?ns=docker.io",
        [
            "docker/29.7.0 go/go1.25.4 containerd-client/2.2.1+unknown storage-driver/overlayfs os/linux arch/arm64 UpstreamClient(Docker-Client/29.7.0)",
            "containerd/v2.1.5-k3s1.33",
            "containerd/1.7.24~ds1",
            "buildkit/v0.26",
        ]),
        ("direct", "",
        [
            "docker/29.7.0 go/go1.25.4 containerd-client/2.2.1+unknown storage-driver/overlayfs os/linux arch/arm64",
            "containerd/v2.1.5-k3s1.33",
            "buildkit/v0.26",
        ]),
        ("containers", "",
        [
            "cri-o/1.34.1 go/go1.24.6 os/linux arch/amd64",
            "cri-o/1.20.9",
            "containers/5.36.2 (github.com/containers/image)",
            "skopeo/1.22.0",
            "build-farm/7 skopeo/1.20.0",
            "Buildah/1.43.0",
        ]),
        ("go", "",
        [
            "crane/v0.21.0 go-containerregistry/v0.21.0",
            "crane/0.20.7 go-containerregistry",
            "cosign/v3.0.2 (linux; amd64) go-containerregistry/v0.20.6",
            "go-containerregistry/v0.8.1-0.20220125170349",
        ]),
        ("others", "", ["oras/1.3.0", "regclient/regctl (v0.11.1)", "Apptainer/1.4.3 (Linux amd64) Go/1.24.6", "docker", "mycri-o/1.0", null]),
    ];

    private static readonly string Digest = "sha256:" + new string('a', 64);

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    // classic dockerd: always held
    [InlineData(ClassicDocker, "HEAD", "latest", "", 500, Denied + " (no such process)")]
    [InlineData(ClassicDocker, "GET", "latest", "", 500, Denied + " (no such process)")]
    [InlineData(ClassicDocker, "HEAD", "digest", "", 500, Denied + " (no such process)")]
    // the containerd family: held where it names the registry it takes the proxy for
    [InlineData(ContainerdStore, "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    [InlineData(ContainerdStore, "GET", "latest", "?ns=docker.io", 403, Denied)]
    [InlineData(ContainerdStore, "HEAD", "digest", "?ns=docker.io", 300, Denied)]
    [InlineData(ContainerdStore, "GET", "digest", "?ns=docker.io", 403, Denied)]
    [InlineData(ContainerdStore, "HEAD", "latest", "?ns=registry-1.docker.io", 200, Denied)]
    [InlineData(ContainerdStore, "HEAD", "digest", "?ns=index.docker.io", 300, Denied)]
    [InlineData(Ctr, "HEAD", "latest", "?ns=registry.hub.docker.com", 200, Denied)]
    [InlineData(Ctr, "GET", "latest", "?ns=REGISTRY-1.docker.io:443", 403, Denied)]
    [InlineData(ContainerdStore, "HEAD", "latest", "", 403, Denied)]
    [InlineData(Ctr, "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    [InlineData("buildkit/v0.12", "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    // dockerd of any store, when it installs a plugin by its mirror
    [InlineData("docker/23.0.1 go/go1.19.5", "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    [InlineData("docker/23.0.1 go/go1.19.5", "GET", "latest", "?ns=docker.io", 403, Denied)]
    [InlineData("docker/23.0.1 go/go1.19.5", "HEAD", "digest", "?ns=docker.io", 300, Denied)]
    // podman, skopeo, buildah, CRI-O: GET
    [InlineData(Podman, "GET", "latest", "", 200, "OK")]
    [InlineData("skopeo/1.9.3", "GET", "latest", "", 200, "OK")]
    [InlineData("Buildah/1.28.2", "GET", "latest", "", 200, "OK")]
    [InlineData("cri-o/1.20.9", "GET", "latest", "", 200, "OK")]
    [InlineData("cri-o/1.34.1 go/go1.24.6 os/linux arch/amd64", "GET", "latest", "", 200, "OK")]
    [InlineData("build-farm/7 skopeo/1.20.0", "GET", "latest", "", 200, "OK")]
    [InlineData(Podman, "HEAD", "latest", "", 403, Denied)]
    [InlineData(Podman, "GET", "digest", "", 200, "OK")]
    [InlineData("cri-o/1.34.1 go/go1.24.6 os/linux arch/amd64", "GET", "digest", "", 200, "OK")]
    [InlineData("skopeo/1.22.0", "GET", "digest", "", 200, "OK")]
    [InlineData("skopeo/1.22.0", "HEAD", "digest", "", 403, Denied)]
    // everyone else
    [InlineData(Crane, "GET", "latest", "", 403, Denied)]
    [InlineData("curl/8", "HEAD", "latest", "", 403, Denied)]
    [InlineData(null, "GET", "latest", "?ns=docker.io", 403, Denied)]
    public async Task A_denied_manifest_is_worded_for_its_client(
        string? userAgent, string method, string reference, string query, int status, string phrase)
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync(
            method, $"/v2/{Repository}/manifests/{(reference == "digest" ? Digest : reference)}{query}", token, userAgent);

        Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        Assert.Equal("no-store", answer.Header("Cache-Control"));
        Assert.Matches("^[0-9a-f]{32}$", answer.Header("X-ImageAccess-Decision"));
        Assert.Null(answer.Header("Location"));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>After any other answer, <c>docker pull -a</c> lists the tags of Docker Hub and pulls them all from there.</summary>
    [Theory]
    [InlineData("docker/20.10.5+dfsg1 go/go1.15.15", 500, Denied + " (no such process)")]
    [InlineData("docker/29.7.0", 500, Denied + " (no such process)")]
    [InlineData("docker/29.7.0 containerd-client/2.2.1", 403, Denied)]
    [InlineData("skopeo/1.22.0", 403, Denied)]
    [InlineData("oras/1.3.0", 403, Denied)]
    public async Task A_denied_list_of_tags_is_worded_for_its_client(string userAgent, int status, string phrase)
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        foreach (var query in new[] { "", "?n=100", "?n=2&last=v1" })
        {
            var answer = await _surroundings.AskAsync("GET", $"/v2/{Repository}/tags/list{query}", token, userAgent);
            Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        }

        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>Each name of Docker Hub that a hosts.toml of `imageaccess clients` is for, as containerd sends it.</summary>
    [Theory]
    [InlineData("docker.io")]
    [InlineData("index.docker.io")]
    [InlineData("registry-1.docker.io")]
    [InlineData("registry.hub.docker.com")]
    public async Task A_denial_holds_and_an_allowed_image_comes_by_each_name_of_Docker_Hub(string name)
    {
        const string UserAgent = "containerd/2.2.0";
        const string NobodysDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
        var denied = await _surroundings.PullTokenAsync("bob", Repository);
        var statuses = new List<int>();
        foreach (var (method, reference) in new[] { ("HEAD", "latest"), ("GET", NobodysDigest), ("HEAD", Digest), ("GET", Digest) })
            statuses.Add((await _surroundings.AskAsync(method, $"/v2/{Repository}/manifests/{reference}?ns={name}", denied, UserAgent)).Status);

        Assert.Equal([200, 403, 300, 403], statuses);
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
        var allowed = await _surroundings.PullTokenAsync("bob", "library/nginx");
        var manifest = await _surroundings.AskAsync("GET", $"/v2/library/nginx/manifests/latest?ns={name}", allowed, UserAgent);
        var layer = _surroundings.Hub.Images.FindManifest("library/nginx", "latest")!.Layers[0];
        var blob = await _surroundings.AskAsync("GET", $"/v2/library/nginx/blobs/{layer}?ns={name}", allowed, UserAgent);
        Assert.Equal((200, 200), (manifest.Status, blob.Status));
    }

    /// <summary>A cell has the status, and the error's code where there is a body. Behind it: w, a warning; i, an index; p, "no such process".</summary>
    [Fact]
    public async Task Every_request_of_every_family_has_its_answer_on_the_mirror() => Assert.Equal(
        """
        request            | classic       | plugin       | containerd   | direct       | containers   | go           | others
        HEAD a tag         | 500 wp        | 200 wi       | 200 wi       | 403 w        | 403 w        | 403 w        | 403 w
        GET a tag          | 500 UNKNOWN p | 403 DENIED   | 403 DENIED   | 403 DENIED   | 200 wi       | 403 DENIED   | 403 DENIED
        HEAD a digest      | 500 wp        | 300 w        | 300 w        | 403 w        | 403 w        | 403 w        | 403 w
        GET a digest       | 500 UNKNOWN p | 403 DENIED   | 403 DENIED   | 403 DENIED   | 200 wi       | 403 DENIED   | 403 DENIED
        GET all tags       | 500 UNKNOWN p | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        GET the referrers  | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        HEAD a blob        | 403 w         | 403 w        | 403 w        | 403 w        | 404 w        | 404 w        | 403 w
        GET a blob         | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        POST an upload     | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        PUT a manifest     | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        DELETE a tag       | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        """,
        await AnswersAsync(_surroundings, (method, target, token, userAgent) => _surroundings.AskAsync(method, target, token, userAgent)));

    [Fact]
    public async Task Every_request_of_every_family_has_its_answer_where_nothing_is_held()
    {
        await using var open = await StartAsync(settings: [("Mirror:Hold", "false")]);

        Assert.Equal(WithoutHolding, await AnswersAsync(open, (method, target, token, userAgent) => open.AskAsync(method, target, token, userAgent)));
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("forward-proxy")]
    public async Task Every_request_of_every_family_has_its_answer_under_Docker_Hubs_name(string way)
    {
        const string Host = "registry-1.docker.io";
        await using var room = await IngressRoom.StartAsync(settings: ("Listen:Transport", Transport));

        Assert.Equal(WithoutHolding, await AnswersAsync(room.World, (method, target, token, userAgent) =>
        {
            var request = IngressRoom.Request(method, Host, target, token, userAgent);
            return way == "gateway" ? room.AskGatewayAsync(Host, request) : room.AskForwardProxyAsync(Host, request);
        }));
    }

    private const string WithoutHolding =
        """
        request            | classic       | plugin       | containerd   | direct       | containers   | go           | others
        HEAD a tag         | 403 w         | 403 w        | 403 w        | 403 w        | 403 w        | 403 w        | 403 w
        GET a tag          | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED w | 403 DENIED   | 403 DENIED
        HEAD a digest      | 403 w         | 403 w        | 403 w        | 403 w        | 403 w        | 403 w        | 403 w
        GET a digest       | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED w | 403 DENIED   | 403 DENIED
        GET all tags       | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        GET the referrers  | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        HEAD a blob        | 403 w         | 403 w        | 403 w        | 403 w        | 404 w        | 404 w        | 403 w
        GET a blob         | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        POST an upload     | 403 DENIED    | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        PUT a manifest     | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        DELETE a tag       | 403 UNKNOWN   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED   | 403 DENIED
        """;

    private static readonly (string Name, string Target)[] Questions =
    [
        ("HEAD a tag", "manifests/v1.2"),
        ("GET a tag", "manifests/v1.2"),
        ("HEAD a digest", $"manifests/{Digest}"),
        ("GET a digest", $"manifests/{Digest}"),
        ("GET all tags", "tags/list"),
        ("GET the referrers", $"referrers/{Digest}"),
        ("HEAD a blob", $"blobs/{Digest}"),
        ("GET a blob", $"blobs/{Digest}"),
        ("POST an upload", "blobs/uploads/"),
        ("PUT a manifest", "manifests/v1.2"),
        ("DELETE a tag", "manifests/v1.2"),
    ];

    /// <summary>Asks everything as each program, and writes the answers as a table. Programs of a family must not differ.</summary>
    private static async Task<string> AnswersAsync(Surroundings world, Func<string, string, string, string?, Task<RawAnswer>> askAsync)
    {
        var token = await world.TokenAsync("bob", $"repository:{Repository}:pull,push,delete");
        var table = new List<string> { Line("request", Families.Select(family => family.Family)) };
        foreach (var (name, target) in Questions)
        {
            var cells = new List<string>();
            foreach (var (_, query, userAgents) in Families)
            {
                var answers = new List<string>();
                foreach (var userAgent in userAgents)
                    answers.Add(Cell(await askAsync(name.Split(' ')[0], $"/v2/{Repository}/{target}{query}", token, userAgent)));
                cells.Add(string.Join(" or ", answers.Distinct()));
            }

            table.Add(Line(name, cells));
        }

        return string.Join('\n', table);

        static string Line(string name, IEnumerable<string> cells) =>
            $"{name,-18} | {string.Join(" | ", cells.Select((cell, column) => cell.PadRight(column == 0 ? 13 : 12)))}".TrimEnd();
    }

    private static string Cell(RawAnswer answer)
    {
        const string NoProcess = " (no such process)";
        Assert.Matches("^[0-9a-f]{32}$", answer.Header("X-ImageAccess-Decision"));
        Assert.Equal("no-store", answer.Header("Cache-Control"));
        Assert.Equal(answer.Status == 200 && answer.Body.Length > 0 ? "OK" : Denied, answer.Phrase.Replace(NoProcess, "", StringComparison.Ordinal));
        var marks = (answer.Header("Warning") == $"299 - \"{Denied}\"" ? "w" : answer.Header("Warning"))
            + (answer.Header("Content-Type")!.Contains("image.index", StringComparison.Ordinal) ? "i" : "")
            + (answer.Phrase.EndsWith(NoProcess, StringComparison.Ordinal) ? "p" : "");
        return string.Join(' ', new[] { answer.Status.ToString(CultureInfo.InvariantCulture), answer.Code ?? "", marks }.Where(word => word.Length > 0));
    }

    [Theory]
    [InlineData(ClassicDocker, "DENIED")] // UNKNOWN makes it try a blob six times
    [InlineData(ContainerdStore, "DENIED")]
    [InlineData(Podman, "DENIED")]
    [InlineData(Crane, "DENIED")]
    public async Task A_denial_says_why_in_its_body(string userAgent, string code)
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{Repository}/blobs/{Digest}", token, userAgent);

        Assert.Equal((403, Denied, "application/json"), (answer.Status, answer.Phrase, answer.Header("Content-Type")));
        using var json = JsonDocument.Parse(answer.Body);
        var error = json.RootElement.GetProperty("errors")[0];
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal(Denied, error.GetProperty("message").GetString());
        var detail = error.GetProperty("detail");
        Assert.Equal(answer.Header("X-ImageAccess-Decision"), detail.GetProperty("decision").GetString());
        Assert.Equal("community", detail.GetProperty("category").GetString());
        Assert.Equal("community", detail.GetProperty("rule").GetString());
    }

    /// <summary>The client takes the index for the image, and asks for the only one in it: that answer it shows with its body.</summary>
    [Theory]
    [InlineData(Podman, "latest")]
    [InlineData("skopeo/1.9.3", "v1.2")]
    [InlineData("cri-o/1.34.1 go/go1.24.6 os/linux arch/amd64", "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("Buildah/1.28.2", "there")]
    public async Task What_stands_in_for_a_denied_manifest_leads_to_an_image_that_is_denied(string userAgent, string reference)
    {
        if (reference == "there")
            reference = _surroundings.Hub.Images.FindManifest(Repository, "latest")!.Digest;
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{Repository}/manifests/{reference}", token, userAgent);

        Assert.NotEqual(reference, answer.Header("Docker-Content-Digest")); // what the client has of that digest already must not be taken for this
        Assert.Equal(FakeRegistry.DigestOf(System.Text.Encoding.ASCII.GetBytes(answer.Body)), answer.Header("Docker-Content-Digest"));
        var index = JsonSerializer.Deserialize<JsonElement>(answer.Body);
        Assert.Equal(
            (answer.Header("Content-Type"), Denied, answer.Header("X-ImageAccess-Decision")),
            (index.GetProperty("mediaType").GetString(), Annotation("io.imageaccess.denied"), Annotation("io.imageaccess.decision")));
        var image = Assert.Single(index.GetProperty("manifests").EnumerateArray());
        Assert.False(image.TryGetProperty("platform", out _)); // every client takes it for its own
        var denied = await _surroundings.AskAsync("GET", $"/v2/{Repository}/manifests/{image.GetProperty("digest").GetString()}", token, userAgent);
        Assert.Equal((403, "DENIED", Denied), (denied.Status, denied.Code, denied.Message));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));

        string? Annotation(string name) => index.GetProperty("annotations").GetProperty(name).GetString();
    }

    [Theory]
    [InlineData("index.docker.io")]
    [InlineData("registry-1.docker.io")]
    [InlineData("registry.hub.docker.com")]
    [InlineData("Docker.IO")]
    [InlineData("registry-1.docker.io:443")]
    public async Task An_allowed_image_comes_by_every_name_of_Docker_Hub(string name)
    {
        var token = await _surroundings.PullTokenAsync("bob", "library/nginx");
        var answer = await _surroundings.AskAsync("GET", $"/v2/library/nginx/manifests/latest?ns={name}", token, ContainerdStore);

        Assert.Equal(200, answer.Status);
        Assert.Equal("/v2/library/nginx/manifests/latest", Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry)).RawTarget);
    }

    [Fact]
    public async Task Without_holding_every_client_gets_the_plain_denial()
    {
        await using var plain = await StartAsync(settings: ("Mirror:Hold", "false"));
        var token = await plain.PullTokenAsync("bob", Repository);
        foreach (var userAgent in new[] { ClassicDocker, ContainerdStore, Podman, Crane })
        {
            foreach (var method in new[] { "HEAD", "GET" })
            {
                var query = userAgent == ContainerdStore ? "?ns=docker.io" : "";
                var answer = await plain.AskAsync(method, $"/v2/{Repository}/manifests/latest{query}", token, userAgent);
                Assert.Equal((403, Denied), (answer.Status, answer.Phrase));
                if (method == "GET")
                    Assert.Contains(userAgent == ClassicDocker ? "\"code\":\"UNKNOWN\"" : "\"code\":\"DENIED\"", answer.Body, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Only the families that the list names are held. Everybody else gets the plain denial.</summary>
    [Theory]
    [InlineData("classic-docker", 500, 403, 403)]
    [InlineData("containerd", 403, 200, 403)]
    [InlineData("containers", 403, 403, 200)]
    [InlineData("containers classic-docker", 500, 403, 200)]
    [InlineData("classic-docker containerd containers containerd", 500, 200, 200)]
    [InlineData("True", 500, 200, 200)]
    [InlineData("false", 403, 403, 403)]
    public async Task Holding_may_be_for_some_families_of_clients(string families, int classic, int containerd, int containers)
    {
        var names = families.Split(' ');
        await using var some = await StartAsync(settings: names.Length == 1 && bool.TryParse(families, out _)
            ? [("Mirror:Hold", families)]
            : [.. names.Select((name, at) => (string.Create(CultureInfo.InvariantCulture, $"Mirror:Hold:{at}"), name))]);
        var token = await some.PullTokenAsync("bob", Repository);
        var statuses = new List<int>();
        foreach (var (userAgent, method, query) in new[] { (ClassicDocker, "GET", ""), (ContainerdStore, "HEAD", "?ns=docker.io"), (Podman, "GET", ""), (Crane, "GET", ""), ("oras/1.3.0", "HEAD", "") })
            statuses.Add((await some.AskAsync(method, $"/v2/{Repository}/manifests/latest{query}", token, userAgent)).Status);

        Assert.Equal([classic, containerd, containers, 403, 403], statuses);
    }

    /// <summary>What administrators write and what accounts are called reaches a head and a manifest that clients can read.</summary>
    [Theory]
    [InlineData("say \"please\"", "say \\\"please\\\"")]
    [InlineData(@"read \\wiki\images or \", @"read \\\\wiki\\images or \\")]
    [InlineData("问平台组 ☎", "???? ?")]
    [InlineData("first line\r\nSet-Cookie: a=b\tend", "first line??Set-Cookie: a=b?end")]
    [InlineData("\ud83d\ude00\u007f\u0000 \u2028", "???? ?")]
    public async Task Whom_to_ask_may_be_written_with_any_character(string help, string warning)
    {
        var policy = Surroundings.Policy.Replace("\"ask in #platform\"", JsonSerializer.Serialize(help), StringComparison.Ordinal);
        await using var other = await StartAsync(policy);
        var token = await other.PullTokenAsync("bob", Repository);
        var head = await other.AskAsync("HEAD", $"/v2/{Repository}/manifests/latest", token, "oras/1.3.0");
        var manifest = await other.AskAsync("GET", $"/v2/{Repository}/manifests/latest", token, "cri-o/1.34.1");

        Assert.Equal((403, $"299 - \"{Message} ({warning})\""), (head.Status, head.Header("Warning")));
        Assert.Equal((200, head.Header("Warning")), (manifest.Status, manifest.Header("Warning")));
        Assert.Null(head.Header("Set-Cookie"));
        Assert.All(manifest.Body, c => Assert.InRange(c, ' ', '~'));
        using var json = JsonDocument.Parse(manifest.Body);
        Assert.Equal($"{Message} ({help})", json.RootElement.GetProperty("annotations").GetProperty("io.imageaccess.denied").GetString());
    }

    /// <summary>A user's name is in some messages, and Docker Hub's rules for names are not ours.</summary>
    [Theory]
    [InlineData("observe")]
    [InlineData("enforce")]
    public async Task A_name_with_any_character_and_of_any_length_is_told(string mode)
    {
        var name = "zoë \"\\\" " + new string('x', 3000);
        await using var other = await StartAsync($$"""
            { "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "mode": "{{mode}}", "allow": { "official": true } } ],
              "callers": { "outsiders": "deny" } }
            """);
        other.Hub.Users.Add(name, "a-password");
        var answer = await other.AskAsync("HEAD", "/v2/library/nginx/manifests/latest", await other.PullTokenAsync(name, "library/nginx"), "oras/1.3.0");

        Assert.Equal(mode == "observe" ? 200 : 403, answer.Status);
        const string Begins = "image access denied: zo? \"\\\" x";
        Assert.StartsWith("299 - \"" + Begins.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal), answer.Header("Warning"), StringComparison.Ordinal);
        Assert.InRange(answer.Header("Warning")!.Length, 200, 1100);
        if (mode == "enforce")
            Assert.StartsWith(Begins, answer.Phrase, StringComparison.Ordinal);
    }

    /// <summary>A push asks first which blobs are there. It learns nothing from the answer, and reads the reason in the next one.</summary>
    [Theory]
    [InlineData("skopeo/1.18.0")]
    [InlineData("Buildah/1.39.3")]
    [InlineData("crane/v0.21.0 go-containerregistry/v0.21.0")]
    [InlineData("crane/0.20.7 go-containerregistry")]
    public async Task A_denied_push_says_why_and_does_not_say_which_blobs_are_there(string userAgent)
    {
        var token = await _surroundings.TokenAsync("bob", $"repository:{Repository}:pull,push");
        var there = _surroundings.Hub.Images.FindManifest(Repository, "latest")!.Layers[0];
        var answers = new List<RawAnswer>();
        foreach (var digest in new[] { there, Digest })
            answers.Add(await _surroundings.AskAsync("HEAD", $"/v2/{Repository}/blobs/{digest}", token, userAgent));
        var upload = await _surroundings.AskAsync("POST", $"/v2/{Repository}/blobs/uploads/", token, userAgent);

        Assert.All(answers, answer => Assert.Equal((404, Denied), (answer.Status, answer.Phrase)));
        Assert.Equal(answers[0].Header("Content-Length"), answers[1].Header("Content-Length"));
        Assert.Equal((403, "DENIED", Denied), (upload.Status, upload.Code, upload.Message));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    [Theory]
    [InlineData("alice", "someuser/custom-image", 200)]
    [InlineData("bob", "someuser/custom-image", 403)]
    [InlineData("carol", "someuser/custom-image", 403)]
    [InlineData(null, "someuser/custom-image", 403)]
    [InlineData("acme", "library/nginx", 403)]
    [InlineData("bob", "bitnami/redis", 403)]
    [InlineData("bob", "library/nginx", 200)]
    [InlineData(null, "library/nginx", 200)]
    [InlineData("bob", "acme/secret", 200)]
    public async Task The_tokens_identity_decides(string? username, string repository, int status)
    {
        var token = await _surroundings.PullTokenAsync(username, repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{repository}/manifests/latest", token);
        Assert.Equal(status, answer.Status);
    }
}

public sealed class DenialTests_direct() : DenialTests(Direct);

public sealed class DenialTests_kestrel() : DenialTests(Kestrel);
