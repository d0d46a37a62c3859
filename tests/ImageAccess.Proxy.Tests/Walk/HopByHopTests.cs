using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>
/// What is about one connection ends with it (RFC 9110, section 7.6.1): upstream gets the method that was asked and judged, and the listed
/// headers, whatever a client says about its own connection.
/// </summary>
public abstract class HopByHopTests(SharedSurroundings shared)
{
    private const string Uploads = "/v2/acme/app/blobs/uploads/";

    private readonly Surroundings _world = shared.Here;

    public static TheoryData<string> HopByHop =>
    [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n",
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n",
        "Upgrade: websocket\r\n",
        "Connection: X-Anything, x-other\r\nX-Anything: 1\r\nX-Other: 2\r\n",
        "Connection: Sec-WebSocket-Key\r\nConnection: X-Anything\r\nX-Anything: 1\r\n",
        "Keep-Alive: timeout=5, max=1000\r\n",
        "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n",
        "Trailer: X-Checksum, Authorization\r\n",
        "Proxy-Authorization: Basic YTpi\r\nProxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\n",
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Max-Forwards: 0\r\nClose: yes\r\nALPN: h2\r\n",
        "Sec-WebSocket-Protocol: v10.stdio.k8s.io\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ];

    /// <summary>One of each kind: what is read, what is written with a body and without, what is asked of the token service.</summary>
    private static readonly (string Line, string Body)[] Requests =
    [
        ("GET /v2/acme/app/manifests/latest", ""),
        ("HEAD /v2/acme/app/manifests/latest", ""),
        ("GET /v2/acme/app/blobs/sha256:" + new string('a', 64), ""),
        ("GET /v2/acme/app/tags/list?n=3", ""),
        ("DELETE /v2/acme/app/manifests/gone", ""),
        ("DELETE " + Uploads + "none?_state=x", ""),
        ("GET " + Uploads + "none?_state=x", ""),
        ("POST " + Uploads, ""),
        ("PATCH " + Uploads + "none?_state=x", "Content-Length: 5\r\n\r\nhello"),
        ("PATCH " + Uploads + "none?_state=y", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("PUT /v2/acme/app/manifests/v1", "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"),
        ("GET /token?service=registry.docker.io&scope=repository:acme/app:pull", ""),
        ("POST /token", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 64\r\n\r\ngrant_type=password&service=s&username=bob&password=dckr_pat_bob"),
    ];

    [Theory]
    [MemberData(nameof(HopByHop))]
    public async Task What_is_about_the_clients_connection_changes_nothing(string headers)
    {
        foreach (var (line, body) in Requests)
        {
            var plain = await AskAsync(line, "", body);
            var other = await AskAsync(line, headers, body);
            Assert.Equal(plain, other);
            Assert.Equal(line.Split(' ')[0], plain.Method);
        }
    }

    [Theory]
    [InlineData("DELETE", "manifests/audited-1")]
    [InlineData("DELETE", "blobs/uploads/audited-2")]
    [InlineData("POST", "blobs/uploads/")]
    [InlineData("PUT", "blobs/uploads/audited-4?digest=sha256:0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task The_audit_has_the_method_that_upstream_got(string method, string resource)
    {
        _world.Hub.Requests.Clear();
        var id = Guid.NewGuid().ToString("N");
        await _world.SendRawAsync(
            $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {_world.Mirror.Authority}\r\nUser-Agent: {id}\r\nAuthorization: Bearer {Token()}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
            + "Content-Length: 0\r\n\r\n");
        Assert.Equal(method, Assert.Single(_world.Hub.Requests.Of(Face.Registry)).Method);
        JsonElement[] found = [];
        await Eventually.TrueAsync(() => (found = [.. ReadAudit().Where(line => line.TryGetProperty("userAgent", out var agent) && agent.GetString() == id)]).Length > 0);
        Assert.Equal(method, Assert.Single(found).GetProperty("method").GetString());
    }

    [Fact]
    public async Task A_clients_trailers_go_no_further()
    {
        string? received = null;
        using var fault = _world.Hub.Faults.Add(Face.Registry, request => request.Method == "PATCH", Fault.Custom(async (http, _) =>
        {
            using var body = new StreamReader(http.Request.Body);
            var text = await body.ReadToEndAsync();
            received = $"{text} {http.Features.Get<IHttpRequestTrailersFeature>()?.Trailers.Count} {http.Request.Headers.Trailer}";
            http.Response.StatusCode = 202;
        }));
        var answer = await _world.SendRawAsync(
            $"PATCH {Uploads}none HTTP/1.1\r\nHost: {_world.Mirror.Authority}\r\nAuthorization: Bearer {Token()}\r\nConnection: close\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nAuthorization: Bearer x\r\n\r\n");
        Assert.Equal((202, "hello 0 "), (answer.Status, received));
    }

    /// <summary>The listeners speak HTTP/1.1 alone, so there is no extended CONNECT (RFC 8441).</summary>
    [Theory]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0")]
    [InlineData("CONNECT /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: HOST\r\n:protocol: websocket\r\n\r\n")]
    [InlineData("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n")]
    [InlineData("GET /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: HOST\r\n:method: DELETE\r\n\r\n")]
    public async Task What_is_of_another_protocol_reaches_nobody(string request)
    {
        _world.Hub.Requests.Clear();
        var answer = await _world.ExchangeAsync(request.Replace("HOST", _world.Mirror.Authority, StringComparison.Ordinal));
        Assert.DoesNotContain(" 200 OK", answer, StringComparison.Ordinal);
        Assert.Empty(_world.Hub.Requests.All);
    }

    private IEnumerable<JsonElement> ReadAudit()
    {
        if (!File.Exists(_world.AuditFile))
            return [];
        using var reader = new StreamReader(new FileStream(_world.AuditFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        var text = reader.ReadToEnd();
        return [.. text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
    }

    private string Token() => _world.Hub.Signer.IssueToken(draft => draft.For(_world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);

    /// <summary>What upstream got, and the client.</summary>
    private async Task<(string Method, string Target, string Headers, string? Body, int Status, string? Connection)> AskAsync(string line, string headers, string body)
    {
        _world.Hub.Requests.Clear();
        var authorization = line.Contains("/token", StringComparison.Ordinal) ? "" : $"Authorization: Bearer {Token()}\r\n";
        var text = await _world.ExchangeAsync(
            $"{line} HTTP/1.1\r\nHost: {_world.Mirror.Authority}\r\nUser-Agent: test/1\r\nAccept: application/json\r\nExpect: 100-continue\r\n{authorization}{headers}Connection: close\r\n{(body.Length > 0 ? body : "\r\n")}");
        const string Interim = "HTTP/1.1 100 Continue\r\n\r\n";
        var answer = RawAnswer.Parse(text.StartsWith(Interim, StringComparison.Ordinal) ? text[Interim.Length..] : text);
        var asked = Assert.Single(_world.Hub.Requests.All, request => !request.RawTarget.Contains("hello-world", StringComparison.Ordinal)); // the first token's key is learnt
        var sent = string.Join('\n', asked.Headers.Where(header => header.Key != "Authorization").OrderBy(header => header.Key, StringComparer.Ordinal).Select(header => $"{header.Key}: {header.Value}"));
        return (asked.Method, asked.RawTarget, sent, asked.Body, answer.Status, answer.Header("Connection"));
    }
}

public sealed class HopByHopTests_direct(SharedSurroundings shared) : HopByHopTests(shared), IClassFixture<SharedSurroundings>;

public sealed class HopByHopTests_kestrel(KestrelSurroundings shared) : HopByHopTests(shared), IClassFixture<KestrelSurroundings>;

/// <summary>The same under Docker Hub's own names, where the search is too.</summary>
public sealed class HopByHopUnderDockerHubsNamesTests(IngressRoom room) : IClassFixture<IngressRoom>
{
    [Theory]
    [InlineData("DELETE", "registry-1.docker.io", "/v2/acme/app/manifests/gone", Face.Registry)]
    [InlineData("POST", "index.docker.io", "/v2/acme/app/blobs/uploads/", Face.Registry)]
    [InlineData("GET", "registry-1.docker.io", "/v2/acme/app/manifests/latest", Face.Registry)]
    [InlineData("GET", "auth.docker.io", "/token?service=registry.docker.io", Face.Auth)]
    [InlineData("GET", "index.docker.io", "/v1/search?q=nginx", Face.Index)]
    public async Task Upstream_gets_the_method_and_the_listed_headers(string method, string host, string target, Face face)
    {
        var token = host == "auth.docker.io" ? null : room.World.Hub.Signer.IssueToken(
            draft => draft.For(room.World.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);
        foreach (var upgrade in new[] { "websocket", "h2c", "SPDY/3" })
        {
            var request = IngressRoom.Request(method, host, target, token, "test/1")
                .Replace("Connection: close\r\n", $"Connection: Upgrade, HTTP2-Settings, X-Other, close\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Other: 1\r\n", StringComparison.Ordinal);
            foreach (var ask in new[] { room.AskGatewayAsync, room.AskForwardProxyAsync })
            {
                room.World.Hub.Requests.Clear();
                var answer = await ask(host, request);
                Assert.NotEqual(101, answer.Status);
                var asked = Assert.Single(room.World.Hub.Requests.Of(face));
                Assert.Equal(method, asked.Method);
                Assert.All(asked.Headers.Keys, name => Assert.Contains(name, new[] { "Authorization", "Content-Length", "Host", "User-Agent", "Via" }));
            }
        }
    }
}

/// <summary>What upstream says about its own connection ends there too.</summary>
public abstract class UpstreamConnectionTests(string transport) : WalkTests(transport)
{
    [Theory]
    [InlineData("GET", "manifests/latest")]
    [InlineData("GET", "tags/list")]
    [InlineData("GET", "blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("PATCH", "blobs/uploads/abc")]
    [InlineData("DELETE", "manifests/latest")]
    public async Task Its_trailers_and_headers_go_no_further(string method, string resource)
    {
        await using var upstream = new RawServer(async connection =>
        {
            while (await connection.ReadHeadAsync() is not null)
            {
                await connection.WriteAsync(
                    "HTTP/1.1 404 Not Found\r\nConnection: keep-alive, X-Other\r\nX-Other: 1\r\nKeep-Alive: timeout=77\r\nTrailer: X-Checksum\r\nUpgrade: h2c\r\nProxy-Authenticate: Basic\r\n"
                    + "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\nX-Checksum: 77\r\nDocker-Content-Digest: sha256:77\r\n\r\n");
            }
        });
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        var text = await world.ExchangeAsync(Request(world, method, resource));
        var answer = RawAnswer.Parse(text);
        Assert.Equal((404, "{}"), (answer.Status, answer.Body));
        foreach (var part in new[] { "77", "X-Other", "Upgrade", "Trailer", "Proxy-Auth", "Keep-Alive" })
            Assert.DoesNotContain(part, text, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Nobody has asked upstream for another protocol.</summary>
    [Theory]
    [InlineData("GET", "manifests/latest")]
    [InlineData("HEAD", "manifests/latest")]
    [InlineData("GET", "tags/list")]
    [InlineData("POST", "blobs/uploads/")]
    [InlineData("PATCH", "blobs/uploads/abc")]
    [InlineData("DELETE", "manifests/latest")]
    public async Task Another_protocol_is_no_answer(string method, string resource)
    {
        await using var upstream = new RawServer(async connection =>
        {
            while (await connection.ReadHeadAsync() is not null)
                await connection.WriteAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecrets of another protocol");
        });
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        var text = await world.ExchangeAsync(Request(world, method, resource));
        var answer = RawAnswer.Parse(text);
        Assert.Equal((502, "upstream answered 101, as to a request for another protocol, which was none"), (answer.Status, answer.Phrase));
        Assert.DoesNotContain("secrets", text, StringComparison.Ordinal);
    }

    private static string Request(Surroundings world, string method, string resource)
    {
        var token = world.Hub.Signer.IssueToken(draft => draft.For(world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);
        return $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nAuthorization: Bearer {token}\r\n"
            + (method == "PATCH" ? "Content-Length: 5\r\n\r\nhello" : "\r\n");
    }
}

public sealed class UpstreamConnectionTests_direct() : UpstreamConnectionTests(Direct);

public sealed class UpstreamConnectionTests_kestrel() : UpstreamConnectionTests(Kestrel);
