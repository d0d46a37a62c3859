using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Under Docker Hub's own names, by the gateway and by the forward proxy alike: what Docker Hub says, but for what is denied.</summary>
public sealed class DockerHubNameTests(IngressRoom room) : IClassFixture<IngressRoom>
{
    private const string Denied = "image access denied: community images not allowed (ask in #platform)";

    public static TheoryData<string> Ways => ["gateway", "forward-proxy"];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_pull_goes_its_way_from_the_challenge_to_the_blob(string way)
    {
        var ping = await AskAsync(way, "registry-1.docker.io", IngressRoom.Request("GET", "registry-1.docker.io", "/v2/"));
        Assert.Equal(401, ping.Status);
        Assert.Equal("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"", ping.Header("WWW-Authenticate"));

        var answer = await AskAsync(
            way, "auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", "/token?service=registry.docker.io&scope=repository:library/nginx:pull", basic: "bob:dckr_pat_bob"));
        Assert.Equal(200, answer.Status);
        var token = JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("token").GetString();

        var manifest = await AskAsync(way, "registry-1.docker.io", IngressRoom.Request("GET", "registry-1.docker.io", "/v2/library/nginx/manifests/latest", token));
        Assert.Equal(200, manifest.Status);
        var layer = JsonSerializer.Deserialize<JsonElement>(manifest.Body).GetProperty("layers")[0].GetProperty("digest").GetString();
        var blob = await AskAsync(way, "registry-1.docker.io", IngressRoom.Request("GET", "registry-1.docker.io", $"/v2/library/nginx/blobs/{layer}", token));
        Assert.Equal((200, "a layer of library/nginx"), (blob.Status, blob.Body));
    }

