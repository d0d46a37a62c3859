using ImageAccess.FakeHubs;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Another server answers in Docker Hub's place: its pages do not pass as if they were the registry's.</summary>
public abstract class AnotherServerTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Page = "<html>the page of somebody else</html>";

    private static readonly string Digest = "sha256:" + new string('a', 64);

    private Surroundings _here = null!;

    public async Task InitializeAsync() => _here = await StartAsync();

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData(200, "text/html", "HEAD", "manifests/latest")]
    [InlineData(200, "text/html; charset=utf-8", "GET", "manifests/latest")]
    [InlineData(404, "text/html", "GET", "manifests/latest")]
    [InlineData(404, "text/plain", "GET", "manifests/DIGEST")]
    [InlineData(403, "TEXT/HTML", "GET", "tags/list")]
    [InlineData(200, "text/plain", "GET", "referrers/DIGEST")]
    [InlineData(401, "text/html", "HEAD", "blobs/DIGEST")]
    [InlineData(200, "text/html", "GET", "blobs/DIGEST")]
    [InlineData(404, "text/html", "DELETE", "manifests/latest")]
    [InlineData(405, "text/html", "POST", "blobs/uploads/")]
    public async Task Its_page_is_a_502_that_says_so(int status, string mediaType, string method, string endpoint)
    {
        using var other = _here.Hub.Faults.Add(Face.Registry, WithoutMark(status, mediaType));
        var token = _here.Hub.Signer.IssueToken(draft => draft.For(_here.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);
        var answer = await _here.AskAsync(method, $"/v2/acme/app/{endpoint.Replace("DIGEST", Digest, StringComparison.Ordinal)}", token);

        var plain = mediaType.Split(';')[0];
        var message = $"another server answers in the place of Docker Hub's registry ({status}, {plain})";
        Assert.Equal((502, message), (answer.Status, answer.Phrase));
        Assert.DoesNotContain("somebody else", answer.Body, StringComparison.Ordinal);
        var line = Assert.Single(_here.Log.At(LogLevel.Warning));
        Assert.EndsWith($"{message} ({_here.Hub.Registry.Authority}; look at Upstream:Registry)", line, StringComparison.Ordinal);
        using var admin = Surroundings.NewClient(_here.Admin);
        Assert.Contains("another server answers in the place of", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
    }

    /// <summary>What a registry, or what stands before it, says passes as it is.</summary>
    [Theory]
    [InlineData(503, "text/html", false)]
    [InlineData(429, "text/plain", false)]
    [InlineData(404, "application/json", false)]
    [InlineData(404, "text/plain", true)]
    public async Task What_the_registry_may_have_said_passes(int status, string mediaType, bool hasMark)
    {
        using var said = _here.Hub.Faults.Add(Face.Registry, hasMark ? Fault.Status(status, Page, mediaType, ("Docker-Distribution-Api-Version", "registry/2.0")) : WithoutMark(status, mediaType));
        var answer = await _here.AskAsync("GET", "/v2/acme/app/manifests/latest", await _here.PullTokenAsync("bob", "acme/app"));
        Assert.Equal((status, mediaType, Page), (answer.Status, answer.Header("Content-Type"), answer.Body));
    }

    /// <summary>What stands before the registry, and limits requests, says why it refuses one: the client must hear that.</summary>
    [Theory]
    [InlineData("PATCH", "blobs/uploads/abc?_state=x", 413, "text/html")]
    [InlineData("PUT", "blobs/uploads/abc?_state=x&digest=DIGEST", 413, "text/html")]
    [InlineData("PUT", "manifests/latest", 413, "text/plain")]
    [InlineData("PATCH", "blobs/uploads/abc?_state=x", 400, "text/html")]
    [InlineData("PATCH", "blobs/uploads/abc?_state=x", 408, "text/plain")]
    [InlineData("PUT", "blobs/uploads/abc?_state=x&digest=DIGEST", 414, "text/html")]
    [InlineData("GET", "manifests/latest", 431, "text/html")]
    public async Task A_refusal_by_what_stands_before_the_registry_reaches_the_client(string method, string endpoint, int status, string mediaType)
    {
        using var said = _here.Hub.Faults.Add(Face.Registry, WithoutMark(status, mediaType));
        var token = _here.Hub.Signer.IssueToken(draft => draft.For(_here.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push")]);
        var answer = await _here.SendRawAsync(
            $"{method} /v2/acme/app/{endpoint.Replace("DIGEST", Digest, StringComparison.Ordinal)} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\n"
            + $"Authorization: Bearer {token}\r\n"
            + (method == "GET" ? "\r\n" : "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 2\r\n\r\n{}"));

        Assert.Equal((status, mediaType, Page), (answer.Status, answer.Header("Content-Type"), answer.Body));
        Assert.Empty(_here.Log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData(200, "text/html")]
    [InlineData(404, "text/html")]
    [InlineData(403, "text/plain")]
    [InlineData(302, "text/html")]
    public async Task Its_page_is_no_token(int status, string mediaType)
    {
        using var other = _here.Hub.Faults.Add(Face.Auth, Fault.Status(status, Page, mediaType));
        foreach (var query in new[] { "service=registry.docker.io", "service=registry.docker.io&scope=repository:acme/app:pull" })
        {
            var answer = await _here.AskAsync("GET", $"/token?{query}");
            Assert.Equal((502, $"another server answers in the place of Docker Hub's token service ({status}, {mediaType})"), (answer.Status, answer.Message));
        }

        Assert.All(_here.Log.At(LogLevel.Warning), line => Assert.EndsWith("; look at Upstream:Auth)", line, StringComparison.Ordinal));
        var held = await _here.AskAsync("GET", "/token?service=registry.docker.io&scope=repository:acme/app:pull", null, "docker/28.5.1");
        Assert.Equal(200, held.Status);
        Assert.Contains("\"expires_in\":60", held.Body, StringComparison.Ordinal);
    }

    private static Fault WithoutMark(int status, string mediaType) => Fault.Custom(async (http, _) =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = mediaType;
        http.Response.ContentLength = Page.Length;
        if (http.Request.Method != "HEAD")
            await http.Response.Body.WriteAsync(System.Text.Encoding.ASCII.GetBytes(Page));
    });
}

public sealed class AnotherServerTests_direct() : AnotherServerTests(Direct);

public sealed class AnotherServerTests_kestrel() : AnotherServerTests(Kestrel);
