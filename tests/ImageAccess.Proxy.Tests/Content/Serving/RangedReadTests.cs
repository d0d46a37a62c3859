using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>Clients that read a blob in parts: the parts share one download, and what they read is kept when that is worth it.</summary>
public sealed class RangedReadTests : IAsyncLifetime
{
    private const int Mebibyte = 1024 * 1024;

    private readonly byte[] _layer = RandomNumberGenerator.GetBytes(4 * Mebibyte);
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;
    private string _blob = "";

    public async Task InitializeAsync()
    {
        _world = await StartAsync(("Cache:Enabled", "true"));
        _blob = Push(_layer);
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Theory]
    [InlineData(4 * Mebibyte, 0L, null)]
    [InlineData(4 * Mebibyte, 0L, 4L * Mebibyte - 1)]
    [InlineData(4 * Mebibyte, 0L, 3L * Mebibyte - 1)]
    [InlineData(4 * Mebibyte, 0L, long.MaxValue)]
    [InlineData(4 * Mebibyte, null, 4L * Mebibyte)]
    [InlineData(4 * Mebibyte, null, 99L * Mebibyte)]
    [InlineData(3000, 0L, null)]
    [InlineData(3000, 0L, 2999L)]
    [InlineData(3000, 0L, 500_000L)]
    [InlineData(3000, null, 3000L)]
    public async Task A_part_from_the_beginning_on_keeps_the_blob(int length, long? from, long? to)
    {
        var layer = _layer[..length];
        _blob = Push(layer);
        using (var answer = await BeginAsync(new(from, to)))
        {
            var end = from is null || to is null ? length : (int)Math.Min(to.Value, length - 1) + 1;
            Assert.Equal(
                (HttpStatusCode.PartialContent, $"bytes 0-{end - 1}/{length}", $"\"{_blob}\"", _blob),
                (answer.StatusCode, answer.Content.Headers.ContentRange?.ToString(), answer.Headers.ETag?.ToString(), answer.Headers.GetValues("Docker-Content-Digest").Single()));
            AssertSame(layer[..end], await answer.Content.ReadAsByteArrayAsync());
        }

        await FilledAsync("done");
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
        _world.Hub.Requests.Clear();
        AssertSame(layer, await ReadAsync(null));
        AssertSame(layer[7..11], await ReadAsync(new(7, 10)));
        Assert.Empty(_world.Hub.Requests.All);
    }

