using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>What is kept serves again: how long without a question, when upstream is asked, and what when it cannot answer.</summary>
public sealed class PullThroughTests : IAsyncLifetime
{
    private const string Manifest = "/v2/library/nginx/manifests/latest";

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;

    public async Task InitializeAsync() => _world = await StartAsync();

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task The_second_pull_asks_upstream_nothing_and_after_the_freshness_one_HEAD()
    {
        var first = await PullAsync("library/nginx");
        _world.Hub.Requests.Clear();

        Assert.Equal(first, await PullAsync("library/nginx"));
        Assert.Empty(Asked());

        _time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(first, await PullAsync("library/nginx"));
        Assert.Equal(["HEAD /v2/library/nginx/manifests/latest"], Asked());

        _world.Hub.Requests.Clear();
        Assert.Equal(first, await PullAsync("library/nginx"));
        Assert.Empty(Asked());
    }

    [Fact]
    public async Task HEAD_and_GET_agree_cold_and_warm()
    {
        foreach (var reference in new[] { "latest", FakeRegistry.DigestOf(_world.Hub.Images.FindManifest("acme/app", "latest")!.Manifest.Span) })
        {
            var target = $"/v2/acme/app/manifests/{reference}";
            var token = await _world.PullTokenAsync("bob", "acme/app");
            var answers = new List<RawAnswer>();
            foreach (var method in new[] { "HEAD", "GET", "HEAD", "GET" })
                answers.Add(await _world.AskAsync(method, target, token));
            Assert.All(answers, answer => Assert.Equal(
                (200, answers[0].Header("Content-Length"), answers[0].Header("Content-Type"), answers[0].Header("Docker-Content-Digest")),
                (answer.Status, answer.Header("Content-Length"), answer.Header("Content-Type"), answer.Header("Docker-Content-Digest"))));
            Assert.Equal(answers[1].Body, answers[3].Body);
        }
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(0)]
    public async Task While_upstream_cannot_answer_the_last_known_digest_serves_and_is_told(int status)
    {
        var first = await PullAsync("library/nginx");
        _time.Advance(TimeSpan.FromMinutes(2));
        _world.Hub.Faults.Add(Face.Registry, status == 0 ? Fault.CloseConnection() : Fault.Status(status));

        var token = await _world.PullTokenAsync(null, "library/nginx");
        var answer = await _world.AskAsync("GET", Manifest, token);
        Assert.Equal((200, "110 - \"Response is Stale\"", first), (answer.Status, answer.Header("Warning"), await PullAsync("library/nginx")));
        Assert.Contains("library/nginx:latest was served from what is kept, because Docker Hub cannot answer: ", _world.Log.ToString(), StringComparison.Ordinal);
        using var admin = Surroundings.NewClient(_world.Admin);
        Assert.Contains("imageaccess_content_served_total{kind=\"manifest\",source=\"stale\"} 2", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
        var ready = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync("/readyz"));
        Assert.Equal("degraded", Text(ready, "status"));
        Assert.Contains("tags are served from what is kept, because Docker Hub cannot answer: ", ready.GetProperty("degraded").GetProperty("upstream").GetString(), StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromHours(24));
        answer = await _world.AskAsync("GET", Manifest, await _world.PullTokenAsync(null, "library/nginx"));
        Assert.Equal((status == 0 ? 502 : status, null), (answer.Status, answer.Header("Warning")));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task What_upstream_refuses_is_the_truth(int status)
    {
        await PullAsync("library/nginx");
        _time.Advance(TimeSpan.FromMinutes(2));
        _world.Hub.Faults.Add(Face.Registry, Fault.Status(status));
        Assert.Equal(status, (await _world.AskAsync("GET", Manifest, await _world.PullTokenAsync(null, "library/nginx"))).Status);
    }

    [Fact]
    public async Task A_missing_tag_may_serve_as_if_upstream_could_not_answer()
    {
        await using var lenient = await StartAsync(("Cache:StaleWhenMissing", "true"));
        var token = await lenient.PullTokenAsync(null, "library/nginx");
        Assert.Equal(200, (await lenient.AskAsync("GET", Manifest, token)).Status);
        _time.Advance(TimeSpan.FromMinutes(2));
        lenient.Hub.Faults.Add(Face.Registry, Fault.Status(404));
        Assert.Equal((200, "110 - \"Response is Stale\""), await lenient.AskAsync("GET", Manifest, token) is var answer ? (answer.Status, answer.Header("Warning")) : default);
    }

    [Fact]
    public async Task A_tag_that_moved_is_seen_after_its_freshness_and_is_in_the_audit_with_both_digests()
    {
        await PullAsync("library/nginx");
        var first = await DigestAsync();
        _world.Hub.Images.PushImage("library/nginx", "latest", ["another layer"u8.ToArray()]);
        Assert.Equal(first, await DigestAsync());

        _time.Advance(TimeSpan.FromMinutes(2));
        var second = await DigestAsync();
        Assert.NotEqual(first, second);
        await Eventually.TrueAsync(() => File.Exists(_world.AuditFile) && ReadAudit().Any(audit => audit.TryGetProperty("formerDigest", out _)));
        var moved = ReadAudit().Single(audit => audit.TryGetProperty("formerDigest", out _));
        Assert.Equal(
            ("tag", "library/nginx", "latest", first, second),
            (Text(moved, "event"), Text(moved, "repository"), Text(moved, "tag"), Text(moved, "formerDigest"), Text(moved, "digest")));
    }

    [Fact]
    public async Task What_tags_point_to_depends_on_what_is_accepted()
    {
        var token = await _world.PullTokenAsync(null, "library/nginx");
        string With(string accept) => $"GET {Manifest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\n\r\n";
        await _world.SendRawAsync(With("application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"));
        _world.Hub.Requests.Clear();

        await _world.SendRawAsync(With("application/vnd.oci.image.index.v1+json;q=0.5,application/vnd.oci.image.manifest.v1+json"));
        Assert.Empty(Asked());
        await _world.SendRawAsync(With("application/vnd.oci.image.manifest.v1+json"));
        Assert.Single(Asked());
    }

    [Fact]
    public async Task A_push_or_a_deletion_through_the_proxy_forgets_the_tag_at_once()
    {
        var token = await _world.TokenAsync("bob", "repository:acme/app:pull,push,delete");
        var pull = () => _world.AskAsync("GET", "/v2/acme/app/manifests/latest", token);
        var before = await pull();
        var pushed = before.Body.Replace("{\"schemaVersion\":2", "{\"schemaVersion\": 2", StringComparison.Ordinal);
        Assert.NotEqual(before.Body, pushed);
        var put = await _world.SendRawAsync(
            $"PUT /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + $"Content-Type: {before.Header("Content-Type")}\r\nContent-Length: {pushed.Length}\r\n\r\n{pushed}");
        Assert.Equal(201, put.Status);

        Assert.Equal(pushed, (await pull()).Body);
        var deleted = await _world.AskAsync("DELETE", "/v2/acme/app/manifests/latest", token);
        Assert.Equal(202, deleted.Status);
        Assert.Equal(404, (await pull()).Status);
    }

    [Theory]
    [InlineData("?tag=latest", "latest")]
    [InlineData("?tag=v9&tag=latest&tag=stable&ns=docker.io", "v9, latest, stable")]
    [InlineData("?tag=1.0&tag=l%61test", "1.0, latest")]
    public async Task A_push_by_digest_forgets_every_tag_that_it_names(string query, string made)
    {
        var token = await _world.TokenAsync("bob", "repository:acme/app:pull,push");
        var before = await _world.AskAsync("GET", "/v2/acme/app/manifests/latest", token);
        var pushed = before.Body.Replace("{\"schemaVersion\":2", "{\"schemaVersion\": 2", StringComparison.Ordinal);
        var digest = FakeRegistry.DigestOf(System.Text.Encoding.ASCII.GetBytes(pushed));
        var put = await _world.SendRawAsync(
            $"PUT /v2/acme/app/manifests/{digest}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + $"Content-Type: {before.Header("Content-Type")}\r\nContent-Length: {pushed.Length}\r\n\r\n{pushed}");

        Assert.Equal((201, made), (put.Status, put.Header("OCI-Tag")));
        foreach (var tag in made.Split(", "))
            Assert.Equal(pushed, (await _world.AskAsync("GET", $"/v2/acme/app/manifests/{tag}", token)).Body);
    }

    /// <summary>A revalidation that was asked before the push, and answered after it, is not believed.</summary>
    [Fact]
    public async Task A_revalidation_under_way_does_not_bring_back_what_a_push_replaced()
    {
        var token = await _world.TokenAsync("bob", "repository:acme/app:pull,push");
        var before = await _world.AskAsync("GET", "/v2/acme/app/manifests/latest", token);
        _time.Advance(TimeSpan.FromMinutes(2));
        var release = new TaskCompletionSource();
        var asked = _world.Hub.Faults.Add(Face.Registry, request => request.Method == "HEAD", Fault.Custom(async (http, answer) =>
        {
            await answer(); // what it says is from before the push
            await release.Task;
        }), times: 1);
        var revalidating = _world.AskAsync("GET", "/v2/acme/app/manifests/latest", token);
        await Eventually.TrueAsync(() => asked.Hits == 1);
        var pushed = before.Body.Replace("{\"schemaVersion\":2", "{\"schemaVersion\": 2", StringComparison.Ordinal);
        await _world.SendRawAsync(
            $"PUT /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + $"Content-Type: {before.Header("Content-Type")}\r\nContent-Length: {pushed.Length}\r\n\r\n{pushed}");
        release.SetResult();
        await revalidating;

        Assert.Equal(pushed, (await _world.AskAsync("GET", "/v2/acme/app/manifests/latest", token)).Body);
    }

    [Fact]
    public async Task Everybody_who_revalidates_a_tag_at_once_asks_once()
    {
        await PullAsync("library/nginx");
        _time.Advance(TimeSpan.FromMinutes(2));
        _world.Hub.Requests.Clear();
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Registry, Fault.HoldUntil(release.Task));
        var token = await _world.PullTokenAsync(null, "library/nginx");
        var asking = Enumerable.Range(0, 50).Select(_ => _world.AskAsync("HEAD", Manifest, token)).ToList();
        await _world.AskedAsync(Face.Registry);
        release.SetResult();

        Assert.All(await Task.WhenAll(asking), answer => Assert.Equal(200, answer.Status));
        Assert.InRange(Asked().Count, 1, 3); // who came after the answer asks nothing; who came in between, once more
    }

    /// <summary>What Docker Hub says of the caller who asked is for nobody else who gets the same manifest.</summary>
    [Theory]
    [InlineData("Docker-RateLimit-Source", "192.0.2.7")]
    [InlineData("RateLimit-Remaining", "12;w=21600")]
    [InlineData("X-RateLimit-Reset", "1790000000")]
    [InlineData("Retry-After", "7")]
    public async Task Who_shares_a_fetch_is_not_told_of_its_callers_limits(string header, string value)
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, answer) =>
        {
            await release.Task.WaitAsync(http.RequestAborted);
            http.Response.Headers[header] = value;
            await answer();
        }));
        var asking = Enumerable.Range(0, 10).Select(async _ => await _world.AskAsync("GET", Manifest, await _world.PullTokenAsync(null, "library/nginx"))).ToList();
        await _world.AskedAsync(Face.Registry);
        release.SetResult();