    [Theory]
    [InlineData("gateway", "docker/28.0", "UNKNOWN")]
    [InlineData("gateway", "containers/5.34", "DENIED")]
    [InlineData("gateway", "curl/8", "DENIED")]
    [InlineData("forward-proxy", "docker/28.0", "UNKNOWN")]
    [InlineData("forward-proxy", "containerd/2.1", "DENIED")]
    public async Task A_denial_is_plain_and_holds_nobody(string way, string userAgent, string code)
    {
        var token = await room.World.PullTokenAsync("bob", "someuser/custom-image");
        room.World.Hub.Requests.Clear();
        foreach (var method in new[] { "HEAD", "GET" })
        {
            var answer = await AskAsync(
                way, "registry-1.docker.io", IngressRoom.Request(method, "registry-1.docker.io", "/v2/someuser/custom-image/manifests/latest", token, userAgent));
            Assert.Equal((403, Denied), (answer.Status, answer.Phrase));
            Assert.NotNull(answer.Header("X-ImageAccess-Decision"));
            Assert.Equal(method == "GET" ? code : null, answer.Code);
        }

        Assert.DoesNotContain(room.World.Hub.Requests.All, request => request.Face == Face.Registry);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task The_event_of_a_request_names_its_way_in(string way)
    {
        var token = await room.World.PullTokenAsync("bob", "library/nginx");
        var answer = await AskAsync(
            way, "registry-1.docker.io", IngressRoom.Request("GET", "registry-1.docker.io", $"/v2/library/nginx/manifests/by-{way}", token));
        Assert.Equal(404, answer.Status);
        string? face = null;
        await Eventually.TrueAsync(() => (face = FaceOf($"by-{way}")) is not null);
        Assert.Equal(way, face);

        string? FaceOf(string tag) => File.ReadLines(room.World.AuditFile).Where(line => line.EndsWith('}')).Select(line => JsonSerializer.Deserialize<JsonElement>(line))
            .FirstOrDefault(audit => audit.TryGetProperty("reference", out var reference) && reference.GetString() == tag) is { ValueKind: JsonValueKind.Object } audit
            ? audit.GetProperty("wayIn").GetString()
            : null;
    }

    [Theory]
    [InlineData("registry-1.docker.io")]
    [InlineData("index.docker.io")]
    [InlineData("registry.hub.docker.com")]
    [InlineData("docker.io")]
    public async Task Every_alias_of_the_registry_has_the_same_verdicts(string host)
    {
        var allowed = await room.World.PullTokenAsync(null, "library/nginx");
        var denied = await room.World.PullTokenAsync(null, "someuser/custom-image");
        Assert.Equal(200, (await room.AskGatewayAsync(host, IngressRoom.Request("GET", host, "/v2/library/nginx/manifests/latest", allowed))).Status);
        Assert.Equal(403, (await room.AskGatewayAsync(host, IngressRoom.Request("GET", host, "/v2/someuser/custom-image/manifests/latest", denied))).Status);
        Assert.Equal(200, (await room.AskGatewayAsync(host, IngressRoom.Request("GET", host, "/v1/search?q=nginx&n=25"))).Status);
    }

    [Theory]
    [InlineData("containerd/2.1.4", 403)]
    [InlineData("containerd/v1.6.20~ds1", 403)]
    [InlineData("docker/28.0 containerd-client/2.1", 200)]
    [InlineData("docker/20.10", 200)]
    [InlineData("containers/5.34", 200)]
    [InlineData("curl/8", 200)]
    public async Task The_token_for_a_denied_repository_is_refused_to_those_that_show_it_best(string userAgent, int status)
    {
        const string Query = "service=registry.docker.io&scope=repository:someuser/custom-image:pull";
        var get = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", $"/token?{Query}", userAgent: userAgent));
        var post = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request(
            "POST",
            "auth.docker.io",
            "/token",
            userAgent: userAgent,
            form: "grant_type=password&service=registry.docker.io&client_id=x&username=bob&password=dckr_pat_bob&scope=repository%3Asomeuser%2Fcustom-image%3Apull"));

        Assert.All([get, post], answer => Assert.Equal(status, answer.Status));
        if (status == 403)
        {
            Assert.All([get, post], answer => Assert.Equal((Denied, "DENIED", Denied), (answer.Phrase, answer.Code, answer.Message)));
            Assert.All([get, post], answer => Assert.DoesNotContain("token", answer.Body, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("alice", "repository:someuser/custom-image:pull", 200)] // an owner
    [InlineData("bob", "repository:acme/app:pull,push", 200)]
    [InlineData("bob", "repository:someuser/custom-image:pull", 403)]
    [InlineData("bob", "registry:catalog:*", 200)]
    [InlineData("bob", "", 200)]
    [InlineData("bob", "repository:acme/app:pull,push repository:someuser/custom-image:pull", 200)] // a push that would mount
    [InlineData("bob", "repository:bitnami/redis:pull repository:someuser/custom-image:pull", 403)]
    public async Task A_token_is_refused_by_the_rules_for_whom_it_is(string user, string scopes, int status)
    {
        var scope = string.Concat(scopes.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(one => $"&scope={one}"));
        var answer = await room.AskGatewayAsync(
            "auth.docker.io",
            IngressRoom.Request("GET", "auth.docker.io", $"/token?service=registry.docker.io{scope}", userAgent: "containerd/2.1", basic: $"{user}:dckr_pat_{user}"));
        Assert.Equal(status, answer.Status);
    }

    [Fact]
    public async Task A_refused_token_is_in_the_audit()
    {
        var answer = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request(
            "GET", "auth.docker.io", "/token?service=registry.docker.io&scope=repository:someuser/audited:pull", userAgent: "containerd/2.1", basic: "bob:dckr_pat_bob"));
        var id = answer.Header("X-ImageAccess-Decision");
        JsonElement[] found = [];
        await Eventually.TrueAsync(() => (found = Audited(id!)).Length > 0);
        var audit = Assert.Single(found);
        Assert.Equal(
            ("bob", "someuser/audited", "deny", "community"),
            (audit.GetProperty("caller").GetString(), audit.GetProperty("repository").GetString(), audit.GetProperty("outcome").GetString(), audit.GetProperty("rule").GetString()));
    }

    [Fact]
    public async Task A_wrong_password_is_the_token_services_to_refuse()
    {
        var answer = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request(
            "GET", "auth.docker.io", "/token?service=registry.docker.io&scope=repository:someuser/custom-image:pull", userAgent: "containerd/2.1", basic: "bob:wrong"));
        Assert.Equal((401, "{\"details\":\"incorrect username or password\"}"), (answer.Status, answer.Body.Trim()));
    }

    [Theory]
    [InlineData("bob:dckr_pat_bob", "Basic Ym9iOmRja3JfcGF0X2JvYg==")]
    [InlineData(null, null)]
    public async Task The_search_goes_to_the_index_with_its_parameters_and_credentials(string? basic, string? sent)
    {
        room.World.Hub.Requests.Clear();
        var answer = await room.AskGatewayAsync("index.docker.io", IngressRoom.Request("GET", "index.docker.io", "/v1/search?n=25&q=nginx&evil=x%0d%0a", basic: basic));
        Assert.Equal(200, answer.Status);
        Assert.Contains("\"nginx\"", answer.Body, StringComparison.Ordinal);
        var asked = Assert.Single(room.World.Hub.Requests.All, request => request.Face == Face.Index);
        Assert.Equal(("/v1/search?q=nginx&n=25", sent), (asked.RawTarget, asked.Authorization));
    }

    [Theory]
    [InlineData("GET", "/v1/_ping", 404)]
    [InlineData("GET", "/v1/repositories/library/nginx/images", 404)]
    [InlineData("GET", "/v1/", 404)]
    [InlineData("GET", "/v1/searchx", 404)]
    [InlineData("GET", "/v1/search/../../v2/", 404)]
    [InlineData("GET", "/v1/search?q=a&q=b", 400)]
    [InlineData("POST", "/v1/search?q=a", 405)]
    [InlineData("GET", "/V1/search?q=a", 404)]
    [InlineData("GET", "/token", 404)]
    [InlineData("GET", "/ca.crt", 404)]
    [InlineData("GET", "/readyz", 404)]
    [InlineData("GET", "/", 404)]
    public async Task Nothing_else_of_the_index_is_answered(string method, string target, int status)
    {
        room.World.Hub.Requests.Clear();
        var answer = await room.AskGatewayAsync("index.docker.io", IngressRoom.Request(method, "index.docker.io", target));
        Assert.Equal(status, answer.Status);
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Theory]
    [InlineData("auth.docker.io", "/v2/")]
    [InlineData("auth.docker.io", "/v2/library/nginx/manifests/latest")]
    [InlineData("auth.docker.io", "/v1/search?q=x")]
    [InlineData("auth.docker.io", "/ca.crt")]
    [InlineData("auth.docker.io", "/tokens")]
    public async Task The_token_service_has_its_token_alone(string host, string target)
    {
        room.World.Hub.Requests.Clear();
        Assert.Equal(404, (await room.AskGatewayAsync(host, IngressRoom.Request("GET", host, target))).Status);
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Theory]
    [InlineData("registry-1.docker.io", "auth.docker.io", "/token?service=x")]
    [InlineData("registry-1.docker.io", "index.docker.io", "/v2/")]
    [InlineData("auth.docker.io", "registry-1.docker.io", "/v2/")]
    [InlineData("registry-1.docker.io", "evil.example.com", "/v2/")]
    [InlineData("registry-1.docker.io", "registry-1.docker.io:444", "/v2/")]
    [InlineData("registry-1.docker.io", "", "/v2/")]
    public async Task A_server_name_that_differs_from_the_Host_is_misdirected(string serverName, string host, string target)
    {
        room.World.Hub.Requests.Clear();
        var answer = await room.AskGatewayAsync(serverName, IngressRoom.Request("GET", host, target));
        Assert.Equal((421, "the Host header names another host than the connection"), (answer.Status, answer.Phrase));
        Assert.Equal("close", answer.Header("Connection"));
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Theory]
    [InlineData("registry-1.docker.io", "REGISTRY-1.docker.io")]
    [InlineData("registry-1.docker.io", "registry-1.docker.io:443")]
    [InlineData("registry-1.docker.io", "registry-1.docker.io.")]
    public async Task The_same_name_written_otherwise_is_the_same(string serverName, string host) =>
        Assert.Equal(401, (await room.AskGatewayAsync(serverName, IngressRoom.Request("GET", host, "/v2/"))).Status);

    [Fact]
    public async Task Forwarded_headers_of_a_trusted_network_turn_no_name_into_another()
    {
        await using var trusting = await IngressRoom.StartAsync(settings: ("Listen:TrustedProxies:0", "127.0.0.0/8"));
        var request = IngressRoom.Request("GET", "evil.example.com", "/v2/").Replace("\r\n\r\n", "\r\nX-Forwarded-Host: registry-1.docker.io\r\n\r\n", StringComparison.Ordinal);
        Assert.Equal(421, (await trusting.AskGatewayAsync("registry-1.docker.io", request)).Status);
    }

    [Fact]
    public async Task Two_requests_of_one_connection_are_each_judged()
    {
        var allowed = await room.World.PullTokenAsync(null, "library/nginx");
        var denied = await room.World.PullTokenAsync(null, "someuser/custom-image");
        await using var tls = await room.SecureAsync(await IngressRoom.OpenAsync(room.Gateway), "registry-1.docker.io");
        var first = IngressRoom.Request("GET", "registry-1.docker.io", "/v2/library/nginx/manifests/latest", allowed).Replace("Connection: close\r\n", "", StringComparison.Ordinal);
        await tls.WriteAsync(Encoding.ASCII.GetBytes(first + IngressRoom.Request("GET", "registry-1.docker.io", "/v2/someuser/custom-image/manifests/latest", denied)));
        var said = await IngressRoom.ReadToEndAsync(tls);
        Assert.StartsWith("HTTP/1.1 200 OK", said, StringComparison.Ordinal);
        Assert.Contains($"HTTP/1.1 403 {Denied}\r\n", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upload_goes_on_under_the_name_that_the_client_used()
    {
        var token = await room.World.TokenAsync("bob", "repository:acme/app:pull,push");
        var answer = await room.AskGatewayAsync("registry-1.docker.io", IngressRoom.Request("POST", "registry-1.docker.io", "/v2/acme/app/blobs/uploads/", token)
            .Replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", StringComparison.Ordinal));
        Assert.Equal(202, answer.Status);
        Assert.StartsWith("https://registry-1.docker.io/v2/acme/app/blobs/uploads/", answer.Header("Location"), StringComparison.Ordinal);
    }

    private Task<RawAnswer> AskAsync(string way, string host, string request) =>
        way == "gateway" ? room.AskGatewayAsync(host, request) : room.AskForwardProxyAsync(host, request);

    private JsonElement[] Audited(string id) => !File.Exists(room.World.AuditFile)
        ? []
        : [.. ReadShared(room.World.AuditFile).Split('\n').Where(line => line.Contains(id, StringComparison.Ordinal) && line.EndsWith('}')).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];

    private static string ReadShared(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd();
    }
}