    /// <summary>As containerd 2 does: open ends, each read as far as the next piece begins, then closed; the next piece is asked for afterwards.</summary>
    [Theory]
    [InlineData(8, 512 * 1024)]
    [InlineData(3, 512 * 1024)]
    [InlineData(1, 700_001)]
    [InlineData(64, 65_536)]
    public async Task Pieces_at_once_and_one_after_another_are_one_download(int atOnce, int size)
    {
        _world.Hub.Faults.Add(Face.Cdn, Fault.Drip(256 * 1024, TimeSpan.Zero));
        var pieces = (_layer.Length + size - 1) / size;
        var read = new byte[pieces][];
        read[0] = await PieceAsync(0);
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, atOnce).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var number && number < pieces)
                read[number] = await PieceAsync(number);
        }));

        AssertSame(_layer, [.. read.SelectMany(piece => piece)]);
        await FilledAsync("done");
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
        _world.Hub.Requests.Clear();
        AssertSame(_layer, await ReadAsync(null));
        Assert.Empty(_world.Hub.Requests.All);

        async Task<byte[]> PieceAsync(int number)
        {
            using var answer = await BeginAsync(new((long)number * size, null));
            await using var body = await answer.Content.ReadAsStreamAsync();
            var piece = new byte[Math.Min(size, _layer.Length - (number * size))];
            await body.ReadExactlyAsync(piece);
            return piece;
        }
    }

    /// <summary>As SOCI's parallel pull does: closed ranges.</summary>
    [Fact]
    public async Task Closed_pieces_that_are_asked_for_at_once_are_one_download()
    {
        using var first = await BeginAsync(new(0, Mebibyte - 1));
        var others = await Task.WhenAll(Enumerable.Range(1, 3).Select(number => ReadAsync(new(number * Mebibyte, ((number + 1) * Mebibyte) - 1))));
        AssertSame(_layer, [.. await first.Content.ReadAsByteArrayAsync(), .. others.SelectMany(piece => piece)]);
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    /// <summary>Who looks into an image without pulling it does not fetch all of it.</summary>
    [Theory]
    [InlineData(0L, 1L)]
    [InlineData(0L, 99_999L)]
    [InlineData(1L, 99_999L)]
    [InlineData(3_000_000L, null)]
    [InlineData(null, 47L)]
    public async Task A_single_look_is_passed_on_and_keeps_nothing(long? from, long? to)
    {
        var range = new RangeHeaderValue(from, to);
        var expected = from is null ? _layer[^(int)to!.Value..] : _layer[(int)from..(int)((to ?? _layer.Length - 1) + 1)];
        AssertSame(expected, await ReadAsync(range));
        Assert.Equal([range.ToString()], _world.Hub.Requests.Of(Face.Cdn).Select(asked => asked.Header("Range")));
    }

    [Theory]
    [InlineData(4, 5L, 9L)]
    [InlineData(4, null, 100L)]
    [InlineData(4, 0L, 1L)]
    [InlineData(2, 1_000_000L, 3_097_151L)]
    [InlineData(2, 1L, null)]
    public async Task As_soon_as_parts_amount_to_the_blob_it_is_kept_whoever_reads_on(int looks, long? from, long? to)
    {
        for (var look = 0; look < looks; look++)
            await ReadAsync(new(from, to));
        Assert.Equal(looks, _world.Hub.Requests.Of(Face.Cdn).Count);

        AssertSame(_layer[17..20], await ReadAsync(new(17, 19)));
        await FilledAsync("done");
        Assert.Equal(looks + 1, _world.Hub.Requests.Of(Face.Cdn).Count);
        _world.Hub.Requests.Clear();
        AssertSame(_layer, await ReadAsync(null));
        Assert.Empty(_world.Hub.Requests.All);
    }

    /// <summary>What is claimed costs nothing; what is read does.</summary>
    [Theory]
    [InlineData(1, 1L, null)]
    [InlineData(1, null, 399L * Mebibyte)]
    [InlineData(3, 1L, 400L * Mebibyte)]
    [InlineData(2, 7_000_000L, 399_999_999L)]
    [InlineData(20, 100L * Mebibyte, null)]
    public async Task Who_asks_for_much_and_does_not_read_it_makes_nothing_be_fetched(int looks, long? from, long? to)
    {
        const long Length = 400L * Mebibyte;
        _world.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = Length;
            if (http.Request.Headers.Range.Count > 0)
            {
                var part = RangeHeaderValue.Parse(http.Request.Headers.Range.ToString()).Ranges.Single();
                var first = part.From ?? Length - part.To!.Value;
                var last = part.From is null ? Length - 1 : Math.Min(part.To ?? Length, Length - 1);
                (http.Response.StatusCode, http.Response.ContentLength) = (206, last - first + 1);
                http.Response.Headers.ContentRange = $"bytes {first}-{last}/{Length}";
            }

            await http.Response.Body.WriteAsync(_layer.AsMemory(0, 10), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            if (http.Response.ContentLength > 10)
                await Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted);
        }));
        for (var look = 0; look < looks; look++)
        {
            using var answer = await BeginAsync(new(from, to));
            Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
        }

        Assert.Equal(10, (await ReadAsync(new(20, 29))).Length);
        Assert.All(_world.Hub.Requests.Of(Face.Cdn), asked => Assert.NotNull(asked.Header("Range")));
    }

    [Theory]
    [InlineData(5L, 9L)]
    [InlineData(1L, null)]
    [InlineData(null, 700L)]
    public async Task Beyond_four_downloads_that_are_finished_whoever_reads_them_parts_are_passed_on(long? from, long? to)
    {
        var blobs = Enumerable.Range(1, 5).Select(number => Push(_layer[number..(3000 + number)])).ToList();
        foreach (var blob in blobs)
            await LookAsync(blob, new(from, to));
        _world.Hub.Requests.Clear();

        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Fault.HoldUntil(release.Task));
        var first = blobs[..4].Select(blob => LookAsync(blob, new(17, 19))).ToList();
        await Eventually.TrueAsync(() => _world.Hub.Requests.Of(Face.Cdn).Count == 4);
        AssertSame(_layer[22..25], await LookAsync(blobs[4], new(17, 19)));
        Assert.Equal([null, null, null, null, "bytes=17-19"], _world.Hub.Requests.Of(Face.Cdn).Select(asked => asked.Header("Range")));

        release.SetResult();
        await Task.WhenAll(first);
        await FilledAsync("done", 4);
        AssertSame(_layer[22..25], await LookAsync(blobs[4], new(17, 19)));
        await FilledAsync("done", 5);
    }

    /// <summary>Each place is free again, whatever became of the download that had it.</summary>
    [Theory]
    [InlineData(404)]
    [InlineData(503)]
    [InlineData(206)]
    public async Task A_download_that_does_not_begin_is_in_the_way_of_no_other(int status)
    {
        for (var number = 1; number <= 6; number++)
        {
            _blob = Push(_layer[number..(3000 + number)]);
            await ReadAsync(new(5, 9));
            using (_world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Fault.Status(status)))
                (await BeginAsync(new(17, 19))).Dispose();
        }

        await ReadAsync(new(5, 9));
        _world.Hub.Requests.Clear();
        await ReadAsync(new(17, 19));
        await FilledAsync("done");
        Assert.Null(Assert.Single(_world.Hub.Requests.Of(Face.Cdn)).Header("Range"));
    }

    [Theory]
    [InlineData(0L, null)]
    [InlineData(null, null)]
    [InlineData(null, 4L * Mebibyte)]
    public async Task Of_the_downloads_that_all_have_left_late_four_are_finished(long? from, long? to)
    {
        var release = new TaskCompletionSource();
        var layers = Enumerable.Range(1, 6).Select(_ => RandomNumberGenerator.GetBytes(4 * Mebibyte)).ToDictionary(Push);
        _world.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, _) =>
        {
            var layer = layers.Single(pair => http.Request.Path.Value!.Contains(pair.Key[7..], StringComparison.Ordinal)).Value;
            if (http.Request.Headers.Range.Count > 0)
                (http.Response.StatusCode, http.Response.Headers.ContentRange) = (206, $"bytes 0-{layer.Length - 1}/{layer.Length}");
            http.Response.ContentLength = layer.Length;
            await http.Response.Body.WriteAsync(layer.AsMemory(0, 3 * Mebibyte), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await release.Task.WaitAsync(http.RequestAborted);
            await http.Response.Body.WriteAsync(layer.AsMemory(3 * Mebibyte), http.RequestAborted);
        }));
        foreach (var blob in layers.Keys)
        {
            _blob = blob;
            using var answer = await BeginAsync(from is null && to is null ? null : new(from, to));
            await using var body = await answer.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[5 * Mebibyte / 2]);
        }

        await FilledAsync("abandoned", 2);
        release.SetResult();
        await FilledAsync("done", 4);
    }

    [Fact]
    public async Task Who_waits_too_long_for_a_part_that_is_still_to_come_gets_it_past_the_download()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Stop(release.Task));
        using var first = await BeginAsync(null);
        await using var body = await first.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[Mebibyte]);

        var waits = Waits;
        var waiting = ReadAsync(new(3 * Mebibyte, (3 * Mebibyte) + 9));
        await Eventually.TrueAsync(() => Waits > waits);
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
        Assert.False(waiting.IsCompleted);
        _time.Advance(FillReader.LongestWait);
        AssertSame(_layer[(3 * Mebibyte)..((3 * Mebibyte) + 10)], await waiting);
        Assert.Equal([null, "bytes=3145728-3145737"], _world.Hub.Requests.Of(Face.Cdn).Select(asked => asked.Header("Range")));
        release.SetResult();
    }

    [Theory]
    [InlineData(390L * Mebibyte, 2)]
    [InlineData(258L * Mebibyte, 2)]
    [InlineData(200L * Mebibyte, 1)]
    public async Task Who_begins_far_behind_what_has_come_does_not_wait(long from, int requests)
    {
        const long Length = 400L * Mebibyte;
        var never = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = Length;
            await http.Response.Body.WriteAsync(_layer.AsMemory(0, Mebibyte), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await never.Task.WaitAsync(http.RequestAborted);
        }));
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is not null, Fault.Custom(async (http, _) =>
        {
            (http.Response.StatusCode, http.Response.ContentLength, http.Response.Headers.ContentRange) = (206, 10, $"bytes {from}-{from + 9}/{Length}");
            await http.Response.Body.WriteAsync(_layer.AsMemory(0, 10), http.RequestAborted);
        }));
        using var first = await BeginAsync(null);
        await using var body = await first.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[1000]);

        var waits = Waits;
        var reading = ReadAsync(new(from, from + 9));
        await Eventually.TrueAsync(() => reading.IsCompleted || (requests == 1 && Waits > waits));
        Assert.Equal(requests, _world.Hub.Requests.Of(Face.Cdn).Count);
        _time.Advance(FillReader.LongestWait);
        Assert.Equal(10, (await reading).Length);
    }

    [Fact]
    public async Task Who_waits_for_a_part_of_a_download_that_fails_gets_it_past_it()
    {
        var fail = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = _layer.Length;
            await http.Response.Body.WriteAsync(_layer.AsMemory(0, Mebibyte), http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await fail.Task.WaitAsync(http.RequestAborted);
            http.Abort();
        }));
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range")?.EndsWith('-') == true, Fault.Status(503));
        using var first = await BeginAsync(null);
        await using var body = await first.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[1000]);
        var waits = Waits;
        var waiting = ReadAsync(new(2 * Mebibyte, (2 * Mebibyte) + 99));
        await Eventually.TrueAsync(() => Waits > waits);
        fail.SetResult();
        AssertSame(_layer[(2 * Mebibyte)..((2 * Mebibyte) + 100)], await waiting);
    }

    [Fact]
    public async Task Who_leaves_early_and_comes_back_soon_goes_on_with_the_same_download()
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Stop(release.Task));
        using (var first = await BeginAsync(new(0, null)))
        await using (var body = await first.Content.ReadAsStreamAsync())
            await body.ReadExactlyAsync(new byte[10_000]);

        _time.Advance(Fill.Linger / 2);
        release.SetResult();
        AssertSame(_layer[10_000..], await ReadAsync(new(10_000, null)));
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    [Fact]
    public async Task Who_leaves_early_and_stays_away_ends_the_download()
    {
        var never = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, request => request.Header("Range") is null, Stop(never.Task));
        using (var first = await BeginAsync(new(0, null)))
        await using (var body = await first.Content.ReadAsStreamAsync())
            await body.ReadExactlyAsync(new byte[10_000]);
        await FilledAsync("abandoned");

        // Nothing of it is in the way of the next.
        _world.Hub.Faults.Clear();
        AssertSame(_layer, await ReadAsync(new(0, null)));
        Assert.Equal(2, _world.Hub.Requests.Of(Face.Cdn).Count);
    }

    /// <summary>A part of a blob that is coming for another repository is refused to whom upstream refuses it there.</summary>
    [Theory]
    [InlineData("bytes=0-")]
    [InlineData("bytes=5-9")]
    [InlineData("bytes=3000000-")]
    [InlineData("bytes=-7")]
    public async Task A_part_of_what_is_coming_is_served_through_no_other_repository(string range)
    {
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Cdn, Stop(release.Task));
        using var first = await BeginAsync(new(0, null));
        _world.Hub.Images.PushImage("acme/empty", "latest");
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/empty/blobs/{_blob}") { Headers = { { "Range", range } } };
        request.Headers.Add("Authorization", "Bearer " + await _world.PullTokenAsync("bob", "acme/empty"));
        using var answer = await _world.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        release.SetResult();
    }

    [Theory]
    [InlineData(0L, null)]
    [InlineData(0L, 2_000_000L)]
    [InlineData(1_000_000L, 2_000_000L)]
    public async Task Without_a_cache_each_part_is_passed_on_by_one_request(long from, long? to)
    {
        await using var world = await StartAsync();
        (_world, var former) = (world, _world);
        _blob = Push(_layer);
        for (var time = 1; time <= 8; time++)
        {
            using var answer = await BeginAsync(new(from, to));
            Assert.Equal((HttpStatusCode.PartialContent, $"\"{_blob}\""), (answer.StatusCode, answer.Headers.ETag?.ToString()));
            AssertSame(_layer[(int)from..(int)((to ?? _layer.Length - 1) + 1)], await answer.Content.ReadAsByteArrayAsync());
        }

        Assert.InRange(world.Hub.Requests.Of(Face.Cdn).Count, 8, 10);
        _world = former;
    }

    /// <summary>Parts of a blob of 4 MiB, each of this size, and what is passed on of each.</summary>
    [Theory]
    [InlineData(1, 4 * Mebibyte - 1, false, Mebibyte, Mebibyte, Mebibyte)]
    [InlineData(1, 4 * Mebibyte - 1, false, 4 * Mebibyte - 1)]
    [InlineData(3, 4 * Mebibyte - 1, false, Mebibyte)]
    [InlineData(99, 1000, false, 999)]
    [InlineData(3, 1, false, 1)]
    [InlineData(99, 2 * Mebibyte, false)]
    [InlineData(4, 1, true, 1)]
    [InlineData(4, 1000, true, 400, 600)]
    [InlineData(2, 4 * Mebibyte - 2, true, Mebibyte, 3 * Mebibyte - 2)]
    [InlineData(4, 3 * Mebibyte, true, Mebibyte - 1, 1)]
    public void A_part_counts_as_far_as_it_is_read(int times, int size, bool isWorthKeeping, params int[] pieces)
    {
        var parts = new PartialReads();
        var blob = CacheRoom.Sha256([1]);
        for (var time = 0; time < times; time++)
        {
            var passing = parts.Begin(blob, new ContentRangeHeaderValue(0, size - 1, 4 * Mebibyte))!;
            foreach (var piece in pieces)
                passing(piece);
        }

        Assert.Equal(isWorthKeeping, parts.IsWorthKeeping(blob));
    }

    [Fact]
    public void What_is_known_of_parts_is_bounded()
    {
        var parts = new PartialReads();
        for (var number = 0; number <= 3 * PartialReads.MaximumBlobs; number++)
            parts.Begin(CacheRoom.Sha256(BitConverter.GetBytes(number)), new ContentRangeHeaderValue(0, 9, 10))!(10);
        Assert.InRange(parts.Count, 1, PartialReads.MaximumBlobs);
    }

    /// <summary>How many clients wait for a part that is still to come.</summary>
    private int Waits => _time.TimersDueIn(FillReader.LongestWait);

    private Task<Surroundings> StartAsync(params (string, string)[] settings) =>
        Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, settings);

    private string Push(byte[] layer)
    {
        var digest = _world.Hub.Images.PushImage("acme/app", "large", [layer]).Layers[0];
        _world.Hub.Requests.Clear();
        return digest;
    }

    /// <summary>Half of the layer comes, less a byte, and the rest when the task is done.</summary>
    private Fault Stop(Task release) => Fault.Custom(async (http, _) =>
    {
        var half = (_layer.Length / 2) - 1;
        http.Response.ContentLength = _layer.Length;
        await http.Response.Body.WriteAsync(_layer.AsMemory(0, half), http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
        await release.WaitAsync(http.RequestAborted);
        await http.Response.Body.WriteAsync(_layer.AsMemory(half), http.RequestAborted);
    });

    private async Task<HttpResponseMessage> BeginAsync(RangeHeaderValue? range)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/blobs/{_blob}") { Headers = { Range = range } };
        request.Headers.Add("Authorization", "Bearer " + await _world.PullTokenAsync("bob", "acme/app"));
        return await _world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private async Task<byte[]> ReadAsync(RangeHeaderValue? range)
    {
        using var answer = await BeginAsync(range);
        Assert.Equal(range is null ? HttpStatusCode.OK : HttpStatusCode.PartialContent, answer.StatusCode);
        return await answer.Content.ReadAsByteArrayAsync();
    }

    private Task<byte[]> LookAsync(string blob, RangeHeaderValue range)
    {
        _blob = blob;
        return ReadAsync(range);
    }

    private static void AssertSame(byte[] expected, byte[] bytes) =>
        Assert.True(expected.AsSpan().SequenceEqual(bytes), $"{bytes.Length} bytes in place of {expected.Length}");

    private async Task FilledAsync(string result, int count = 1)
    {
        using var admin = Surroundings.NewClient(_world.Admin);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!(await admin.GetStringAsync("/metrics", limit.Token)).Contains($"imageaccess_content_fills_total{{result=\"{result}\"}} {count}", StringComparison.Ordinal))
        {
            _time.Advance(TimeSpan.FromMilliseconds(200));
            await Task.Delay(20, limit.Token);
        }
    }
}
