using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>The cache's disk is full, of bytes or of files, or cannot be written: pulls go on without it, and it is well again by itself.</summary>
public sealed class FullDiskTests : IAsyncLifetime, IDisposable
{
    private const int Clients = 60;
    private const int Blobs = 12;

    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly byte[][] _layers = [.. Enumerable.Range(0, Blobs).Select(_ => RandomNumberGenerator.GetBytes(1_000_000))];
    private Surroundings _world = null!;
    private PushedImage _image = null!;

    private string Disk => _directory["disk"];

    private string Others => Path.Combine(Disk, "others");

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Disk);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=60m,nr_inodes=500", "tmpfs", Disk);
    }

    public async Task DisposeAsync()
    {
        await _world.DisposeAsync();
        await RunAsync("umount", Disk);
    }

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("bytes")]
    [InlineData("files")]
    [InlineData("bytes while it comes")]
    public async Task Under_load_every_pull_is_right_and_the_cache_is_well_again_by_itself(string what)
    {
        await StartAsync();
        Directory.CreateDirectory(Others);
        if (what == "bytes while it comes")
        {
            _world.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, answer) =>
            {
                FillBytes(); // after room was reserved
                await answer();
            }));
        }
        else
        {
            (what == "files" ? (Action)FillFiles : FillBytes)();
        }

        await PullAllAsync();
        await EventuallyAsync(async () => await ReadyAsync() == "degraded");
        Assert.Empty(Directory.GetFiles(Path.Combine(Disk, "cache", "coming")));

        _world.Hub.Faults.Clear();
        Directory.Delete(Others, recursive: true);
        await EventuallyAsync(async () => await ReadyAsync() == "ready");
        await PullAllAsync();
        _world.Hub.Requests.Clear();
        await PullAllAsync();
        Assert.Empty(_world.Hub.Requests.Of(Face.Cdn));
        Assert.DoesNotContain("   at ", _world.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_written_at_the_start_is_used_as_soon_as_it_can()
    {
        await RunAsync("mount", "-o", "remount,ro", Disk);
        await StartAsync();
        await PullAllAsync();
        Assert.Equal("degraded", await ReadyAsync());

        await RunAsync("mount", "-o", "remount,rw", Disk);
        await EventuallyAsync(async () => await ReadyAsync() == "ready");
        await PullAllAsync();
        _world.Hub.Requests.Clear();
        await PullAllAsync();
        Assert.Empty(_world.Hub.Requests.Of(Face.Cdn));
    }

    private async Task StartAsync()
    {
        _world = await Surroundings.StartAsync(
            Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"), ("Cache:Directory", Path.Combine(Disk, "cache")));
        _image = _world.Hub.Images.PushImage("acme/app", "large", _layers);
    }

    private async Task PullAllAsync()
    {
        var token = await _world.PullTokenAsync("bob", "acme/app");
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/blobs/{_image.Layers[client % Blobs]}");
            request.Headers.Add("Authorization", "Bearer " + token);
            using var answer = await _world.Client.SendAsync(request);
            var bytes = await answer.Content.ReadAsByteArrayAsync();
            Assert.True(_layers[client % Blobs].AsSpan().SequenceEqual(bytes));
        }));
    }

    private void FillBytes()
    {
        try
        {
            using var file = new FileStream(Path.Combine(Others, Guid.NewGuid().ToString("N")), FileMode.CreateNew);
            for (var piece = new byte[64 * 1024]; ;)
                file.Write(piece);
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    private void FillFiles()
    {
        try
        {
            for (var number = 0; ; number++)
                File.WriteAllText(Path.Combine(Others, $"{number}"), "");
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    private async Task<string?> ReadyAsync()
    {
        using var admin = Surroundings.NewClient(_world.Admin);
        return JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync("/readyz")).GetProperty("status").GetString();
    }

    /// <summary>The clock goes on meanwhile: the cache tries again after a while.</summary>
    private async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(10, limit.Token);
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
