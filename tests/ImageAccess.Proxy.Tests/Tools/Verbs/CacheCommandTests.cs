using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tools.Verbs;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess cache show</c>, <c>verify</c> and <c>prune</c>.</summary>
public sealed class CacheCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Cache => _directory["cache"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Show_says_how_much_is_kept_and_of_whom()
    {
        var digests = await FillAsync();
        File.SetLastWriteTimeUtc(PathOf(digests[0]), new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        foreach (var digest in digests[1..])
            File.SetLastWriteTimeUtc(PathOf(digest), new DateTime(2026, 6, 7, 8, 9, 10, DateTimeKind.Utc));

        var show = await RunAsync("show");
        Assert.Equal(
            $"""
            directory   {Cache}
            size        341.8 KiB, on disk 348 KiB of 1 GiB
            contents    3
            last used   2026-01-02 03:04 to 2026-06-07 08:09

                 SIZE  CONTENTS  REPOSITORY
            293.9 KiB         2  acme/app
             47.9 KiB         1  library/nginx

            """,
            show.Output);
        Assert.Equal((0, ""), (show.ExitCode, show.Error));

        var facts = JsonDocument.Parse((await RunAsync("show", "--json")).Output).RootElement;
        Assert.Equal((350_000, 3, 1L << 30), (facts.GetProperty("size").GetInt64(), facts.GetProperty("contents").GetInt32(), facts.GetProperty("maximumSize").GetInt64()));
        Assert.Equal(348 * 1024, facts.GetProperty("sizeOnDisk").GetInt64()); // whole blocks
        Assert.Equal("acme/app", facts.GetProperty("repositories")[0].GetProperty("repository").GetString());
    }

    [Theory]
    [InlineData("show")]
    [InlineData("verify")]
    [InlineData("prune", "--to", "1MiB")]
    public async Task Where_there_is_no_cache_that_is_said(string verb, params string[] options)
    {
        var run = await RunAsync(verb, options);
        Assert.Equal((2, $"imageaccess: there is no cache in {Cache}\n", ""), (run.ExitCode, run.Error, run.Output));
        Assert.False(Directory.Exists(Cache));
    }

    [Fact]
    public async Task Verify_finds_what_is_damaged_and_removes_it_only_when_told_to()
    {
        var digests = await FillAsync();
        var sound = await RunAsync("verify");
        Assert.Equal((0, "3 contents verified, 341.8 KiB read\n", ""), (sound.ExitCode, sound.Output, sound.Error));

        var bytes = await File.ReadAllBytesAsync(PathOf(digests[1]));
        bytes[123_456] ^= 1;
        await File.WriteAllBytesAsync(PathOf(digests[1]), bytes);

        var damaged = await RunAsync("verify");
        Assert.Equal(
            (1, $"damaged  {digests[1]}: its bytes are not what its digest says\n2 contents verified, 341.8 KiB read; 1 damaged: --remove removes what is damaged\n"),
            (damaged.ExitCode, damaged.Output));
        Assert.True(File.Exists(PathOf(digests[1])));
        var facts = JsonDocument.Parse((await RunAsync("verify", "--json")).Output).RootElement;
        Assert.Equal(PathOf(digests[1]), facts.GetProperty("damaged")[0].GetProperty("path").GetString());

        var removed = await RunAsync("verify", "--remove");
        Assert.Equal(
            (1, $"removed  {digests[1]}: its bytes are not what its digest says\n2 contents verified, 341.8 KiB read; 1 damaged, removed\n"),
            (removed.ExitCode, removed.Output));
        Assert.False(File.Exists(PathOf(digests[1])));
        Assert.Equal(0, (await RunAsync("verify")).ExitCode);
    }

    [Fact]
    public async Task Prune_removes_what_was_not_used_for_the_longest_time()
    {
        var digests = await FillAsync();
        for (var number = 0; number < digests.Count; number++)
            File.SetLastWriteTimeUtc(PathOf(digests[number]), TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-30 + (number * 10)));

        var aged = await RunAsync("prune", "--unused-for", "25d");
        Assert.Equal((0, "1 content removed, 1001 B; 2 contents left, 340.8 KiB\n", ""), (aged.ExitCode, aged.Output, aged.Error));
        var pruned = await RunAsync("prune", "--to", "100KiB", "--json");
        var facts = JsonDocument.Parse(pruned.Output).RootElement;
        Assert.Equal((1, 1, 48_999L), (facts.GetProperty("removed").GetInt32(), facts.GetProperty("contents").GetInt32(), facts.GetProperty("size").GetInt64()));

        await using var room = CacheRoom.Open(Cache);
        Assert.True(await room.Kept.HoldsAsync(digests[2]));
        Assert.True(await room.Kept.IsLinkedAsync(Repository("library/nginx"), digests[2]));
        Assert.False(await room.Kept.IsLinkedAsync(Repository("acme/app"), digests[0]));
        Assert.False(await room.Kept.IsLinkedAsync(Repository("acme/app"), digests[1]));
    }

    [Fact]
    public async Task While_a_proxy_runs_nothing_is_pruned()
    {
        await FillAsync();
        await using var running = CacheRoom.Open(Cache);

        var prune = await RunAsync("prune", "--to", "1KiB");
        Assert.Equal(
            (2, $"imageaccess: a running proxy uses {Cache}: stop it first (it prunes by itself, to Cache:MaximumSize)\n"), (prune.ExitCode, prune.Error));
        Assert.Equal(3, Directory.GetFiles(Path.Combine(Cache, "content"), "*", SearchOption.AllDirectories).Length);
        Assert.Equal(0, (await RunAsync("verify")).ExitCode);
        Assert.Equal(0, (await RunAsync("show")).ExitCode);
    }

    [Theory]
    [InlineData("name what is to go: --to SIZE, --unused-for DURATION, or both")]
    [InlineData("--to: '10GB' is not a size, as 500MiB or 20GiB", "--to", "10GB")]
    [InlineData("--unused-for: 'x' is not a duration, as 30s, 5m, 12h or 7d", "--unused-for", "x")]
    public async Task Prune_must_be_told_what_is_to_go(string problem, params string[] options)
    {
        await FillAsync();
        var prune = await RunAsync("prune", options);
        Assert.Equal((2, $"imageaccess: {problem}\n"), (prune.ExitCode, prune.Error));
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(20L << 30, "20 GiB")]
    [InlineData(5000L << 40, "5000 TiB")]
    public void A_size_is_written_as_people_read_it(long bytes, string text) => Assert.Equal(text, CacheCommands.Size(bytes));

    private static async Task<Digest> KeepAsync(CacheRoom room, string repository, int length) => await room.Kept.KeepAsync(repository, Bytes(length));

    private string PathOf(Digest digest) => new Proxy.Content.Cache.CacheDirectory(Cache).PathOf(digest);

    private async Task<List<Digest>> FillAsync()
    {
        await using var room = CacheRoom.Open(Cache);
        return [await KeepAsync(room, "acme/app", 1001), await KeepAsync(room, "acme/app", 300_000), await KeepAsync(room, "library/nginx", 48_999)];
    }

    private async Task<CommandLine> RunAsync(string verb, params string[] options)
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Cache": { "Directory": "cache", "MaximumSize": "1GiB" } }""");
        return await CommandLine.RunAsync(["cache", verb, "--config", _directory["imageaccess.json"], .. options]);
    }
}
