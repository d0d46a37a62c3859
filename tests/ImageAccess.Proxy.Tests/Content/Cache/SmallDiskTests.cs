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

    /// <summary>Many small contents use up the files of a disk (inodes) long before its bytes: older ones give way to newer ones.</summary>
    [Theory]
    [InlineData(700, 1, 1)]
    [InlineData(700, 3000, 4)]
    [InlineData(300, 5000, 2)]
    [InlineData(1200, 40, 30)]
    public async Task A_disk_of_few_files_keeps_what_was_used_last(int files, int length, int repositories)
    {
        await LimitFilesAsync(files);
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30, _time);
        var (last, passed) = (Sha256([]), 0);
        for (var number = 0; number < 3 * files; number++)
        {
            var bytes = Bytes(length);
            BitConverter.TryWriteBytes(bytes.AsSpan(), (short)number);
            _time.Advance(TimeSpan.FromSeconds(2));
            await using (var writer = await room.Kept.BeginAsync(Sha256(bytes), bytes.Length))
            {
                if (writer is null)
                {
                    passed++;
                }
                else
                {
                    await writer.WriteAsync(bytes, default);
                    await writer.PublishAsync(default);
                    last = Sha256(bytes);
                    await room.Kept.LinkAsync(Repository($"acme/app{number % repositories}"), last, null);
                }
            }

            if (room.Store.Budget.RoomWanted.TryRead(out _)) // as the background does
                room.Store.MakeRoom();
        }

        Assert.True(await room.Kept.HoldsAsync(last));
        Assert.InRange(room.Store.Contents.Count, files / 4, files);
        Assert.InRange(passed, 0, 3 * files / 10); // one in ten at most: each time a twentieth gives way
        Assert.Null(room.Store.Concern);
        Assert.Empty(room.Log.At(LogLevel.Warning));
        Assert.True(FoldersOf(room) <= room.Store.Contents.Count, "folders without content stay");
    }

    /// <summary>Others take the last files while something is coming, whose folder is not there yet: it is kept all the same.</summary>
    [Theory]
    [InlineData(400, 60, 100)]
    [InlineData(250, 21, 5000)]
    [InlineData(900, 3, 1)]
    public async Task A_write_that_finds_no_room_for_a_file_gets_room_and_is_tried_again(int files, int kept, int length)
    {
        await LimitFilesAsync(files);
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30, _time);
        for (var number = 0; number < kept; number++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            await room.Kept.KeepAsync("acme/app", Bytes(length + 8));
        }

        var bytes = NewFolder(room);
        await using (var writer = (await room.Kept.BeginAsync(Sha256(bytes), bytes.Length))!)
        {
            await writer.WriteAsync(bytes, default);
            TakeAllFiles(Directory.CreateDirectory(Path.Combine(Disk, "others")).FullName);
            await writer.PublishAsync(default);
        }

        await room.Kept.LinkAsync(Repository("acme/app"), Sha256(bytes), null);
        Assert.Equal(bytes, await room.Kept.ReadAsync("acme/app", Sha256(bytes)));
        Assert.InRange(room.Store.Contents.Count, kept * 9 / 10, kept);
        Assert.Empty(room.Log.At(LogLevel.Warning));
    }

    /// <summary>Nothing can give way: pulls go on without the cache, and it keeps again when there is room.</summary>
    [Fact]
    public async Task Where_others_have_all_files_it_is_said_and_ends_by_itself()
    {
        await LimitFilesAsync(200);
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), 20L << 30, _time);
        await room.Kept.KeepAsync("acme/app", Bytes(100));
        var others = Directory.CreateDirectory(Path.Combine(Disk, "others")).FullName;
        TakeAllFiles(others);
        Assert.Null(await room.Kept.BeginAsync(Sha256([1]), 1));
        room.Store.MakeRoom();
        Assert.Equal("nothing new is kept: the disk has no room for more files (inodes)", room.Store.Concern);

        Directory.Delete(others, recursive: true);
        room.Store.MakeRoom();
        Assert.Null(room.Store.Concern);
        await using (var again = await room.Kept.BeginAsync(Sha256([1]), 1))
            Assert.NotNull(again);
        Assert.Equal(["The cache keeps nothing new for now, pulls go on without it: the disk has no room for more files (inodes)"], room.Log.At(LogLevel.Warning));
        Assert.Empty(room.ComingFiles());
    }

    /// <summary>What a small file takes up is a block of the disk, not its bytes.</summary>
    [Theory]
    [InlineData(1, 100)]
    [InlineData(1300, 64)]
    [InlineData(4097, 40)]
    public async Task The_maximum_size_is_what_the_disk_gives(int length, int number)
    {
        const long Maximum = 200 * 1024;
        await using var room = CacheRoom.Open(Path.Combine(Disk, "cache"), Maximum, _time);
        for (var count = 0; count < number; count++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            var bytes = Bytes(length + 8);
            BitConverter.TryWriteBytes(bytes, count);
            await room.Kept.KeepAsync("acme/app", bytes);
            room.Store.MakeRoom();
        }

        var used = Directory.GetFiles(Path.Combine(Disk, "cache/content"), "*", SearchOption.AllDirectories).Sum(file => (new FileInfo(file).Length + 4095) / 4096 * 4096);
        Assert.Equal(used, room.Store.Contents.SizeOnDisk);
        Assert.InRange(used, Maximum / 2, Maximum);
    }

    [Fact]
    public void What_a_disk_has_is_what_the_system_says()
    {
        var disk = DiskSpace.Read(Disk);
        Assert.Equal((new DriveInfo(Disk).AvailableFreeSpace, new DriveInfo(Disk).TotalSize), (disk.FreeBytes, disk.AllBytes));
        File.WriteAllText(Path.Combine(Disk, "one"), "");
        File.WriteAllText(Path.Combine(Disk, "two"), "");
        Assert.Equal((disk.FreeFiles - 2, disk.AllFiles), DiskSpace.Read(Disk) is var later ? (later.FreeFiles, later.AllFiles) : default);
    }

    private static int FoldersOf(CacheRoom room) => Directory.GetDirectories(Path.Combine(room.Directory, "content/sha256")).Length;

    /// <summary>Bytes whose content goes into a folder that is not there yet.</summary>
    private static byte[] NewFolder(CacheRoom room)
    {
        while (true)
        {
            var bytes = Bytes(100);
            if (!Directory.Exists(Path.GetDirectoryName(room.PathOf(Sha256(bytes)))))
                return bytes;
        }
    }

    private static void TakeAllFiles(string folder)
    {
        try
        {
            for (var number = 0; ; number++)
                File.WriteAllText(Path.Combine(folder, $"{number}"), "");
        }
        catch (IOException)
        {
            // There are no more.
        }
    }

    private Task LimitFilesAsync(int files) => RunAsync("mount", "-o", $"remount,nr_inodes={files}", Disk);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
