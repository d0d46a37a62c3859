using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>A download goes no further ahead of its readers than a window: who reads nothing costs neither memory, nor disk, nor a connection for long.</summary>
public sealed class FillWindowTests : IAsyncLifetime
{
    private const int Step = (int)Fill.Window;

    /// <summary>What the buffers between the proxy and its client may hold: Linux gives up to 4 MB to who sends.</summary>
    private const int Buffers = Step;

    private readonly byte[] _layer = RandomNumberGenerator.GetBytes(12 * Step);
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;
    private string _blob = "";
    private long _largest;

    public async Task InitializeAsync()
    {
        _world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"));
        _blob = _world.Hub.Images.PushImage("acme/app", "large", [_layer]).Layers[0];
        _world.Hub.Requests.Clear();
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    /// <summary>All that may come here is less than half of the layer: from there on it would be finished.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(3, false)]
    [InlineData(0, true)]
    public async Task Who_reads_nothing_is_let_go_and_has_cost_no_more_than_the_window(int steps, bool asRange)
    {
        using var client = NewIdleClient();
        using var idle = await BeginAsync(asRange, client);
        await using var body = await idle.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[steps * Step]);
        await Eventually.TrueAsync(() => ComingLength() >= (steps + 1) * Step);
        await MetricAsync("imageaccess_upstream_stalled_total{what=\"client\"} 1\n", TimeSpan.FromSeconds(1));
        Assert.InRange(_largest, (steps + 1) * Step, ((steps + 1) * Step) + Buffers);
        await MetricAsync("imageaccess_content_fills_total{result=\"abandoned\"} 1\n", TimeSpan.FromSeconds(1));
        Assert.Empty(ComingFiles());
        await Assert.ThrowsAnyAsync<Exception>(() => body.CopyToAsync(Stream.Null)); // it must not look whole
        AssertLayer(await (await BeginAsync()).Content.ReadAsByteArrayAsync());
    }

    /// <summary>Upstream is not to blame for the time in which a slow client is read for, nor is the client that reads on.</summary>
    [Theory]
    [InlineData(50)]
    [InlineData(59)]
    [InlineData(20)]
    public async Task Who_reads_slowly_gets_all_of_it_from_one_download(int seconds)
    {
        using var slow = await BeginAsync();
        await using var body = await slow.Content.ReadAsStreamAsync();
        var read = new byte[_layer.Length];
        for (var step = 0; step < 12; step++)
        {
            var before = ComingLength();
            await body.ReadExactlyAsync(read.AsMemory(step * Step, Step));
            if (before == 0 || before == _layer.Length)
                continue;
            await Eventually.TrueAsync(() => ComingLength() > before || ComingFiles().Length == 0); // what has been read makes room
            _time.Advance(TimeSpan.FromSeconds(seconds));
        }

        AssertLayer(read);
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public async Task The_slowest_reader_slows_down_nobody(int idle)
    {
        var slow = new List<HttpResponseMessage>();
        for (var reader = 0; reader < idle; reader++)
            slow.Add(await BeginAsync());
        AssertLayer(await (await BeginAsync()).Content.ReadAsByteArrayAsync());
        foreach (var reader in slow)
            AssertLayer(await reader.Content.ReadAsByteArrayAsync());
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    /// <summary>The next one is the furthest then, and the download goes on when it comes near.</summary>
    [Fact]
    public async Task When_the_furthest_reader_leaves_the_others_still_get_all_of_it()
    {
        using var slow = await BeginAsync();
        using (var fast = await BeginAsync())
        {
            await using var body = await fast.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[4 * Step]);
        }

        AssertLayer(await slow.Content.ReadAsByteArrayAsync());
        Assert.Single(_world.Hub.Requests.Of(Face.Cdn));
    }

    /// <summary>Half has come: it is finished without readers, however far ahead of them.</summary>
    [Fact]
    public async Task What_is_finished_without_readers_has_no_window()
    {
        using (var reader = await BeginAsync())
        {
            await using var body = await reader.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[7 * Step]);
        }

        await MetricAsync("imageaccess_content_fills_total{result=\"done\"} 1\n", TimeSpan.Zero);
        _world.Hub.Requests.Clear();
        AssertLayer(await (await BeginAsync()).Content.ReadAsByteArrayAsync());
        Assert.Empty(_world.Hub.Requests.Of(Face.Cdn));
    }

    private string[] ComingFiles() => Directory.GetFiles(Path.Combine(_world.DataDirectory, "cache", "coming"));

    private long ComingLength() => ComingFiles() is [var file, ..] && new FileInfo(file) is { Exists: true } info ? info.Length : 0;

    /// <summary>Its buffer does not grow: with what Linux would give it, half of the layer comes, and that is finished without readers.</summary>
    private HttpClient NewIdleClient() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancellationToken) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 256 * 1024 };
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
        UseProxy = false,
    })
    { BaseAddress = _world.Mirror };

    private async Task<HttpResponseMessage> BeginAsync(bool asRange = false, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/blobs/{_blob}");
        request.Headers.Range = asRange ? new RangeHeaderValue(0, null) : null;
        request.Headers.Add("Authorization", "Bearer " + await _world.PullTokenAsync("bob", "acme/app"));
        return await (client ?? _world.Client).SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private void AssertLayer(byte[] bytes) => Assert.True(_layer.AsSpan().SequenceEqual(bytes), $"{bytes.Length} bytes");

    /// <summary>Waits until this is measured, while the clock goes on, slowly enough for what still moves on a busy machine.</summary>
    private async Task MetricAsync(string line, TimeSpan tick)
    {
        using var admin = Surroundings.NewClient(_world.Admin);
        var limit = Stopwatch.StartNew();
        for (var metrics = ""; !metrics.Contains(line, StringComparison.Ordinal); metrics = await admin.GetStringAsync("/metrics"))
        {
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(60), $"Not measured: {line}Measured, of {ComingLength()} bytes:\n{metrics}");
            _largest = Math.Max(_largest, ComingLength());
            _time.Advance(tick);
            await Task.Delay(20);
        }
    }
}
