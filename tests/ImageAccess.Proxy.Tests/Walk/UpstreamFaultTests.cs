using System.Net;
using ImageAccess.FakeHubs;
using Microsoft.AspNetCore.Http;

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
    public async Task A_manifest_that_does_not_arrive_whole_is_a_502(string fault, string message)
    {
        await using var broken = new BrokenServer(fault switch
        {
            "of no length" => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}",
            "chunked and cut" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            "closed" => "",
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
    [InlineData("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/app:pull\",error=\"insufficient_scope\"", ",scope=\"repository:acme/app:pull\",error=\"insufficient_scope\"")]
    [InlineData("Bearer realm=\"https://evil.example.com/token\",service=\"registry.docker.io\"", ",scope=\"repository:acme/app:pull\"")]
    [InlineData("Bearer realm=\"https://auth.docker.io/token\",error=\"invalid_token\"", ",scope=\"repository:acme/app:pull\",error=\"invalid_token\"")]
    [InlineData("Basic realm=\"give me your password\"", ",scope=\"repository:acme/app:pull\"")]
    [InlineData("Basic realm=\"x\"|Bearer realm=\"y\",service=\"registry.docker.io\",scope=\"repository:acme/app:pull,push\"", ",scope=\"repository:acme/app:pull,push\"")]
    [InlineData("Negotiate", ",scope=\"repository:acme/app:pull\"")]
    [InlineData("Bearer", ",scope=\"repository:acme/app:pull\"")]
    [InlineData("Bearer realm=\"never closed", ",scope=\"repository:acme/app:pull\"")]
    [InlineData("", ",scope=\"repository:acme/app:pull\"")]
    public async Task A_challenge_of_upstream_leads_to_the_proxys_token_face(string challenge, string rest)
    {
        const string Body = """{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}""";
        _surroundings.Hub.Faults.Add(Face.Registry, Unauthorized(Body, challenge));
        var answer = await AskAsync("GET", Manifest, "pull");

        Assert.Equal((401, Body), (answer.Status, answer.Body));
        Assert.Equal($"Bearer realm=\"http://{_surroundings.Mirror.Authority}/token\",service=\"registry.docker.io\"{rest}", answer.Header("WWW-Authenticate"));
    }

    /// <summary>Whatever was asked, a client learns where to get the token that it needs.</summary>
    [Theory]
    [InlineData("HEAD", Manifest, "repository:acme/app:pull")]
    [InlineData("GET", "/v2/acme/app/manifests/DIGEST", "repository:acme/app:pull")]
    [InlineData("GET", "/v2/acme/app/blobs/DIGEST", "repository:acme/app:pull")]
    [InlineData("HEAD", "/v2/acme/app/blobs/DIGEST", "repository:acme/app:pull")]
    [InlineData("GET", "/v2/acme/app/tags/list?nextToken=2", "repository:acme/app:pull")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST", "repository:acme/app:pull")]
    [InlineData("POST", Uploads, "repository:acme/app:pull,push")]
    [InlineData("POST", Uploads + "?mount=DIGEST&from=nginx", "repository:acme/app:pull,push repository:library/nginx:pull")]
    [InlineData("POST", Uploads + "?mount=DIGEST&from=someuser/custom-image", "repository:acme/app:pull,push repository:someuser/custom-image:pull")]
    [InlineData("POST", Uploads + "?mount=DIGEST&from=acme/app", "repository:acme/app:pull,push")]
    [InlineData("GET", Uploads + "abc?_state=x", "repository:acme/app:pull,push")]
    [InlineData("PATCH", Uploads + "abc?_state=x", "repository:acme/app:pull,push")]
    [InlineData("PUT", Uploads + "abc?_state=x&digest=DIGEST", "repository:acme/app:pull,push")]
    [InlineData("DELETE", Uploads + "abc?_state=x", "repository:acme/app:pull,push")]
    [InlineData("PUT", "/v2/acme/app/manifests/v1", "repository:acme/app:pull,push")]
    [InlineData("DELETE", "/v2/acme/app/manifests/v1", "repository:acme/app:delete")]
    public async Task A_401_without_a_challenge_gets_one(string method, string target, string scope)
    {
        const string Body = "{\"message\":\"no\"}";
        target = target.Replace("DIGEST", "sha256:" + new string('a', 64), StringComparison.Ordinal);
        _surroundings.Hub.Faults.Add(Face.Registry, Unauthorized(Body, ""));
        var answer = await AskAsync(method, target, "pull", "push", "delete");

        Assert.Equal((401, method == "HEAD" ? "" : Body), (answer.Status, answer.Body));
        var challenge = $"Bearer realm=\"http://{_surroundings.Mirror.Authority}/token\",service=\"registry.docker.io\",scope=\"{scope}\"";
        Assert.Equal(challenge, answer.Header("WWW-Authenticate"));

        var own = await _surroundings.AskAsync(method, target); // without a token the proxy itself says the same
        Assert.Equal((401, challenge), (own.Status, own.Header("WWW-Authenticate")));
        Assert.All(method == "HEAD" ? [] : scope.Split(' '), one => Assert.Contains($"\"Name\":\"{one.Split(':')[1]}\"", own.Body, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_401_of_upstream_has_a_challenge_with_the_cache_too()
    {
        await using var keeping = await StartAsync(settings: ("Cache:Enabled", "true"));
        keeping.Hub.Faults.Add(Face.Registry, Unauthorized("no", ""));
        var token = await keeping.PullTokenAsync("bob", "acme/app");
        foreach (var target in new[] { Manifest, "/v2/acme/app/manifests/sha256:" + new string('a', 64), "/v2/acme/app/blobs/sha256:" + new string('a', 64) })
        {
            foreach (var method in new[] { "HEAD", "GET" })
            {
                var answer = await keeping.AskAsync(method, target, token);
                Assert.Equal(401, answer.Status);
                Assert.EndsWith("/token\",service=\"registry.docker.io\",scope=\"repository:acme/app:pull\"", answer.Header("WWW-Authenticate"), StringComparison.Ordinal);
            }
        }
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
            var message = "tokens cannot be verified at the moment, try again";
            Assert.Equal((503, "UNAVAILABLE", target == Manifest ? $"image access unavailable: {message} (ask in #platform)" : message), (answer.Status, answer.Code, answer.Message));
        }

        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>401 with these challenges, which <c>|</c> parts.</summary>
    private static Fault Unauthorized(string body, string challenges) => Fault.Custom((http, _) =>
    {
        if (challenges.Length > 0)
            http.Response.Headers.WWWAuthenticate = challenges.Split('|');
        http.Response.StatusCode = 401;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        return http.Request.Method == "HEAD" ? Task.CompletedTask : http.Response.WriteAsync(body);
    });

    private Task<RawAnswer> AskAsync(string method, string target, params string[] actions) => _surroundings.AskAsync(
        method, target, _surroundings.Hub.Signer.IssueToken(draft => draft.For(_surroundings.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", actions)]));
}

public sealed class UpstreamFaultTests_direct() : UpstreamFaultTests(Direct);

public sealed class UpstreamFaultTests_kestrel() : UpstreamFaultTests(Kestrel);
