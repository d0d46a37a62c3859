using System.Net;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What upstream is asked, byte for byte, and how bodies cross the proxy.</summary>
public abstract class ForwardingTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Uploads = "/v2/acme/app/blobs/uploads/";
    private const int Large = 40 * 1024 * 1024;

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Fact]
    public async Task Only_allowed_headers_go_upstream_and_to_the_CDN_only_the_range()
    {
        var token = await _surroundings.PullTokenAsync("bob", "library/nginx");
        var layer = _surroundings.Hub.Images.FindManifest("library/nginx", "latest")!.Layers[0];
        var answer = await _surroundings.SendRawAsync(
            $"GET /v2/nginx/blobs/{layer}?ns=docker.io&x=y HTTP/1.1\r\nHost: {_surroundings.Mirror.Authority}\r\nAuthorization: Bearer {token}\r\n"
            + "Accept: application/octet-stream\r\nRange: bytes=0-3\r\nUser-Agent: docker/28\r\nIf-None-Match: \"x\"\r\n"
            + "Cookie: a=b\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: evil.example.com\r\nX-Forwarded-Proto: https\r\nForwarded: for=10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\n"
            + "Accept-Encoding: gzip\r\nAccept-Language: de\r\nProxy-Authorization: Basic YTpi\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nVia: 1.1 x\r\n"
            + $"Referer: http://x/\r\nOrigin: http://x\r\nIf-Range: \"{layer}\"\r\nX-Anything: y\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: close, X-Anything\r\n\r\n");

        Assert.Equal(206, answer.Status);
        var asked = Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry));
        Assert.Equal($"/v2/library/nginx/blobs/{layer}", asked.RawTarget);
        Assert.Equal(["Authorization", "Host", "Range", "User-Agent", "Via"], asked.Headers.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((_surroundings.Hub.Registry.Authority, "docker/28"), (asked.Host, asked.Header("User-Agent")));

        var fetched = Assert.Single(_surroundings.Hub.Requests.Of(Face.Cdn));
        Assert.Equal(["Host", "Range", "User-Agent", "Via"], fetched.Headers.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("bytes=0-3", "ImageAccess.Proxy/0.1"), (fetched.Header("Range"), fetched.Header("User-Agent")));
    }

    [Theory]
    [InlineData("?_state=a%2fB%2Bc+d~==&x=%E2%82%AC&y&z=%zz", "", "")]
    [InlineData("?_state=a%2fB%2Bc+d~==", "&digest=sha256%3ADIGEST", "&digest=sha256%3ADIGEST")]
    [InlineData("?_state=a%2fB%2Bc+d~==", "&digest=sha256:DIGEST", "&digest=sha256%3ADIGEST")]
    [InlineData("?%zz=1&_state=a%3D%3D&%C3%A9=2", "", "")]
    [InlineData("?_state=a%3D%3D&ns2=x", "&ns=docker.io&digest=sha256:DIGEST", "&digest=sha256%3ADIGEST")]
    [InlineData("", "?digest=sha256:DIGEST", "?digest=sha256%3ADIGEST")]
    public async Task The_state_of_an_upload_goes_back_byte_for_byte(string state, string added, string sent)
    {
        var hex = new string('b', 64);
        var token = Token("acme/app", "pull", "push");
        var registry = _surroundings.Hub.Registry.GetLeftPart(UriPartial.Authority);
        var mirror = _surroundings.Mirror.GetLeftPart(UriPartial.Authority);
        const string Session = Uploads + "Abc_-.=1";
        _surroundings.Hub.Faults.Add(Face.Registry, request => request.Method == "POST", Fault.Status(202, headers: ("Location", registry + Session + state)));
        _surroundings.Hub.Faults.Add(Face.Registry, request => request.Method is "PUT", Fault.Status(201, headers: ("Location", $"{registry}/v2/acme/app/blobs/sha256:{hex}")));

        var start = await _surroundings.AskAsync("POST", Uploads, token);
        Assert.Equal(mirror + Session + state, start.Header("Location"));

        var end = await _surroundings.AskAsync("PUT", start.Header("Location")![mirror.Length..] + added.Replace("DIGEST", hex, StringComparison.Ordinal), token);
        Assert.Equal((201, $"{mirror}/v2/acme/app/blobs/sha256:{hex}"), (end.Status, end.Header("Location")));
        Assert.Equal(Session + state + sent.Replace("DIGEST", hex, StringComparison.Ordinal), _surroundings.Hub.Requests.Of(Face.Registry)[1].RawTarget);
    }

    [Theory]
    [InlineData("?mount=DIGEST&from=library%2Fnginx", "?mount=DIGEST&from=library%2Fnginx", 201)]
    [InlineData("?from=nginx&mount=DIGEST", "?mount=DIGEST&from=library%2Fnginx", 201)]
    [InlineData("?mount=DIGEST&from=someuser%2Fcustom-image", "", 202)]
    [InlineData("?mount=DIGEST&from=bitnami/redis", "", 202)]
    [InlineData("?mount=DIGEST", "", 202)]
    [InlineData("?from=library/nginx", "", 202)]
    public async Task A_mount_needs_its_source_to_be_allowed(string query, string sent, int status)
    {
        var from = query.Contains("someuser", StringComparison.Ordinal) ? "someuser/custom-image" : query.Contains("bitnami", StringComparison.Ordinal) ? "bitnami/redis" : "library/nginx";
        var digest = _surroundings.Hub.Images.FindManifest(from, "latest")!.Layers[0];
        var token = _surroundings.Hub.Signer.IssueToken(draft => draft.For(_surroundings.Hub.Users.Find("bob")!).Access =
            [new TokenAccess("acme/app", "pull", "push"), new TokenAccess(from, "pull")]);

        var answer = await _surroundings.AskAsync("POST", Uploads + query.Replace("DIGEST", Uri.EscapeDataString(digest), StringComparison.Ordinal), token);

        Assert.Equal(status, answer.Status);
        Assert.Equal(Uploads + sent.Replace("DIGEST", Uri.EscapeDataString(digest), StringComparison.Ordinal), Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry)).RawTarget);
        Assert.Equal(status == 201, _surroundings.Hub.Images.FindBlob("acme/app", digest) is not null);
    }

    [Fact]
    public async Task A_mount_whose_source_cannot_be_verified_goes_without()
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.Status(500));
        var answer = await _surroundings.AskAsync("POST", $"{Uploads}?mount=sha256:{new string('a', 64)}&from=bitnami/redis", Token("acme/app", "pull", "push"));
        Assert.Equal(202, answer.Status);
        Assert.Equal(Uploads, Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry)).RawTarget);
    }

    /// <summary>The client has half of the blob in its hands before the CDN sends the rest: nothing waits for a whole body.</summary>
    [Fact]
    public async Task A_large_download_is_streamed()
    {
        var content = RandomNumberGenerator.GetBytes(Large);
        var digest = _surroundings.Hub.Images.PushBlob("acme/app", content);
        var half = new TaskCompletionSource();
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = Large;
            await http.Response.Body.WriteAsync(content.AsMemory(0, Large / 2));
            await http.Response.Body.FlushAsync();
            await half.Task;
            await http.Response.Body.WriteAsync(content.AsMemory(Large / 2));
        }));

        using var request = Request(HttpMethod.Get, $"/v2/acme/app/blobs/{digest}");
        using var answer = await _surroundings.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var body = await answer.Content.ReadAsStreamAsync();
        var received = new byte[Large];
        await body.ReadExactlyAsync(received.AsMemory(0, Large / 2));
        half.SetResult();
        await body.ReadExactlyAsync(received.AsMemory(Large / 2));

        Assert.Equal(Large, answer.Content.Headers.ContentLength);
        Assert.Equal(digest, FakeRegistry.DigestOf(received));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_large_upload_is_streamed(bool chunked)
    {
        var content = RandomNumberGenerator.GetBytes(Large);
        var arrived = new TaskCompletionSource();
        var received = new byte[Large];
        _surroundings.Hub.Faults.Add(Face.Registry, request => request.Method == "PATCH", Fault.Custom(async (http, _) =>
        {
            // Less than the half: the end of what was sent last may wait in a buffer for more.
            await http.Request.Body.ReadExactlyAsync(received.AsMemory(0, Large / 4));
            arrived.SetResult();
            await http.Request.Body.ReadExactlyAsync(received.AsMemory(Large / 4));
            http.Response.StatusCode = 202;
            http.Response.ContentLength = 0;
        }));

        using var request = Request(HttpMethod.Patch, Uploads + "abc?_state=x");
        request.Content = new TwoHalves(content, arrived.Task, chunked);
        using var answer = await _surroundings.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        Assert.Equal(FakeRegistry.DigestOf(content), FakeRegistry.DigestOf(received));
    }

    [Fact]
    public async Task An_upload_that_breaks_off_is_the_clients_fault_and_stores_nothing()
    {
        var token = Token("acme/app", "pull", "push");
        var digest = FakeRegistry.DigestOf("hello"u8);
        var answer = await _surroundings.SendRawAsync(
            $"POST {Uploads}?digest={digest} HTTP/1.1\r\nHost: {_surroundings.Mirror.Authority}\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");

        Assert.Equal((400, "UNSUPPORTED"), (answer.Status, answer.Code));
        Assert.Null(_surroundings.Hub.Images.FindBlob("acme/app", digest));
    }

    private string Token(string repository, params string[] actions) => _surroundings.Hub.Signer.IssueToken(draft =>
        draft.For(_surroundings.Hub.Users.Find("bob")!).Access = [new TokenAccess(repository, actions)]);

    private HttpRequestMessage Request(HttpMethod method, string target) => new(method, target)
    {
        Headers = { { "Authorization", "Bearer " + Token("acme/app", "pull", "push") } },
    };

    /// <summary>A body whose second half is sent once somebody has received something of the first.</summary>
    private sealed class TwoHalves(byte[] content, Task firstReceived, bool chunked) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(content.AsMemory(0, content.Length / 2));
            await stream.FlushAsync();
            await firstReceived;
            await stream.WriteAsync(content.AsMemory(content.Length / 2));
        }

        protected override bool TryComputeLength(out long length)
        {
            length = content.Length;
            return !chunked;
        }
    }
}

public sealed class ForwardingTests_direct() : ForwardingTests(Direct);

public sealed class ForwardingTests_kestrel() : ForwardingTests(Kestrel);
