using System.Diagnostics;
using ImageAccess.Proxy.Content.Cache;
using Microsoft.Extensions.Logging;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>A disk of 50 MB of the test's own.</summary>
public sealed class SmallDiskTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();

    private string Disk => _directory["disk"];

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Disk);
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", Disk);
    }

    public Task DisposeAsync() => RunAsync("umount", Disk);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task What_has_room_is_kept_what_has_not_makes_older_content_give_way()
    {
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30);
        var (kept, passed) = (0, 0);
        for (var number = 0; number < 20; number++)
        {
            var bytes = Bytes(((number % 4) + 1) * 7_000_000);
            await room.Kept.LinkAsync(Repository("acme/app"), Sha256(bytes), null);
            await using (var writer = await room.Kept.BeginAsync(Sha256(bytes), bytes.Length))
            {
                if (writer is not null)
                {
                    foreach (var piece in bytes.Chunk(1 << 20))
                        await writer.WriteAsync(piece, default);
                    await writer.PublishAsync(default);
                }

                _ = writer is null ? passed++ : kept++;
            }

            room.Store.MakeRoom();
            Assert.True(new DriveInfo(Disk).AvailableFreeSpace > 2_000_000);
        }

        Assert.InRange(kept, 8, 19); // most of the time there is room, for it is made
        Assert.InRange(passed, 1, 12);
        Assert.Empty(room.Log.At(LogLevel.Warning));
        Assert.Null(room.Store.Concern);
        await room.Kept.KeepAsync("acme/app", Bytes(10));
        var before = room.Store.Contents.Count;
        Assert.Null(await room.Kept.BeginAsync(Sha256([1]), 60_000_000));
        Assert.Equal(0, room.Store.MakeRoom()); // nothing gives way for what can never have room
        Assert.Equal(before, room.Store.Contents.Count);
    }

    [Fact]
    public async Task A_disk_that_others_fill_ends_a_fill_and_keeping_goes_on_when_there_is_room()
    {
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30, _time);
        var others = Path.Combine(Disk, "others");
        var small = await room.Kept.KeepAsync("acme/app", Bytes(1000));
        await using (var writer = (await room.Kept.BeginAsync(Sha256([1]), 30_000_000))!)
        {
            await writer.WriteAsync(new byte[1_000_000], default);
            await Assert.ThrowsAsync<IOException>(() => File.WriteAllBytesAsync(others, new byte[60_000_000]));
            await Assert.ThrowsAsync<IOException>(async () => await writer.WriteAsync(new byte[1_000_000], default));
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.WriteAsync(new byte[1], default));
            Assert.False(writer.Verifies());
            Assert.StartsWith("nothing new is kept: No space left on device", room.Store.Concern, StringComparison.Ordinal);
            Assert.Null(await room.Kept.BeginAsync(Sha256([2]), 1));
        }

        File.Delete(others);
        room.Store.MakeRoom();
        Assert.Null(await room.Kept.BeginAsync(Sha256([2]), 1)); // not yet: the disk has just failed
        _time.Advance(DiskBudget.PauseAfterFailure);
        room.Store.MakeRoom();
        Assert.Null(room.Store.Concern);
        await using (var again = await room.Kept.BeginAsync(Sha256([2]), 1))
            Assert.NotNull(again);

        Assert.Single(room.Log.At(LogLevel.Warning));
        Assert.Contains("The cache keeps new content again", room.Log.All);
        Assert.NotNull(await room.Kept.ReadAsync("acme/app", small));
        Assert.Empty(room.ComingFiles());
    }

    [Fact]
    public async Task Content_gives_way_to_others_who_fill_the_disk()
    {
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30);
        await room.Kept.KeepAsync("acme/app", Bytes(10_000_000));
        await room.Kept.KeepAsync("acme/app", Bytes(10_000_000));
        await File.WriteAllBytesAsync(Path.Combine(Disk, "others"), new byte[31_000_000]);

        room.Store.MakeRoom();

        Assert.Equal(1, room.Store.Contents.Count);
        Assert.Null(room.Store.Concern);
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
