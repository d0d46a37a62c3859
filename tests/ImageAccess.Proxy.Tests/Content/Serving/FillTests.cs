using System.Net;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>One download however many ask; nothing wrong is kept, and nobody's download ends complete with something wrong in it.</summary>
public sealed class FillTests : IAsyncLifetime
{
    private readonly byte[] _layer = RandomNumberGenerator.GetBytes(4 * 1024 * 1024);
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;
    private string _blob = "";

    private string Target => $"/v2/acme/app/blobs/{_blob}";

    public async Task InitializeAsync()
    {
        _world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"));
        _blob = _world.Hub.Images.PushImage("acme/app", "large", [_layer]).Layers[0];
        _world.Hub.Requests.Clear();
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task Two_hundred_who_ask_at_once_get_it_from_one_download()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Fault.HoldUntil(release.Task));
        var downloads = Enumerable.Range(0, 200).Select(_ => DownloadAsync("bob")).ToList();
        await _world.AskedAsync(Face.Cdn);
        release.SetResult();

        Assert.All(await Task.WhenAll(downloads), bytes => Assert.True(_layer.AsSpan().SequenceEqual(bytes)));
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
        Assert.Single(_world.Hub.Requests.Of(Face.Registry));
    }

    [Fact]
    public async Task Who_comes_later_follows_what_is_there_so_far()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Stop(half: release.Task));
        using var first = await BeginAsync("bob");
        await using var early = await first.Content.ReadAsStreamAsync();
        await early.ReadExactlyAsync(new byte[1024 * 1024]);
        using var second = await BeginAsync("alice");
        await using var late = await second.Content.ReadAsStreamAsync();
        var start = new byte[1024 * 1024];
        await late.ReadExactlyAsync(start);
        Assert.True(_layer.AsSpan(0, start.Length).SequenceEqual(start));

        // A part of what is there is served as well.
        Assert.Equal(_layer[1000..2000], await DownloadAsync("bob", new(1000, 1999)));
        release.SetResult();
        Assert.Equal(_layer.Length - start.Length, (await ReadToEndAsync(late)).Length);
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    /// <summary>A download under way for one repository is followed by another's caller only once upstream has named it there to that caller.</summary>
    [Fact]
    public async Task Who_follows_through_another_repository_is_asked_for_upstream_first()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Stop(half: release.Task));
        using var first = await BeginAsync("bob");
        _world.Hub.Images.PushImage("acme/empty", "latest");
        Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/empty/blobs/{_blob}", await _world.PullTokenAsync("bob", "acme/empty"))).Status);

        _world.Hub.Images.PushImage("library/same", "latest", [_layer]);
        _world.Hub.Requests.Clear();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/library/same/blobs/{_blob}");
        request.Headers.Add("Authorization", "Bearer " + await _world.PullTokenAsync(null, "library/same"));
        using var second = await _world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(["GET /v2/library/same/blobs/" + _blob], _world.Hub.Requests.Of(Face.Registry).Select(asked => $"{asked.Method} {asked.Path}"));
        release.SetResult();
        AssertLayer(await second.Content.ReadAsByteArrayAsync());
    }

    /// <summary>Where nothing is kept, nobody waits for another's download: one reader that does not read holds no other up.</summary>
    [Fact]
    public async Task Without_a_cache_nobody_waits_for_anybody()
    {
        await using var world = await Surroundings.StartAsync();
        var layer = RandomNumberGenerator.GetBytes(16 * 1024 * 1024);
        var blob = world.Hub.Images.PushImage("acme/app", "large", [layer]).Layers[0];
        var token = await world.PullTokenAsync("bob", "acme/app");
        HttpRequestMessage Request() => new(HttpMethod.Get, $"/v2/acme/app/blobs/{blob}") { Headers = { { "Authorization", "Bearer " + token } } };
        using var idle = await world.Client.SendAsync(Request(), HttpCompletionOption.ResponseHeadersRead);

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var other = await world.Client.SendAsync(Request(), limit.Token);
        Assert.Equal(FakeRegistry.DigestOf(layer), FakeRegistry.DigestOf(await other.Content.ReadAsByteArrayAsync(limit.Token)));
        Assert.Equal(2, world.Hub.Requests.Of(Face.Cdn).Count);
    }

    [Fact]
    public async Task A_download_that_stalls_is_taken_up_where_it_stalled()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = time, time, ("Cache:Enabled", "true"));
        var blob = world.Hub.Images.PushImage("acme/app", "large", [_layer]).Layers[0];
        world.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = _layer.Length;
            await http.Response.Body.WriteAsync(_layer.AsMemory(0, 1_000_000), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted);
        }), times: 1);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/blobs/{blob}");
        request.Headers.Add("Authorization", "Bearer " + await world.PullTokenAsync("bob", "acme/app"));
        using var answer = await world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var start = new byte[1_000_000];
        await body.ReadExactlyAsync(start);

        time.Advance(TimeSpan.FromSeconds(101));
        AssertLayer([.. start, .. await ReadToEndAsync(body)]);
        Assert.Equal([null, "bytes=1000000-"], world.Hub.Requests.Of(Face.Cdn).Select(asked => asked.Header("Range")));
    }

    [Fact]
    public async Task Who_leaves_does_not_stop_a_download_that_others_follow()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Stop(half: release.Task));
        var first = await BeginAsync("bob");
        using var second = await BeginAsync("alice");
        await using var rest = await second.Content.ReadAsStreamAsync();
        first.Dispose();
        release.SetResult();
        AssertLayer(await ReadToEndAsync(rest));
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    [Fact]
    public async Task A_download_that_nobody_waits_for_ends_early_on_and_is_finished_later_on()
    {
        var never = new TaskCompletionSource();
        using (_world.Hub.Faults.Add(Face.Cdn, Stop(half: never.Task, at: 4)))
            (await BeginAsync("bob")).Dispose();
        await FilledAsync("abandoned");
        AssertLayer(await DownloadAsync("bob")); // and nothing is in the way of the next

        var other = RandomNumberGenerator.GetBytes(_layer.Length);
        _blob = _world.Hub.Images.PushImage("acme/app", "other", [other]).Layers[0];
        var release = new TaskCompletionSource();
        using (_world.Hub.Faults.Add(Face.Cdn, Stop(half: release.Task, at: 4 * 3)))
        {
            using var answer = await BeginAsync("bob");
            await using var body = await answer.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[_layer.Length * 5 / 8]);
        }

        release.SetResult();
        await FilledAsync("done", 2);
        _world.Hub.Requests.Clear();
        Assert.Equal(FakeRegistry.DigestOf(other), FakeRegistry.DigestOf(await DownloadAsync("bob")));
        Assert.Empty(_world.Hub.Requests.Of(Face.Cdn));
    }

    [Fact]
    public async Task A_download_that_breaks_is_taken_up_where_it_broke()
    {
        _world.Hub.Faults.Add(Face.Cdn, Fault.Truncate(1_000_000), times: 2);
        AssertLayer(await DownloadAsync("bob"));
        Assert.Equal([null, "bytes=1000000-", "bytes=2000000-"], _world.Hub.Requests.Of(Face.Cdn).Select(request => request.Header("Range")));
    }

    public static TheoryData<string, Fault> Wrongs => new()
    {
        { "a byte is wrong", Fault.Corrupt() },
        { "it ends too early, each time", Fault.Truncate(1000) },
        { "it is HTML", Fault.Status(200, "<html>a captive portal</html>", "text/html") },
        { "it is longer than it says", Fault.Custom(async (http, _) =>
            {
                http.Response.ContentLength = 4 * 1024 * 1024;
                await http.Response.Body.WriteAsync(new byte[4 * 1024 * 1024]);
            })
        },
        { "it breaks off, and then nobody answers", Fault.Custom(async (http, _) =>
            {
                if (http.Request.Headers.Range.Count == 0)
                {
                    http.Response.ContentLength = 4 * 1024 * 1024;
                    await http.Response.Body.WriteAsync(new byte[1000]);
                    await http.Response.Body.FlushAsync();
                }

                http.Abort();
            })
        },
        { "it has no end", Fault.EndlessBody() },
        { "it is something else", Fault.Custom((http, _) => http.Response.Body.WriteAsync("something else"u8.ToArray()).AsTask()) },
    };

    [Theory]
    [MemberData(nameof(Wrongs))]
    public async Task What_is_wrong_is_never_complete_never_kept_and_the_next_try_succeeds(string what, Fault wrong)
    {
        using (_world.Hub.Faults.Add(Face.Cdn, wrong))
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            if (what == "it has no end")
            {
                using var answer = await BeginAsync("bob"); // it never ends complete: whoever has enough leaves
                await using var body = await answer.Content.ReadAsStreamAsync(limit.Token);
                await body.ReadExactlyAsync(new byte[64 * 1024], limit.Token);
                answer.Dispose();
                await FilledAsync("abandoned");
            }
            else
            {
                await Assert.ThrowsAnyAsync<Exception>(() => DownloadAsync("bob"));
            }
        }

        AssertLayer(await DownloadAsync("bob"));
        _world.Hub.Requests.Clear();
        AssertLayer(await DownloadAsync("bob"));
        Assert.Empty(_world.Hub.Requests.All);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_manifest_that_is_not_what_it_says_is_refused(bool byDigest)
    {
        var digest = _world.Hub.Images.FindManifest("acme/app", "latest")!.Digest;
        var target = $"/v2/acme/app/manifests/{(byDigest ? digest : "latest")}";
        var token = await _world.PullTokenAsync("bob", "acme/app");
        using (_world.Hub.Faults.Add(Face.Registry, Fault.Corrupt()))
        {
            var wrong = await _world.AskAsync("GET", target, token);
            Assert.Equal((502, "upstream's manifest is not what its digest says"), (wrong.Status, wrong.Message));
        }

        var right = await _world.AskAsync("GET", target, token);
        Assert.Equal((200, digest), (right.Status, FakeRegistry.DigestOf(System.Text.Encoding.Latin1.GetBytes(right.Body))));
    }

    /// <summary>Half (or another part, in sixteenths) of the body comes, and the rest when the task is done.</summary>
    private Fault Stop(Task half, int at = 8) => Fault.Custom(async (http, _) =>
    {
        http.Response.ContentLength = _layer.Length;
        var content = _world.Hub.Images.FindBlob("acme/app", _blob)!.Value;
        var first = content.Length / 16 * at;
        await http.Response.Body.WriteAsync(content[..first], http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
        await half.WaitAsync(http.RequestAborted);
        await http.Response.Body.WriteAsync(content[first..], http.RequestAborted);
    });

    private async Task<byte[]> DownloadAsync(string user, System.Net.Http.Headers.RangeHeaderValue? range = null)
    {
        using var answer = await BeginAsync(user, range);
        Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent, answer.ToString());
        return await answer.Content.ReadAsByteArrayAsync();
    }

    private async Task<HttpResponseMessage> BeginAsync(string user, System.Net.Http.Headers.RangeHeaderValue? range = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Target) { Headers = { Range = range } };
        request.Headers.Add("Authorization", "Bearer " + await _world.PullTokenAsync(user, "acme/app"));
        return await _world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private void AssertLayer(byte[] bytes) => Assert.True(_layer.AsSpan().SequenceEqual(bytes), $"{bytes.Length} bytes");

    private static async Task<byte[]> ReadToEndAsync(Stream stream)
    {
        var all = new MemoryStream();
        await stream.CopyToAsync(all);
        return all.ToArray();
    }

    private async Task FilledAsync(string result, int count = 1)
    {
        using var admin = Surroundings.NewClient(_world.Admin);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!(await admin.GetStringAsync("/metrics", limit.Token)).Contains($"imageaccess_content_fills_total{{result=\"{result}\"}} {count}", StringComparison.Ordinal))
        {
            _time.Advance(TimeSpan.FromMilliseconds(200)); // a download that nobody reads is not abandoned at once
            await Task.Delay(20, limit.Token);
        }
    }
}
