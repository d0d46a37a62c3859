using System.Globalization;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Upstream;

/// <summary>An upstream that sends a few bytes of a body and then no more holds nobody: not with the cache, not without it.</summary>
public sealed class StalledUpstreamTests
{
    private const string Sent = "{\"sch";

    private static readonly string Digest = "sha256:" + new string('a', 64);

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly TaskCompletionSource _isStalled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static TheoryData<string, string, string, bool> Documents
    {
        get
        {
            var data = new TheoryData<string, string, string, bool>();
            foreach (var isKept in new[] { false, true })
            {
                data.Add("GET", "manifests/latest", "", isKept);
                data.Add("GET", "manifests/" + Digest, "", isKept);
                data.Add("GET", "tags/list", "", isKept);
                data.Add("GET", "referrers/" + Digest, "", isKept);
                data.Add("POST", "blobs/uploads/", "Content-Length: 0\r\n", isKept);
            }

            return data;
        }
    }

    /// <summary>A document is read whole before the client is answered, so the client learns why it gets none.</summary>
    [Theory]
    [MemberData(nameof(Documents))]
    public async Task A_document_that_stalls_is_a_504(string method, string resource, string headers, bool isKept)
    {
        await using var world = await StartAsync(isKept);
        var asking = world.ExchangeAsync(await RequestAsync(world, method, resource, headers));
        var answer = RawAnswer.Parse(await EndedAsync(asking));

        Assert.Equal((504, "UNAVAILABLE", "Docker Hub did not answer in time"), (answer.Status, answer.Code, answer.Message));
        Assert.Contains($"Upstream failed for {method} acme/app ({SubjectOf(resource)}): upstream sent nothing for 60 seconds", world.Log.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", false, "200 OK", 100)]
    [InlineData("Range: bytes=0-9\r\n", false, "200 OK", 100)]
    [InlineData("", true, "200 OK", 100)]
    [InlineData("Range: bytes=0-9\r\n", true, "206 Partial Content", 10)] // upstream sends all of it, so it is kept, and the client gets its part
    public async Task A_blob_that_stalls_ends_the_clients_connection(string headers, bool isKept, string status, int length)
    {
        await using var world = await StartAsync(isKept);
        var asking = world.ExchangeAsync(await RequestAsync(world, "GET", "blobs/" + Digest, headers));
        var answer = await EndedAsync(asking);

        Assert.StartsWith("HTTP/1.1 " + status, answer, StringComparison.Ordinal);
        Assert.Contains($"Content-Length: {length}\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n" + Sent, answer, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => world.Log.ToString().Contains("upstream sent nothing for 60 seconds", StringComparison.Ordinal)); // a download is logged after its readers have gone
    }

    /// <summary>No head at all; counted, as every stall is.</summary>
    [Theory]
    [InlineData("GET", "manifests/latest", "7", true)]
    [InlineData("HEAD", "manifests/latest", "90", false)]
    [InlineData("GET", "blobs/DIGEST", "7", true)]
    [InlineData("GET", "tags/list", "300", false)]
    public async Task An_upstream_that_does_not_answer_is_a_504_after_the_configured_time(string method, string resource, string seconds, bool isKept)
    {
        var limit = TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture));
        await using var world = await StartAsync(isKept, ("Upstream:IdleTimeout", limit.ToString("c")));
        world.Hub.Faults.Clear();
        world.Hub.Faults.Add(Face.Registry, Fault.Custom((http, _) =>
        {
            _isStalled.TrySetResult();
            return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
        }));
        resource = resource.Replace("DIGEST", Digest, StringComparison.Ordinal);
        var asking = world.ExchangeAsync(await RequestAsync(world, method, resource, ""));
        var answer = RawAnswer.Parse(await EndedAsync(asking));

        Assert.Equal((504, "Docker Hub did not answer in time"), (answer.Status, answer.Phrase));
        Assert.Contains($"Upstream failed for {method} acme/app ({SubjectOf(resource)}): upstream did not answer for {seconds} seconds", world.Log.ToString(), StringComparison.Ordinal);
        using var admin = Surroundings.NewClient(world.Admin);
        Assert.Contains("imageaccess_upstream_stalled_total{what=\"answer\"} 1\n", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    /// <summary>A write has the same limit. YARP keeps its own time, so this one waits for a second.</summary>
    [Theory]
    [InlineData("PATCH", "blobs/uploads/abc", true)]
    [InlineData("PUT", "manifests/v1", true)]
    [InlineData("DELETE", "manifests/v1", false)]
    public async Task A_write_that_is_not_answered_is_a_504_after_the_configured_time(string method, string resource, bool hasBody)
    {
        await using var world = await Surroundings.StartAsync(settings: ("Upstream:IdleTimeout", "00:00:01"));
        world.Hub.Faults.Add(Face.Registry, Fault.NeverAnswer());
        var token = world.Hub.Signer.IssueToken(draft => draft.For(world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);
        var answer = await world.SendRawAsync(
            $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + (hasBody ? "Content-Length: 2\r\n\r\n{}" : "\r\n"));

        Assert.Equal((504, "Docker Hub did not answer in time"), (answer.Status, answer.Message));
        Assert.Contains("upstream did not answer for 1 seconds", world.Log.ToString(), StringComparison.Ordinal);
        using var admin = Surroundings.NewClient(world.Admin);
        Assert.Contains("imageaccess_upstream_stalled_total{what=\"answer\"} 1\n", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("00:00:00")]
    [InlineData("00:00:00.5")]
    [InlineData("01:00:01")]
    [InlineData("400.00:00:00")]
    public async Task A_time_that_is_none_stops_the_start(string time)
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => Surroundings.StartAsync(settings: ("Upstream:IdleTimeout", time)));
        Assert.Contains("Upstream:IdleTimeout: choose a time from 1s to 60m", failure.ToString(), StringComparison.Ordinal);
    }

    private static string SubjectOf(string resource) => resource.Split('/') is ["tags", ..] or ["blobs", "uploads", ..] ? resource.TrimEnd('/') : resource.Split('/')[1];

    private async Task<Surroundings> StartAsync(bool isKept, params (string Key, string Value)[] settings)
    {
        var world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, [("Cache:Enabled", isKept ? "true" : "false"), .. settings]);
        world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentType = "application/vnd.oci.image.manifest.v1+json";
            http.Response.ContentLength = 100;
            await http.Response.Body.WriteAsync("{\"sch"u8.ToArray(), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            _isStalled.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
        }));
        return world;
    }

    private static async Task<string> RequestAsync(Surroundings world, string method, string resource, string headers) =>
        $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\n{headers}"
        + $"Authorization: Bearer {await world.TokenAsync("bob", "repository:acme/app:pull,push")}\r\n\r\n";

    /// <summary>The clock goes on until the exchange has ended; a timer may be set anew between two of its steps.</summary>
    private async Task<string> EndedAsync(Task<string> asking)
    {
        await _isStalled.Task.WaitAsync(TimeSpan.FromSeconds(60));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!asking.IsCompleted)
        {
            limit.Token.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromSeconds(50));
            await Task.WhenAny(asking, Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, limit.Token));
        }

        return await asking;
    }
}
