using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Content.Cache;

public sealed class DirectoryStoreConformance : CacheStoreConformance, IAsyncLifetime, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly CacheRoom _room;

    public DirectoryStoreConformance() => _room = CacheRoom.Open(_directory["cache"], MaximumSize);

    private protected override KeptContents Store => _room.Kept;

    protected override (int Count, long Size) Measured => (_room.Store.Contents.Count, _room.Store.Contents.Size);

    protected override int LinkCount => _room.Store.Links.Count;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        Assert.Empty(_room.ComingFiles());
    }

    public void Dispose() => _directory.Dispose();

    protected override void MakeRoom() => _room.Store.MakeRoom();

    protected override void AssertMeasured() => AssertMeasured(_room.Store.Contents);
}

public sealed class MemoryStoreConformance : CacheStoreConformance
{
    private readonly MemoryStore _store = new(MaximumSize, TimeProvider.System);

    private protected override KeptContents Store => new(_store, _store.Links);

    protected override (int Count, long Size) Measured => (_store.Contents.Count, _store.Contents.Size);

    protected override int LinkCount => _store.Links.Count;

    /// <summary>It does so by itself.</summary>
    protected override void MakeRoom()
    {
    }

    protected override void AssertMeasured() => AssertMeasured(_store.Contents);
}

/// <summary>What every store promises, wherever it keeps content and links. A new one is tested by one more class above.</summary>
public abstract class CacheStoreConformance
{
    protected const long MaximumSize = 10 * 1024 * 1024;

    private const string Nginx = "library/nginx";
    private const string Manifest = "application/vnd.oci.image.manifest.v1+json";

    private protected abstract KeptContents Store { get; }

    /// <summary>How many contents are kept, and what they measure together.</summary>
    protected abstract (int Count, long Size) Measured { get; }

    /// <summary>Links, and tags for each set of accepted media types.</summary>
    protected abstract int LinkCount { get; }

    public static TheoryData<int> Lengths => [0, 1, 666, 65535, 65536, 65537, 131072, 1_000_003];

    [Theory]
    [MemberData(nameof(Lengths))]
    public async Task What_was_published_is_read_again(int length)
    {
        var bytes = Bytes(length);
        var digest = await Store.KeepAsync(Nginx, bytes, Manifest);

        for (var time = 0; time < 2; time++)
        {
            using var content = await Store.OpenAsync(Permit(Nginx), digest);
            Assert.NotNull(content);
            Assert.Equal((digest, length, Manifest), (content.Digest, content.Length, content.MediaType));
            Assert.Equal(bytes, await content.ReadToEndAsync());
            if (content.Bytes is { } all)
                Assert.Equal(bytes, all.ToArray());
            Assert.Equal(length <= 65536, content.Bytes is not null);
        }
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(200_000)]
    public async Task Reading_begins_anywhere_and_ends_with_nothing(int length)
    {
        var bytes = Bytes(length);
        using var content = (await Store.OpenAsync(Permit(Nginx), await Store.KeepAsync(Nginx, bytes)))!;
        var buffer = new byte[100];

        Assert.Equal(100, await content.ReadAsync(buffer, length / 2, default));
        Assert.Equal(bytes[(length / 2)..(length / 2 + 100)], buffer);
        Assert.Equal(1, await content.ReadAsync(buffer, length - 1, default));
        Assert.Equal(bytes[^1], buffer[0]);
        Assert.Equal(0, await content.ReadAsync(buffer, length, default));
        Assert.Equal(0, await content.ReadAsync(buffer, length + 1000, default));
        Assert.Equal(0, await content.ReadAsync(Memory<byte>.Empty, 0, default));
    }

