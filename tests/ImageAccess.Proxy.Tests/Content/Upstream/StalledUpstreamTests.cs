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
        Assert.Contains($"Upstream failed for {method} acme/app: upstream sent nothing for 100 seconds", world.Log.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("Range: bytes=0-9\r\n", false)]
    [InlineData("", true)]
    [InlineData("Range: bytes=0-9\r\n", true)]
    public async Task A_blob_that_stalls_ends_the_clients_connection(string headers, bool isKept)
    {
        await using var world = await StartAsync(isKept);
        var asking = world.ExchangeAsync(await RequestAsync(world, "GET", "blobs/" + Digest, headers));
        var answer = await EndedAsync(asking);

        Assert.StartsWith("HTTP/1.1 200 OK", answer, StringComparison.Ordinal);
        Assert.Contains("Content-Length: 100\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n" + Sent, answer, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => world.Log.ToString().Contains("upstream sent nothing for 100 seconds", StringComparison.Ordinal)); // a download is logged after its readers have gone
    }

    private async Task<Surroundings> StartAsync(bool isKept)
    {
        var world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", isKept ? "true" : "false"));
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
        await _isStalled.Task.WaitAsync(TimeSpan.FromSeconds(20));
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!asking.IsCompleted)
        {
            limit.Token.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromSeconds(50));
            await Task.WhenAny(asking, Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, limit.Token));
        }

        return await asking;
    }
}