        var answers = await Task.WhenAll(asking);
        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        Assert.Equal(Asked().Count, answers.Count(answer => answer.Header(header) is not null)); // who came after the first answer asks nothing, or once more
    }

    [Theory]
    [InlineData("bytes=0-3", 206, "a la", "bytes 0-3/24")]
    [InlineData("bytes=20-", 206, "ginx", "bytes 20-23/24")]
    [InlineData("bytes=-4", 206, "ginx", "bytes 20-23/24")]
    [InlineData("bytes=20-99", 206, "ginx", "bytes 20-23/24")]
    [InlineData("bytes=24-", 416, "", "bytes */24")]
    [InlineData("bytes=0-1,3-4", 200, "a layer of library/nginx", null)]
    [InlineData("chunks=0-1", 200, "a layer of library/nginx", null)]
    public async Task Ranges_come_from_what_is_kept(string range, int status, string body, string? contentRange)
    {
        await PullAsync("library/nginx");
        _world.Hub.Requests.Clear();
        var token = await _world.PullTokenAsync(null, "library/nginx");
        var answer = await _world.SendRawAsync(
            $"GET /v2/library/nginx/blobs/{await LayerAsync()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nRange: {range}\r\n\r\n");
        Assert.Equal((status, body, contentRange), (answer.Status, answer.Body, answer.Header("Content-Range")));
        Assert.Empty(Asked());
    }

    [Fact]
    public async Task Who_has_it_already_is_told_so()
    {
        await PullAsync("library/nginx");
        var token = await _world.PullTokenAsync(null, "library/nginx");
        var answer = await _world.SendRawAsync(
            $"GET {Manifest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nIf-None-Match: \"{await DigestAsync()}\"\r\n\r\n");
        Assert.Equal((304, ""), (answer.Status, answer.Body));
    }

    private Task<Surroundings> StartAsync(params (string, string)[] settings) =>
        Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, [("Cache:Enabled", "true"), .. settings]);

    private async Task<string> DigestAsync() =>
        (await _world.AskAsync("HEAD", Manifest, await _world.PullTokenAsync(null, "library/nginx"))).Header("Docker-Content-Digest")!;

    private async Task<string> LayerAsync()
    {
        var manifest = await _world.AskAsync("GET", Manifest, await _world.PullTokenAsync(null, "library/nginx"));
        return JsonSerializer.Deserialize<JsonElement>(manifest.Body).GetProperty("layers")[0].GetProperty("digest").GetString()!;
    }

    /// <summary>Every byte of an image, as a client pulls it.</summary>
    private async Task<string> PullAsync(string repository)
    {
        var token = await _world.PullTokenAsync(null, repository);
        var manifest = await _world.AskAsync("GET", $"/v2/{repository}/manifests/latest", token);
        Assert.Equal(200, manifest.Status);
        var all = manifest.Body;
        var image = JsonSerializer.Deserialize<JsonElement>(manifest.Body);
        foreach (var blob in image.GetProperty("layers").EnumerateArray().Prepend(image.GetProperty("config")))
        {
            var answer = await _world.AskAsync("GET", $"/v2/{repository}/blobs/{blob.GetProperty("digest").GetString()}", token);
            Assert.Equal((200, blob.GetProperty("size").GetInt32()), (answer.Status, answer.Body.Length));
            all += answer.Body;
        }

        return all;
    }

    private List<string> Asked() =>
        [.. _world.Hub.Requests.All.Where(request => request.Face is Face.Registry or Face.Cdn).Select(request => $"{request.Method} {request.Path}")];

    private static string? Text(JsonElement audit, string name) => audit.GetProperty(name).GetString();

    private IEnumerable<JsonElement> ReadAudit()
    {
        using var reader = new StreamReader(new FileStream(_world.AuditFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return [.. reader.ReadToEnd().Split('\n').Where(line => line.EndsWith('}')).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
    }
}
