using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What upstream does wrong never becomes a complete answer, and what it says is not lost.</summary>
public abstract class UpstreamFaultTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Manifest = "/v2/acme/app/manifests/latest";
    private const string Uploads = "/v2/acme/app/blobs/uploads/";
    private const string Unreachable = "Docker Hub could not be reached";

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    [InlineData("truncated", Unreachable)]
    [InlineData("closed", Unreachable)]
    [InlineData("chunked and cut", Unreachable)]
    [InlineData("of no length", "upstream's answer does not say how long it is")]
    [InlineData("oversized", "upstream's answer is larger than 4 MiB")]
    [InlineData("endless", Unreachable)]
    public async Task A_manifest_that_does_not_arrive_whole_is_a_502(string fault, string message)
    {
        await using var broken = new BrokenServer(fault switch
        {
            "of no length" => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}",
            "chunked and cut" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            "closed" => "",
            "oversized" => "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n{",
            "endless" => $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{string.Concat(Enumerable.Repeat($"100000\r\n{new string('a', 0x100000)}\r\n", 5))}",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        });
        await using var other = await StartAsync(settings: ("Upstream:Registry", broken.Address));

        foreach (var target in new[] { Manifest, "/v2/acme/app/tags/list", "/v2/acme/app/referrers/sha256:" + new string('a', 64) })
        {
            var answer = await other.AskAsync("GET", target, await other.PullTokenAsync("bob", "acme/app"));
            Assert.Equal((502, "UNAVAILABLE", message), (answer.Status, answer.Code, answer.Message));
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true)]
    [InlineData("HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\nhello", true)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\nhello", false)]
    [InlineData("HTTP/1.0 200 OK\r\n\r\nhello", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", false)]
    [InlineData("HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello", false)]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", false)]
    public async Task A_blob_that_does_not_arrive_whole_is_never_complete(string bytes, bool begins)
    {
        await using var broken = new BrokenServer(bytes);
        await using var other = await StartAsync(settings: ("Upstream:Registry", broken.Address));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v2/acme/app/blobs/sha256:" + new string('a', 64));
        request.Headers.Add("Authorization", "Bearer " + await other.PullTokenAsync("bob", "acme/app"));
        if (begins)
            await Assert.ThrowsAsync<HttpRequestException>(() => other.Client.SendAsync(request));
        else
            Assert.Equal(HttpStatusCode.BadGateway, (await other.Client.SendAsync(request)).StatusCode);
    }

    [Theory]
    [InlineData("https://evil.example.com/v2/acme/app/blobs/uploads/abc")]
    [InlineData("//evil.example.com/v2/acme/app/blobs/uploads/abc")]
    [InlineData("REGISTRY.example.com/v2/acme/app/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/other/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/app2/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/app/../other/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/app/%2e%2e/other/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/app//blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/acme/app/x/blobs/uploads/abc")]
    [InlineData(@"REGISTRY/v2/acme/app/\..\other/blobs/uploads/abc")]
    [InlineData("REGISTRY/v2/_catalog")]
    [InlineData("REGISTRY/token")]
    [InlineData("blobs/uploads/abc")]
    [InlineData("")]
    public async Task A_Location_that_leads_out_of_the_repository_is_a_502(string location)
    {
        var address = location.Replace("REGISTRY", _surroundings.Hub.Registry.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal);
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Status(202, headers: ("Location", address)));
        var answer = await AskAsync("POST", Uploads, "pull", "push");

        Assert.Equal((502, "upstream's Location leads out of the repository"), (answer.Status, answer.Message));
        Assert.Null(answer.Header("Location"));
    }

    [Theory]
    [InlineData("<https://evil.example.com/v2/acme/app/tags/list?n=1>; rel=\"next\"", "leads out of the repository")]
    [InlineData("</v2/acme/other/tags/list?n=1>; rel=\"next\"", "leads out of the repository")]
    [InlineData("</v2/acme/app/../other/tags/list?n=1>; rel=\"next\"", "leads out of the repository")]
    [InlineData("</v2/_catalog?n=1>; rel=\"next\"", "leads out of the repository")]
    [InlineData("/v2/acme/app/tags/list?n=1", "cannot be read")]
    [InlineData("</v2/acme/app/tags/list?n=1", "cannot be read")]
    public async Task A_Link_that_leads_out_of_the_repository_is_a_502(string link, string problem)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.WithHeader("Link", link));
        var answer = await AskAsync("GET", "/v2/acme/app/tags/list", "pull");
        Assert.Equal((502, $"upstream's Link {problem}"), (answer.Status, answer.Message));
    }

    [Theory]
    [InlineData("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/app:pull\",error=\"insufficient_scope\"", ",scope=\"repository:acme/app:pull\",error=\"insufficient_scope\"")]
    [InlineData("Bearer realm=\"https://evil.example.com/token\",service=\"registry.docker.io\"", "")]
    [InlineData("Basic realm=\"give me your password\"", "")]
    [InlineData("Negotiate", "")]
    public async Task A_challenge_of_upstream_leads_to_the_proxys_token_face(string challenge, string rest)
    {
        const string Body = """{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}""";
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Status(401, Body, headers: ("WWW-Authenticate", challenge)));
        var answer = await AskAsync("GET", Manifest, "pull");

        Assert.Equal((401, Body), (answer.Status, answer.Body));
        Assert.Equal($"Bearer realm=\"http://{_surroundings.Mirror.Authority}/token\",service=\"registry.docker.io\"{rest}", answer.Header("WWW-Authenticate"));
    }

    [Fact]
    public async Task A_captive_portals_page_keeps_its_type()
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Status(200, "<html>sign in to the network</html>", "text/html"));
        var answer = await AskAsync("GET", Manifest, "pull");
        Assert.Equal((200, "text/html", null), (answer.Status, answer.Header("Content-Type"), answer.Header("Docker-Content-Digest")));
    }

    [Fact]
    public async Task Unfit_bytes_in_upstreams_headers_do_not_pass()
    {
        await using var broken = new BrokenServer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDocker-Content-Digest: sha256:\u00e9\r\nRetry-After: 5\r\nServer: x\r\n\r\n{}");
        await using var other = await StartAsync(settings: ("Upstream:Registry", broken.Address));
        var answer = await other.AskAsync("GET", Manifest, await other.PullTokenAsync("bob", "acme/app"));
        Assert.Equal((200, "5", null, null), (answer.Status, answer.Header("Retry-After"), answer.Header("Docker-Content-Digest"), answer.Header("Server")));
    }

    [Fact]
    public async Task Without_a_key_nothing_is_decided()
    {
        _surroundings.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        foreach (var target in new[] { Manifest, "/v2/" })
        {
            var answer = await AskAsync("GET", target, "pull");
            Assert.Equal((503, "UNAVAILABLE", "tokens cannot be verified at the moment, try again"), (answer.Status, answer.Code, answer.Message));
        }

        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    private Task<RawAnswer> AskAsync(string method, string target, params string[] actions) => _surroundings.AskAsync(
        method, target, _surroundings.Hub.Signer.IssueToken(draft => draft.For(_surroundings.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", actions)]));
}

public sealed class UpstreamFaultTests_direct() : UpstreamFaultTests(Direct);

public sealed class UpstreamFaultTests_kestrel() : UpstreamFaultTests(Kestrel);