    [Fact]
    public async Task Content_of_sha512_is_kept_as_well()
    {
        var bytes = Bytes(70_000);
        var digest = await Store.KeepAsync(Nginx, bytes, digest: Sha512(bytes));

        Assert.Equal(bytes, await Store.ReadAsync(Nginx, digest));
        Assert.False(await Store.HoldsAsync(Sha256(bytes)));
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(200_000)]
    public async Task What_is_removed_is_gone_who_reads_it_may_finish_and_it_may_come_again(int length)
    {
        var bytes = Bytes(length);
        var digest = await Store.KeepAsync(Nginx, bytes);
        using (var content = (await Store.OpenAsync(Permit(Nginx), digest))!)
        {
            Assert.Equal(length, await Store.MeasureAsync(digest));
            Assert.Equal(length, await Store.RemoveAsync(digest));
            Assert.Equal(bytes, await content.ReadToEndAsync());
        }

        Assert.False(await Store.HoldsAsync(digest));
        Assert.Null(await Store.OpenAsync(Permit(Nginx), digest));
        Assert.Equal((null, null), (await Store.MeasureAsync(digest), await Store.RemoveAsync(digest)));
        Assert.Equal((0, 0L), Measured);
        await Store.KeepAsync(Nginx, bytes);
        Assert.Equal(bytes, await Store.ReadAsync(Nginx, digest));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    public async Task Wrong_bytes_are_not_published(int length)
    {
        var digest = Sha256(Bytes(100));
        await Store.LinkAsync(Repository(Nginx), digest, null);
        await using (var writer = (await Store.BeginAsync(digest, length))!)
        {
            await writer.WriteAsync(Bytes(length), default);
            Assert.False(writer.Verifies());
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.PublishAsync(default));
        }

        Assert.False(await Store.HoldsAsync(digest));
        Assert.Null(await Store.OpenAsync(Permit(Nginx), digest));
        Assert.Equal((0, 0L), Measured);
    }

    [Fact]
    public async Task Bytes_that_are_missing_or_too_many_do_not_verify()
    {
        var bytes = Bytes(5000);
        await using var writer = (await Store.BeginAsync(Sha256(bytes), bytes.Length))!;

        await writer.WriteAsync(bytes.AsMemory(0, 4999), default);
        Assert.False(writer.Verifies());
        await writer.WriteAsync(bytes.AsMemory(4999), default);
        Assert.True(writer.Verifies());
        await writer.WriteAsync(new byte[1], default);
        Assert.False(writer.Verifies());
        Assert.Equal(5001, writer.Length);
    }

    [Fact]
    public async Task Without_being_published_it_is_gone()
    {
        var bytes = Bytes(5000);
        await using (var writer = (await Store.BeginAsync(Sha256(bytes), bytes.Length))!)
        {
            await writer.WriteAsync(bytes, default);
            Assert.True(writer.Verifies());
            Assert.False(await Store.HoldsAsync(Sha256(bytes)));
        }

        Assert.False(await Store.HoldsAsync(Sha256(bytes)));
        await Store.KeepAsync(Nginx, bytes);
        Assert.True(await Store.HoldsAsync(Sha256(bytes)));
    }

    [Fact]
    public async Task Its_length_need_not_be_known()
    {
        var bytes = Bytes(300_000);
        await Store.LinkAsync(Repository(Nginx), Sha256(bytes), null);
        await using (var writer = (await Store.BeginAsync(Sha256(bytes), null))!)
        {
            foreach (var piece in bytes.Chunk(12_345))
                await writer.WriteAsync(piece, default);
            await writer.PublishAsync(default);
        }

        Assert.Equal(bytes, await Store.ReadAsync(Nginx, Sha256(bytes)));
    }

    [Fact]
    public async Task Published_twice_it_is_there_once()
    {
        var bytes = Bytes(80_000);
        var digest = Sha256(bytes);
        await using (var first = (await Store.BeginAsync(digest, bytes.Length))!)
        await using (var second = (await Store.BeginAsync(digest, bytes.Length))!)
        {
            await first.WriteAsync(bytes, default);
            await second.WriteAsync(bytes, default);
            await first.PublishAsync(default);
            await Store.LinkAsync(Repository(Nginx), digest, null);
            using var between = (await Store.OpenAsync(Permit(Nginx), digest))!;
            await second.PublishAsync(default);
            await second.PublishAsync(default);
            Assert.Equal(bytes, await between.ReadToEndAsync());
        }

        Assert.Equal((1, (long)bytes.Length), Measured);
        Assert.Equal(bytes, await Store.ReadAsync(Nginx, digest));
    }

