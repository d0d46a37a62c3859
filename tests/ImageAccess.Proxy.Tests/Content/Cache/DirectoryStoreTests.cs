using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.Versioning;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>What a disk adds: restarts, damage, strangers, a second process.</summary>
[SupportedOSPlatform("linux")]
public sealed class DirectoryStoreTests(ITestOutputHelper output) : IDisposable
{
    private const string App = "acme/app";
    private const string Manifest = "application/vnd.oci.image.manifest.v1+json";
    private const UnixFileMode Owners = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly DateTimeOffset Noon = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly TemporaryDirectory _directory = new();

    private string Cache => _directory["cache"];

    private string IndexFile => _directory["cache/index"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Content_links_and_tags_are_there_after_a_restart()
    {
        var (manifest, blob, gone) = (Bytes(700), Bytes(100_000), Sha256(Bytes(1)));
        await using (var room = CacheRoom.Open(Cache))
        {
            await room.Kept.KeepAsync(App, manifest, Manifest);
            await room.Kept.KeepAsync(App, blob);
            await room.Kept.LinkAsync(Repository(App), gone, null);
            room.Store.Links.Forget(new HashSet<Digest> { gone });
            await room.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a, b;q=0.5", new KnownTag(Sha256(manifest), Noon));
            await room.Kept.RecordTagAsync(Repository(App), Tag("gone"), "a", new KnownTag(gone, Noon));
            await room.Kept.ForgetTagAsync(Repository(App), Tag("gone"));
        }

        for (var restart = 0; restart < 2; restart++)
        {
            await using var room = CacheRoom.Open(Cache);
            Assert.Equal(manifest, await room.Kept.ReadAsync(App, Sha256(manifest)));
            Assert.Equal(blob, await room.Kept.ReadAsync(App, Sha256(blob)));
            Assert.Null(await room.Kept.OpenAsync(Permit("acme/other"), Sha256(blob)));
            using var open = (await room.Kept.OpenAsync(Permit(App), Sha256(manifest)))!;
            Assert.Equal(Manifest, open.MediaType);
            Assert.False(await room.Kept.IsLinkedAsync(Repository(App), gone));
            Assert.Equal(new KnownTag(Sha256(manifest), Noon), await room.Kept.FindTagAsync(Permit(App), Tag("latest"), "a, b;q=0.5"));
            Assert.Null(await room.Kept.FindTagAsync(Permit(App), Tag("gone"), "a"));
            Assert.Equal((2, 100_700L), (room.Store.Contents.Count, room.Store.Contents.Size));
            Assert.Null(room.Store.Concern);
            Assert.Empty(room.Log.At(LogLevel.Warning));
        }
    }

    [Fact]
    public async Task Before_it_has_been_found_content_is_looked_for()
    {
        var bytes = Bytes(1000);
        await using (var room = CacheRoom.Open(Cache))
            await room.Kept.KeepAsync(App, bytes);

        await using var early = CacheRoom.Closed(Cache);
        Assert.True(early.Store.TryOpen());
        Assert.True(await early.Kept.HoldsAsync(Sha256(bytes)));
        Assert.Equal(bytes, await early.Kept.ReadAsync(App, Sha256(bytes)));
        Assert.Equal(0, early.Store.MakeRoom());
        early.Store.Scan(CancellationToken.None);
        Assert.Equal((1, 1000L), (early.Store.Contents.Count, early.Store.Contents.Size));
    }

    [Fact]
    public async Task Nobody_else_may_read_what_is_kept()
    {
        await using var room = CacheRoom.Open(Cache);
        var digest = await room.Kept.KeepAsync(App, Bytes(10));
        await Eventually.TrueAsync(() => File.Exists(IndexFile));

        Assert.All([Cache, _directory["cache/content"], _directory["cache/coming"], Path.GetDirectoryName(room.PathOf(digest))!],
            folder => Assert.Equal(Owners | UnixFileMode.UserExecute, File.GetUnixFileMode(folder)));
        Assert.All([room.PathOf(digest), IndexFile, _directory["cache/lock"]], file => Assert.Equal(Owners, File.GetUnixFileMode(file)));
    }

    [Fact]
    public async Task A_second_process_keeps_nothing_until_the_first_has_ended()
    {
        var (bytes, tag) = (Bytes(1000), new KnownTag(Sha256([1]), Noon));
        var first = CacheRoom.Open(Cache);
        await first.Kept.KeepAsync(App, bytes);
        await first.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", tag);

        await using var second = CacheRoom.Closed(Cache);
        Assert.False(second.Store.TryOpen());
        Assert.False(second.Store.TryOpen());
        Assert.Equal($"{Cache} cannot be used, nothing is kept: another process uses it", second.Store.Concern);
        Assert.Equal([$"The cache directory {Cache} cannot be used, nothing is kept: another process uses it; trying again"], second.Log.All);
        await second.Kept.LinkAsync(Repository(App), Sha256(bytes), null);
        Assert.Null(await second.Kept.BeginAsync(Sha256([2]), 1));
        Assert.Null(await second.Kept.OpenAsync(Permit(App), Sha256(bytes)));
        Assert.False(await second.Kept.HoldsAsync(Sha256(bytes)));
        await second.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", tag);
        await second.Kept.ForgetTagAsync(Repository(App), Tag("latest"));

        await first.DisposeAsync();
        Assert.True(second.Store.TryOpen());
        Assert.Null(second.Store.Concern);
        Assert.Equal(bytes, await second.Kept.ReadAsync(App, Sha256(bytes)));
        Assert.Null(await second.Kept.FindTagAsync(Permit(App), Tag("latest"), "a")); // it was forgotten meanwhile
        second.StartJournal();
    }

    [Fact]
    public async Task What_is_not_ours_is_left_alone()
    {
        await using (var room = CacheRoom.Open(Cache))
            await room.Kept.KeepAsync(App, Bytes(10));
        var (linked, folder, empty, elsewhere) = (Sha256([1]), Sha256([2]), Sha256([3]), Sha256([4]));
        await File.WriteAllTextAsync(_directory["secret"], "not to be served");
        string Made(Digest digest)
        {
            var path = new CacheDirectory(Cache).PathOf(digest);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            return path;
        }

        File.CreateSymbolicLink(Made(linked), _directory["secret"]);
        Directory.CreateDirectory(Made(folder));
        await File.WriteAllTextAsync(Made(empty), "");
        var strangers = new[]
        {
            Path.Combine(Path.GetDirectoryName(Made(elsewhere))!, "README"),
            Path.Combine(Path.GetDirectoryName(Made(linked))!, elsewhere.Value[7..]),
            Path.Combine(Path.GetDirectoryName(Made(linked))!, linked.Value[7..].ToUpperInvariant()),
            _directory["cache/content/notes"], _directory["cache/coming/notes"], _directory["cache/more"],
        };
        foreach (var stranger in strangers)
            await File.WriteAllTextAsync(stranger, "mine");
        await File.WriteAllTextAsync(_directory["cache/coming/0123456789abcdef0123456789abcdef"], "a part");

        await using var again = CacheRoom.Closed(Cache);
        Assert.True(again.Store.TryOpen());
        Digest[] none = [linked, folder, empty, elsewhere];
        foreach (var digest in none)
            await again.Kept.LinkAsync(Repository(App), digest, null);
        foreach (var digest in none)
            Assert.Null(await again.Kept.OpenAsync(Permit(App), digest));
        again.Store.Scan(CancellationToken.None);
        foreach (var digest in none)
            Assert.Null(await again.Kept.OpenAsync(Permit(App), digest));

        Assert.Equal((1, 10L), (again.Store.Contents.Count, again.Store.Contents.Size));
        Assert.All(strangers, stranger => Assert.True(File.Exists(stranger), stranger));
        Assert.Equal([_directory["cache/coming/notes"]], again.ComingFiles());
        Assert.Equal("not to be served", await File.ReadAllTextAsync(_directory["secret"]));
        await using (var writer = (await again.Kept.BeginAsync(linked, 1))!)
        {
            await writer.WriteAsync(new byte[] { 1 }, default);
            await writer.PublishAsync(default); // into the link's place, not through it
        }

        Assert.Equal([1], (await again.Kept.ReadAsync(App, linked))!);
        Assert.Equal("not to be served", await File.ReadAllTextAsync(_directory["secret"]));
    }

    [Theory]
    [InlineData("coming")]
    [InlineData("content")]
    public async Task A_folder_that_leads_elsewhere_is_not_used(string folder)
    {
        var elsewhere = Directory.CreateDirectory(_directory["elsewhere"]);
        await File.WriteAllTextAsync(_directory["elsewhere/0123456789abcdef0123456789abcdef"], "mine");
        Directory.CreateDirectory(Cache);
        Directory.CreateSymbolicLink(Path.Combine(Cache, folder), elsewhere.FullName);

        await using var room = CacheRoom.Closed(Cache);
        Assert.False(room.Store.TryOpen());
        Assert.EndsWith($"{folder} is a link to {elsewhere.FullName}", room.Store.Concern, StringComparison.Ordinal);
        Assert.True(File.Exists(_directory["elsewhere/0123456789abcdef0123456789abcdef"]));
    }

    public static TheoryData<int, string> Damages => new()
    {
        { 1000, "flipped" }, { 1000, "cut" }, { 1000, "gone" }, { 1000, "longer" }, { 1000, "directory" },
        { 100_000, "cut" }, { 100_000, "gone" }, { 100_000, "longer" }, { 100_000, "directory" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task Damaged_content_is_dropped_counted_and_may_come_again(int length, string damage)
    {
        var bytes = Bytes(length);
        await using var room = CacheRoom.Open(Cache);
        using var corrupt = new Counted(room.Meters, "imageaccess.cache.corrupt");
        var digest = await room.Kept.KeepAsync(App, bytes);
        var path = room.PathOf(digest);
        switch (damage)
        {
            case "flipped":
                await File.WriteAllBytesAsync(path, [.. bytes.Select((b, place) => place == length / 2 ? (byte)~b : b)]);
                break;
            case "cut":
                await File.WriteAllBytesAsync(path, bytes[..^1]);
                break;
            case "longer":
                await File.WriteAllBytesAsync(path, [.. bytes, 0]);
                break;
            default:
                File.Delete(path);
                break;
        }

        if (damage == "directory")
            Directory.Delete(Path.Combine(Cache, "content"), recursive: true);

        Assert.Null(await room.Kept.OpenAsync(Permit(App), digest));
        Assert.False(await room.Kept.HoldsAsync(digest));
        Assert.Equal((0, 0L, 1L), (room.Store.Contents.Count, room.Store.Contents.Size, corrupt.Total));
        Assert.StartsWith($"The cache dropped {digest}: ", Assert.Single(room.Log.At(LogLevel.Error)), StringComparison.Ordinal);
        Assert.False(File.Exists(path));
        await room.Kept.KeepAsync(App, bytes);
        Assert.Equal(bytes, await room.Kept.ReadAsync(App, digest));
    }

    [Fact]
    public async Task A_cache_that_was_emptied_by_hand_fills_again()
    {
        await using var room = CacheRoom.Open(Cache);
        await Eventually.TrueAsync(() => IsEmptied(Cache)); // the store itself may be putting something there
        var bytes = Bytes(100);
        await room.Kept.KeepAsync(App, bytes);
        Assert.Equal(bytes, await room.Kept.ReadAsync(App, Sha256(bytes)));

        static bool IsEmptied(string directory)
        {
            try
            {
                Directory.Delete(directory, recursive: true);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task A_file_that_becomes_shorter_while_it_is_read_is_no_end()
    {
        await using var room = CacheRoom.Open(Cache);
        using var content = (await room.Kept.OpenAsync(Permit(App), await room.Kept.KeepAsync(App, Bytes(200_000))))!;
        await using (var file = new FileStream(room.PathOf(content.Digest), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            file.SetLength(1000);

        await Assert.ThrowsAsync<IOException>(content.ReadToEndAsync);
        Assert.False(await room.Kept.HoldsAsync(content.Digest));
    }

    [Fact]
    public async Task The_last_use_survives_a_restart()
    {
        var time = new ManualTime();
        Digest old, used;
        await using (var room = CacheRoom.Open(Cache, time: time))
        {
            used = await room.Kept.KeepAsync(App, Bytes(100));
            time.Advance(TimeSpan.FromMinutes(10));
            old = await room.Kept.KeepAsync(App, Bytes(100));
            File.SetLastWriteTimeUtc(room.PathOf(used), time.GetUtcNow().UtcDateTime.AddMinutes(-10));
            File.SetLastWriteTimeUtc(room.PathOf(old), time.GetUtcNow().UtcDateTime);
            time.Advance(TimeSpan.FromMinutes(30));
            await room.Kept.ReadAsync(App, used);
            room.Store.Touch(DirectoryStore.TouchAfter);
            Assert.Equal(time.GetUtcNow().UtcDateTime.AddMinutes(-40), File.GetLastWriteTimeUtc(room.PathOf(used)));
            time.Advance(TimeSpan.FromMinutes(31));
            await room.Kept.ReadAsync(App, used);
            room.Store.Touch(DirectoryStore.TouchAfter);
            Assert.Equal(time.GetUtcNow().UtcDateTime, File.GetLastWriteTimeUtc(room.PathOf(used)));
        }

        await using var again = CacheRoom.Open(Cache, maximumSize: 6000, time: time);
        Assert.Equal(1, again.Store.MakeRoom());
        Assert.True(await again.Kept.HoldsAsync(used));
        Assert.False(await again.Kept.HoldsAsync(old));
    }

    [Fact]
    public async Task A_time_that_is_yet_to_come_counts_as_now()
    {
        var time = new ManualTime();
        await using (var room = CacheRoom.Open(Cache, time: time))
            File.SetLastWriteTimeUtc(room.PathOf(await room.Kept.KeepAsync(App, Bytes(100))), new DateTime(2100, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        await using var again = CacheRoom.Open(Cache, time: time);
        Assert.Equal(time.GetUtcNow(), again.Store.Contents.All.Single().LastUse);
    }

    [Fact]
    public async Task Lines_that_are_torn_altered_or_strange_are_left_out_and_the_file_is_written_anew()
    {
        var digests = Enumerable.Range(0, 5).Select(number => Sha256(BitConverter.GetBytes(number))).ToList();
        await using (var room = CacheRoom.Open(Cache))
        {
            foreach (var digest in digests)
                await room.Kept.LinkAsync(Repository(App), digest, Manifest);
        }

        var lines = await File.ReadAllLinesAsync(IndexFile);
        Assert.Equal(5, lines.Length);
        lines[1] = lines[1].Replace("acme/app", "acme/apq", StringComparison.Ordinal);
        lines[2] = lines[2][..50] + lines[3];
        lines[3] = new string('\0', 300_000);
        await File.WriteAllTextAsync(IndexFile, string.Join('\n', [.. lines, "not a line", "\tlink\t", new string('x', 100_000)]) + "\nlink\tacme/app\tsha256:0");

        await using (var again = CacheRoom.Open(Cache))
        {
            var linked = 0;
            foreach (var digest in digests)
                linked += await again.Kept.IsLinkedAsync(Repository(App), digest) ? 1 : 0;
            Assert.Equal(2, linked);
            Assert.Equal(2, again.Store.Links.Count);
            Assert.Equal([$"{IndexFile}: 7 lines could not be read and are left out"], again.Log.At(LogLevel.Warning));
        }

        Assert.Equal(2, (await File.ReadAllLinesAsync(IndexFile)).Length);
        await using var third = CacheRoom.Open(Cache);
        Assert.Empty(third.Log.At(LogLevel.Warning));
    }

    /// <summary>No further change is needed for it: what could not be written is written when it can be.</summary>
    [Theory]
    [InlineData("index.new", "index.new/x")]
    [InlineData("index.new", "index.new/a/b")]
    [InlineData("index", "index/x")]
    public async Task A_journal_that_could_not_be_written_is_written_as_soon_as_it_can_be(string inTheWay, string folder)
    {
        var time = new ManualTime(Noon);
        Directory.CreateDirectory(Path.Combine(Cache, folder));
        await using (var room = CacheRoom.Open(Cache, time: time))
        {
            await room.Kept.LinkAsync(Repository(App), Sha256([1]), Manifest);
            await Eventually.TrueAsync(() => room.Store.Concern is not null);
            Assert.StartsWith("links and tags cannot be written: ", room.Store.Concern, StringComparison.Ordinal);
            Directory.Delete(Path.Combine(Cache, inTheWay), recursive: true);
            await Eventually.TrueAsync(() =>
            {
                time.Advance(IndexJournal.RetryAfter);
                return room.Store.Concern is null;
            });
            Assert.Single(await File.ReadAllLinesAsync(IndexFile));
        }
    }

    [Fact]
    public async Task What_was_forgotten_stays_forgotten_after_a_restart()
    {
        var (kept, gone, now) = (Sha256([1]), Sha256([2]), new KnownTag(Sha256([1]), Noon));
        await using (var room = CacheRoom.Open(Cache))
        {
            await room.Kept.LinkAsync(Repository(App), kept, null);
            await Eventually.TrueAsync(() => File.Exists(IndexFile));
            await room.Kept.LinkAsync(Repository(App), gone, Manifest);
            await room.Kept.LinkAsync(Repository("acme/other"), gone, Manifest);
            await room.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", now);
            await room.Kept.ForgetRepositoryAsync(Repository(App));
            await room.Kept.LinkAsync(Repository(App), kept, null);
        }

        for (var restart = 0; restart < 2; restart++)
        {
            await using var again = CacheRoom.Open(Cache);
            Assert.True(await again.Kept.IsLinkedAsync(Repository(App), kept));
            Assert.False(await again.Kept.IsLinkedAsync(Repository(App), gone));
            Assert.True(await again.Kept.IsLinkedAsync(Repository("acme/other"), gone));
            Assert.Null(await again.Kept.FindTagAsync(Permit(App), Tag("latest"), "a"));
            Assert.Empty(again.Log.At(LogLevel.Warning));
        }
    }

    /// <summary>The directory is used by another process at first; what is forgotten meanwhile does not come back with its journal.</summary>
    [Theory]
    [InlineData("repository")]
    [InlineData("digest")]
    public async Task What_was_forgotten_before_the_directory_could_be_opened_does_not_come_back(string what)
    {
        var (digest, unlinked) = (Sha256([1]), Sha256([2]));
        var first = CacheRoom.Open(Cache);
        foreach (var repository in new[] { App, "acme/other" })
            await first.Kept.LinkAsync(Repository(repository), digest, null);
        await first.Kept.LinkAsync(Repository("acme/other"), unlinked, null);
        await first.Kept.UnlinkAsync(Repository("acme/other"), unlinked);
        await using var second = CacheRoom.Closed(Cache);
        Assert.False(second.Store.TryOpen());
        if (what == "repository")
            await second.Kept.ForgetRepositoryAsync(Repository(App));
        else
            await second.Kept.UnlinkAsync(Repository(App), digest);

        await first.DisposeAsync();
        Assert.True(second.Store.TryOpen());
        Assert.False(await second.Kept.IsLinkedAsync(Repository(App), digest));
        Assert.True(await second.Kept.IsLinkedAsync(Repository("acme/other"), digest));
        Assert.False(await second.Kept.IsLinkedAsync(Repository("acme/other"), unlinked));
        second.StartJournal();
    }

    [Fact]
    public async Task A_link_of_a_version_that_wrote_no_time_counts_from_the_first_start_on()
    {
        var (digest, time) = (Sha256([1]), new ManualTime(Noon));
        var lines = new ArrayBufferWriter<byte>();
        JournalLine.Write(lines, new LinkLine(Repository(App), digest, Manifest, null));
        JournalLine.Write(lines, new LinkLine(Repository("acme/other"), digest, null, null));
        JournalLine.Write(lines, new LinkLine(Repository("acme/future"), digest, null, Noon.AddYears(1)));
        new CacheDirectory(Cache).Create();
        await File.WriteAllBytesAsync(IndexFile, lines.WrittenMemory);
        Assert.StartsWith($"link\t{App}\t{digest}\t{Manifest}\t", (await File.ReadAllLinesAsync(IndexFile))[0], StringComparison.Ordinal);

        for (var restart = 0; restart < 3; restart++)
        {
            await using var room = CacheRoom.Open(Cache, time: time);
            foreach (var repository in new[] { App, "acme/other", "acme/future" })
                Assert.Equal(Noon, (await room.Kept.FindAsync(Permit(repository), digest))!.SeenAt);
            Assert.Equal(Manifest, (await room.Kept.FindAsync(Permit(App), digest))!.MediaType);
            Assert.Empty(room.Log.At(LogLevel.Warning));
            time.Advance(TimeSpan.FromDays(10));
        }
    }

    [Fact]
    public async Task A_link_that_was_only_seen_again_is_written_once_a_day()
    {
        await using (var room = CacheRoom.Open(Cache, time: new ManualTime(Noon.AddDays(30))))
        {
            for (var hour = 0; hour < 24 * 20; hour++)
                await room.Kept.LinkAsync(Repository(App), Sha256([1]), Manifest, Noon.AddHours(hour));
            Assert.Equal(Noon.AddHours(479), (await room.Kept.FindAsync(Permit(App), Sha256([1])))!.SeenAt);
        }

        Assert.InRange((await File.ReadAllLinesAsync(IndexFile)).Length, 1, 21);
        await using var again = CacheRoom.Open(Cache, time: new ManualTime(Noon.AddDays(30)));
        Assert.InRange((await again.Kept.FindAsync(Permit(App), Sha256([1])))!.SeenAt, Noon.AddHours(455), Noon.AddHours(479));
    }

    [Fact]
    public async Task A_tag_that_was_only_seen_again_is_written_once_a_minute()
    {
        await using (var room = CacheRoom.Open(Cache))
        {
            for (var second = 0; second < 150; second++)
                await room.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", new KnownTag(Sha256([1]), Noon.AddSeconds(second)));
            await Eventually.TrueAsync(() => File.Exists(IndexFile));
        }

        Assert.InRange((await File.ReadAllLinesAsync(IndexFile)).Length, 1, 3);
        await using var again = CacheRoom.Open(Cache);
        Assert.InRange((await again.Kept.FindTagAsync(Permit(App), Tag("latest"), "a"))!.SeenAt, Noon.AddSeconds(90), Noon.AddSeconds(149));
    }

    [Fact]
    public async Task The_journal_is_written_anew_when_most_of_it_no_longer_counts()
    {
        await using var room = CacheRoom.Open(Cache);
        for (var round = 0; round < 4; round++)
        {
            for (var number = 0; number < 8000; number++)
                await room.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", new KnownTag(Sha256(BitConverter.GetBytes(number)), Noon));
            var last = (await room.Kept.FindTagAsync(Permit(App), Tag("latest"), "a"))!;
            await Eventually.TrueAsync(() => File.Exists(IndexFile) && File.ReadLines(IndexFile).LastOrDefault()?.Contains(last.Digest.Value, StringComparison.Ordinal) == true);
        }

        await room.DisposeAsync();
        Assert.InRange(File.ReadLines(IndexFile).Count(), 1, 18_100);
    }

    [Fact]
    public async Task A_hundred_thousand_contents_are_there_within_seconds()
    {
        const int Number = 100_000;
        var directory = new CacheDirectory(Cache);
        directory.Create();
        var lines = new ArrayBufferWriter<byte>();
        for (var shard = 0; shard < 256; shard++)
            Directory.CreateDirectory(Path.Combine(Cache, "content/sha256", $"{shard:x2}"));
        Parallel.For(0, Number, number => File.WriteAllBytes(directory.PathOf(Sha256(BitConverter.GetBytes(number))), BitConverter.GetBytes(number)));
        for (var number = 0; number < Number; number++)
            JournalLine.Write(lines, new LinkLine(Repository($"acme/app{number % 500}"), Sha256(BitConverter.GetBytes(number)), Manifest, Noon));

        await File.WriteAllBytesAsync(IndexFile, lines.WrittenMemory);
        var clock = Stopwatch.StartNew();
        await using var room = CacheRoom.Closed(Cache);
        Assert.True(room.Store.TryOpen());
        var opened = clock.Elapsed;
        Assert.NotNull(await room.Kept.ReadAsync("acme/app7", Sha256(BitConverter.GetBytes(7))));
        room.Store.Scan(CancellationToken.None);
        var scanned = clock.Elapsed - opened;
        output.WriteLine($"{Number} lines read in {opened.TotalMilliseconds:F0} ms, {Number} contents found in {scanned.TotalMilliseconds:F0} ms");

        Assert.Equal((Number, Number), (room.Store.Contents.Count, room.Store.Links.Count));
        Assert.InRange(opened, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.InRange(scanned, TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    /// <summary>A kept manifest is served without waiting, and nothing is allocated for the wait that there might have been.</summary>
    [Fact]
    public async Task What_is_in_memory_is_opened_without_a_task()
    {
        await using var room = CacheRoom.Open(Cache);
        var (contents, links, permit) = ((IContentStore)room.Store, (ILinkStore)room.Store.Links, Permit(App));
        var digest = await room.Kept.KeepAsync(App, Bytes(1000), Manifest);
        await room.Kept.RecordTagAsync(Repository(App), Tag("latest"), "a", new KnownTag(digest, Noon));
        long allocated = 0;
        for (var time = 0; time < 3; time++)
        {
            var (before, thread) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CurrentManagedThreadId);
            var known = await links.FindTagAsync(permit, Tag("latest"), "a", default);
            using (var content = await contents.OpenAsync(await links.FindAsync(permit, known!.Digest, default), default))
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(thread, Environment.CurrentManagedThreadId);
        }

        Assert.InRange(allocated, 1, 160); // the content that was opened, and the tag that was parsed here
    }

    [Fact]
    public async Task Small_contents_in_memory_are_bounded()
    {
        await using var room = CacheRoom.Open(Cache);
        var small = new SmallContents();
        var first = new KeptContent(Sha256([0]), SmallContents.Largest, Noon);
        small.Add(first, new byte[SmallContents.Largest]);
        for (var number = 1; number < 3000; number++)
        {
            Assert.NotNull(small.Find(first)); // it is hot
            small.Add(new KeptContent(Sha256(BitConverter.GetBytes(number)), SmallContents.Largest, Noon), new byte[SmallContents.Largest]);
            Assert.InRange(small.Size, 1, SmallContents.Bound);
        }

        Assert.NotNull(small.Find(first));
    }

    [Fact]
    public async Task Sizes_and_evictions_are_measured()
    {
        await using var room = CacheRoom.Open(Cache, maximumSize: 6000);
        using var evicted = new Counted(room.Meters, "imageaccess.cache.evicted");
        using var full = new Counted(room.Meters, "imageaccess.cache.full");
        using var size = new Counted(room.Meters, "imageaccess.cache.size");
        using var items = new Counted(room.Meters, "imageaccess.cache.items");
        await room.Kept.KeepAsync(App, Bytes(600));
        await room.Kept.KeepAsync(App, Bytes(600));
        Assert.Equal((1200, 2), (size.Observe(), items.Observe()));
        room.Store.MakeRoom();
        Assert.Equal((600, 1, 1L), (size.Observe(), items.Observe(), evicted.Total));
        await using (await room.Kept.BeginAsync(Sha256([1]), 900))
            Assert.Null(await room.Kept.BeginAsync(Sha256([2]), 900));
        Assert.Equal(1, full.Total);
    }

    [Theory]
    [InlineData("file", true)]
    [InlineData("file/below", true)]
    [InlineData("directory", false)]
    [InlineData("directory/new/newer", false)]
    public async Task A_directory_that_cannot_be_one_is_a_fault_of_the_configuration(string path, bool isFault)
    {
        await File.WriteAllTextAsync(_directory["file"], "");
        Directory.CreateDirectory(_directory["directory"]);
        var options = new CacheOptions { Directory = _directory[path], DataDirectory = _directory["data"] };

        Assert.Equal(isFault ? $"Cache:Directory: {_directory[path]} cannot be a directory: {_directory["file"]} is a file" : null, options.FaultOfDirectory());
    }

    [Fact]
    public async Task A_default_directory_that_cannot_be_one_is_no_reason_not_to_start()
    {
        await File.WriteAllTextAsync(Cache, "");
        await using var room = CacheRoom.Closed(Cache);
        Assert.Null(new CacheOptions { DataDirectory = _directory.Path }.FaultOfDirectory());
        Assert.False(room.Store.TryOpen());
        Assert.Null(await room.Kept.BeginAsync(Sha256([1]), 1));
        Assert.StartsWith($"{Cache} cannot be used, nothing is kept: ", room.Store.Concern, StringComparison.Ordinal);
    }

    /// <summary>One instrument of one room.</summary>
    private sealed class Counted : IDisposable
    {
        private readonly MeterListener _listener = new();
        private long _total;
        private long _observed;

        public Counted(IMeterFactory meters, string instrument)
        {
            _listener.InstrumentPublished = (published, listener) =>
            {
                if (published.Meter.Scope == meters && published.Name == instrument)
                    listener.EnableMeasurementEvents(published);
            };
            _listener.SetMeasurementEventCallback<long>((_, value, _, _) => Take(value));
            _listener.SetMeasurementEventCallback<int>((_, value, _, _) => Take(value));
            _listener.Start();
        }

        public long Total => Interlocked.Read(ref _total);

        public long Observe()
        {
            _listener.RecordObservableInstruments();
            return Interlocked.Read(ref _observed);
        }

        public void Dispose() => _listener.Dispose();

        private void Take(long value)
        {
            Interlocked.Add(ref _total, value);
            Interlocked.Exchange(ref _observed, value);
        }
    }
}