    /// <summary>The writer is slower than its readers, who follow, each at its own pace, and end with all of it.</summary>
    [Fact]
    public async Task Many_read_while_one_writes()
    {
        var bytes = Bytes(3_000_000);
        await using var writer = (await Store.BeginAsync(Sha256(bytes), bytes.Length))!;
        var isDone = false;
        var readers = Enumerable.Range(0, 20).Select(number => Task.Run(async () =>
        {
            using var read = new MemoryStream();
            var buffer = new byte[1000 + (number * 3777)];
            while (true)
            {
                var wasDone = Volatile.Read(ref isDone);
                var now = await writer.ReadAsync(buffer, read.Length, default);
                read.Write(buffer, 0, now);
                if (now == 0 && wasDone)
                    return read.ToArray();
                if (now == 0)
                    await Task.Yield();
            }
        })).ToList();

        foreach (var piece in bytes.Chunk(50_001))
            await writer.WriteAsync(piece, default);
        await writer.PublishAsync(default);
        Volatile.Write(ref isDone, true);

        Assert.All(await Task.WhenAll(readers), read => Assert.Equal(bytes, read));
    }

    [Fact]
    public async Task Links_hold_repositories_apart()
    {
        var bytes = Bytes(1000);
        var digest = await Store.KeepAsync("acme/secret", bytes, Manifest);

        Assert.Null(await Store.OpenAsync(Permit("acme/other"), digest));
        Assert.Null(await Store.OpenAsync(Permit("mallory/secret"), digest));
        Assert.True(await Store.HoldsAsync(digest));
        Assert.True(await Store.IsLinkedAsync(Repository("acme/secret"), digest));
        Assert.False(await Store.IsLinkedAsync(Repository("acme/other"), digest));

        await Store.LinkAsync(Repository("acme/other"), digest, "application/other");
        using (var other = await Store.OpenAsync(Permit("acme/other"), digest))
            Assert.Equal("application/other", other!.MediaType);
        using (var own = await Store.OpenAsync(Permit("acme/secret"), digest))
            Assert.Equal(Manifest, own!.MediaType);
        Assert.Null(await Store.OpenAsync(Permit("acme/third"), digest));
    }

    [Fact]
    public async Task A_link_alone_opens_nothing_and_content_alone_neither()
    {
        var bytes = Bytes(100);
        await Store.LinkAsync(Repository(Nginx), Sha256(bytes), null);
        Assert.Null(await Store.OpenAsync(Permit(Nginx), Sha256(bytes)));
        Assert.True(await Store.IsLinkedAsync(Repository(Nginx), Sha256(bytes)));
        Assert.False(await Store.HoldsAsync(Sha256(bytes)));

        var others = Bytes(100);
        await using (var writer = (await Store.BeginAsync(Sha256(others), 100))!)
        {
            await writer.WriteAsync(others, default);
            await writer.PublishAsync(default);
        }

        Assert.True(await Store.HoldsAsync(Sha256(others)));
        Assert.Null(await Store.OpenAsync(Permit(Nginx), Sha256(others)));
    }

    [Fact]
    public async Task A_link_tells_when_upstream_last_answered()
    {
        var (digest, noon) = (Sha256(Bytes(10)), DateTimeOffset.UnixEpoch.AddYears(57));
        await Store.LinkAsync(Repository(Nginx), digest, Manifest, noon);
        Assert.Equal(noon, (await Store.FindAsync(Permit(Nginx), digest))!.SeenAt);

        await Store.LinkAsync(Repository(Nginx), digest, Manifest, noon.AddDays(3));
        await Store.LinkAsync(Repository("acme/app"), digest, Manifest, noon.AddDays(9));
        Assert.Equal(noon.AddDays(3), (await Store.FindAsync(Permit(Nginx), digest))!.SeenAt);

        // As a blob it is seen as well, and stays a manifest; an answer that comes late turns no clock back.
        await Store.LinkAsync(Repository(Nginx), digest, null, noon.AddDays(5));
        await Store.LinkAsync(Repository(Nginx), digest, Manifest, noon.AddDays(4));
        var link = (await Store.FindAsync(Permit(Nginx), digest))!;
        Assert.Equal((noon.AddDays(5), Manifest), (link.SeenAt, link.MediaType));
    }

    [Fact]
    public async Task What_is_unlinked_is_told_and_opens_nothing_any_more()
    {
        var bytes = Bytes(100);
        var digest = await Store.KeepAsync(Nginx, bytes, Manifest);
        await Store.LinkAsync(Repository("acme/app"), digest, null);
        Assert.Equal(Manifest, (await Store.UnlinkAsync(Repository(Nginx), digest))!.MediaType);
        Assert.Null(await Store.UnlinkAsync(Repository(Nginx), digest));
        Assert.Null(await Store.OpenAsync(Permit(Nginx), digest));
        Assert.Equal(bytes, await Store.ReadAsync("acme/app", digest));
    }

    [Fact]
    public async Task A_repository_is_forgotten_alone_and_whole()
    {
        var (first, second, now) = (await Store.KeepAsync("acme/app", Bytes(100), Manifest), await Store.KeepAsync("acme/app", Bytes(100)), DateTimeOffset.UnixEpoch.AddYears(57));
        await Store.LinkAsync(Repository("acme/app2"), second, null);
        foreach (var tag in new[] { "a", "b" })
        {
            foreach (var accept in new[] { "x", "y", "z" })
                await Store.RecordTagAsync(Repository("acme/app"), Tag(tag), accept, new KnownTag(first, now));
            await Store.RecordTagAsync(Repository("acme/app2"), Tag(tag), "x", new KnownTag(first, now));
        }

        Assert.Equal((2, 2), await Store.ForgetRepositoryAsync(Repository("acme/app")));
        Assert.Equal((0, 0), await Store.ForgetRepositoryAsync(Repository("acme/app")));
        Assert.Null(await Store.OpenAsync(Permit("acme/app"), first));
        Assert.Null(await Store.OpenAsync(Permit("acme/app"), second));
        Assert.Null(await Store.FindTagAsync(Permit("acme/app"), Tag("a"), "y"));
        Assert.NotNull(await Store.ReadAsync("acme/app2", second));
        Assert.NotNull(await Store.FindTagAsync(Permit("acme/app2"), Tag("b"), "x"));
        Assert.Equal(3, LinkCount);
    }

    [Fact]
    public async Task A_tag_that_is_forgotten_tells_what_it_pointed_to()
    {
        var (old, @new, now) = (Sha256(Bytes(10)), Sha256(Bytes(10)), DateTimeOffset.UnixEpoch.AddYears(57));
        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "a", new KnownTag(old, now));
        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "b", new KnownTag(@new, now));
        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "c", new KnownTag(@new, now));
        Assert.Equal(new HashSet<Digest> { old, @new }, (await Store.ForgetTagAsync(Repository(Nginx), Tag("latest"))).ToHashSet());
        Assert.Empty(await Store.ForgetTagAsync(Repository(Nginx), Tag("latest")));
    }

    /// <summary>It could not be written into a header again, or into the journal.</summary>
    [Theory]
    [InlineData("text/html\r\nSet-Cookie: x=y")]
    [InlineData("a\tb")]
    [InlineData("täxt/plain")]
    [InlineData("")]
    public async Task A_media_type_that_is_none_makes_no_link(string mediaType)
    {
        var digest = Sha256(Bytes(10));
        await Store.LinkAsync(Repository(Nginx), digest, mediaType);
        Assert.False(await Store.IsLinkedAsync(Repository(Nginx), digest));
    }

    [Fact]
    public async Task Tags_are_known_by_repository_tag_and_accepted_types()
    {
        var (old, @new) = (Sha256(Bytes(10)), Sha256(Bytes(10)));
        var now = DateTimeOffset.UnixEpoch.AddYears(57);
        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "a,b", new KnownTag(old, now));
        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "c", new KnownTag(@new, now));

        Assert.Equal(new KnownTag(old, now), await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "a,b"));
        Assert.Equal(new KnownTag(@new, now), await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "c"));
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "a"));
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("Latest"), "c"));
        Assert.Null(await Store.FindTagAsync(Permit("library/nginx2"), Tag("latest"), "c"));

        await Store.RecordTagAsync(Repository(Nginx), Tag("latest"), "a,b", new KnownTag(@new, now.AddSeconds(1)));
        Assert.Equal(new KnownTag(@new, now.AddSeconds(1)), await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "a,b"));
        await Store.ForgetTagAsync(Repository(Nginx), Tag("other"));
        await Store.ForgetTagAsync(Repository(Nginx), Tag("latest"));
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "a,b"));
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("latest"), "c"));
    }

    [Fact]
    public async Task Tags_are_bounded_and_the_oldest_give_way()
    {
        var digest = Sha256(Bytes(10));
        var now = DateTimeOffset.UnixEpoch.AddYears(57);
        for (var number = 0; number <= LinkIndex.MaximumTags; number++)
            await Store.RecordTagAsync(Repository(Nginx), Tag($"v{number}"), "a", new KnownTag(digest, now.AddSeconds(number)));
        Assert.Equal(LinkIndex.MaximumTags / 10 * 9, LinkCount);
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("v0"), "a"));
        Assert.NotNull(await Store.FindTagAsync(Permit(Nginx), Tag($"v{LinkIndex.MaximumTags}"), "a"));

        for (var number = 0; number < 100; number++)
            await Store.RecordTagAsync(Repository(Nginx), Tag("many"), $"form {number}", new KnownTag(digest, now.AddYears(1).AddSeconds(number)));
        Assert.Null(await Store.FindTagAsync(Permit(Nginx), Tag("many"), "form 0"));
        Assert.NotNull(await Store.FindTagAsync(Permit(Nginx), Tag("many"), "form 99"));
        Assert.Equal((LinkIndex.MaximumTags / 10 * 9) + LinkIndex.MaximumForms, LinkCount);
    }

    [Fact]
    public async Task Links_to_nothing_are_bounded_and_others_stay()
    {
        var digest = await Store.KeepAsync(Nginx, Bytes(10));
        for (var number = 0; number <= LinkIndex.MaximumLinksToNothing; number++)
            await Store.LinkAsync(Repository(Nginx), Sha256(BitConverter.GetBytes(number)), null);

        Assert.InRange(LinkCount, 2, LinkIndex.MaximumLinksToNothing);
        Assert.True(await Store.IsLinkedAsync(Repository(Nginx), digest));
    }

    [Fact]
    public async Task What_was_not_used_for_the_longest_time_gives_way_and_its_links_too()
    {
        var digests = new List<Digest>();
        for (var number = 0; number < 9; number++)
            digests.Add(await Store.KeepAsync(Nginx, Bytes(1_000_000)));
        await Task.Delay(TimeSpan.FromSeconds(1.1)); // last uses are known to a second
        Assert.NotNull(await Store.ReadAsync(Nginx, digests[0]));

        digests.Add(await Store.KeepAsync(Nginx, Bytes(2_000_000)));
        MakeRoom();

        Assert.InRange(Measured.Size, 1, MaximumSize);
        Assert.True(await Store.HoldsAsync(digests[0]));
        Assert.True(await Store.HoldsAsync(digests[^1]));
        Assert.False(await Store.HoldsAsync(digests[1]));
        Assert.Null(await Store.OpenAsync(Permit(Nginx), digests[1]));
        Assert.False(await Store.IsLinkedAsync(Repository(Nginx), digests[1]));
        Assert.True(await Store.IsLinkedAsync(Repository(Nginx), digests[0]));
    }

    [Fact]
    public async Task What_is_open_is_not_evicted()
    {
        var (large, small) = (Bytes(6_000_000), Bytes(1000));
        using var openLarge = (await Store.OpenAsync(Permit(Nginx), await Store.KeepAsync(Nginx, large)))!;
        using var openSmall = (await Store.OpenAsync(Permit(Nginx), await Store.KeepAsync(Nginx, small)))!;
        var third = await Store.KeepAsync(Nginx, Bytes(3_000_000));

        await using (var writer = await Store.BeginAsync(Sha256(small), 4_000_000))
            MakeRoom();

        Assert.False(await Store.HoldsAsync(third));
        Assert.True(await Store.HoldsAsync(openLarge.Digest));
        Assert.True(await Store.HoldsAsync(openSmall.Digest));
        Assert.Equal(large, await openLarge.ReadToEndAsync());
        Assert.Equal(small, await openSmall.ReadToEndAsync());

        openLarge.Dispose();
        openLarge.Dispose();
        await using var next = await Store.BeginAsync(Sha256(small), 9_000_000);
        MakeRoom();
        Assert.False(await Store.HoldsAsync(openLarge.Digest));
    }

    [Fact]
    public async Task What_is_larger_than_all_is_not_begun()
    {
        Assert.Null(await Store.BeginAsync(Sha256([1]), MaximumSize + 1));
        await using (var all = await Store.BeginAsync(Sha256([1]), MaximumSize))
        {
            Assert.NotNull(all);
            Assert.Null(await Store.BeginAsync(Sha256([2]), 1));
        }

        await using var endless = (await Store.BeginAsync(Sha256([1]), null))!;
        var exception = await Assert.ThrowsAsync<IOException>(async () =>
        {
            for (var written = 0; written <= 2 * MaximumSize; written += 1_000_000)
                await endless.WriteAsync(new byte[1_000_000], default);
        });
        Assert.StartsWith("The ", exception.Message, StringComparison.Ordinal);
        Assert.False(endless.Length > MaximumSize);
    }

    /// <summary>Readers, writers and evictions at once: whoever opens something reads all of it, rightly.</summary>
    [Fact]
    public async Task Nothing_wrong_is_read_while_content_comes_and_goes()
    {
        var contents = Enumerable.Range(0, 30).Select(number => Bytes(number % 3 == 0 ? 5000 : 900_000)).Select(bytes => (Bytes: bytes, Digest: Sha256(bytes))).ToArray();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        var (opened, missed) = (0, 0);
        var evicting = Task.Run(async () =>
        {
            while (!limit.IsCancellationRequested)
            {
                MakeRoom();
                await Task.Yield();
            }
        });
        var working = Enumerable.Range(0, 8).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            while (!limit.IsCancellationRequested)
            {
                var (bytes, digest) = contents[random.Next(contents.Length)];
                if (await Store.ReadAsync(Nginx, digest) is { } read)
                {
                    Assert.Equal(bytes, read);
                    Interlocked.Increment(ref opened);
                    continue;
                }

                Interlocked.Increment(ref missed);
                await Store.LinkAsync(Repository(Nginx), digest, null);
                await using var writer = await Store.BeginAsync(digest, bytes.Length);
                if (writer is null)
                    continue;
                await writer.WriteAsync(bytes, default);
                await writer.PublishAsync(default);
            }
        })).ToList();
        await Task.WhenAll([evicting, .. working]);

        Assert.InRange(opened, 10, int.MaxValue);
        Assert.InRange(missed, 31, int.MaxValue);
        MakeRoom();
        Assert.InRange(Measured.Size, 1, MaximumSize);
        AssertMeasured();
        foreach (var (bytes, digest) in contents)
        {
            if (!await Store.HoldsAsync(digest))
                continue;
            await Store.LinkAsync(Repository(Nginx), digest, null);
            Assert.Equal(bytes, await Store.ReadAsync(Nginx, digest));
        }
    }

    protected abstract void MakeRoom();

    /// <summary>What is measured is what is there.</summary>
    protected abstract void AssertMeasured();

    private protected static void AssertMeasured(ContentIndex contents)
    {
        Assert.Equal(contents.All.Sum(content => content.Length), contents.Size);
        Assert.Equal(contents.All.Count(), contents.Count);
    }
}
