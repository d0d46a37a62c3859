using System.Diagnostics;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>Two processes on one database have each other's blocks, whatever happens between them; and no database lifts one by itself.</summary>
public abstract class BlockExchangeTests : IAsyncLifetime
{
    private readonly List<BlockProcess> _processes = [];
    private string _address = "";

    private SqlDatabase Database => Open(_address);

    protected abstract Task<string> CreateAsync();

    internal abstract SqlDatabase Open(string address);

    public async Task InitializeAsync()
    {
        _address = await CreateAsync();
        await Database.MigrateAsync(default);
    }

    public async Task DisposeAsync()
    {
        foreach (var process in _processes)
            await process.DisposeAsync();
    }

    [Fact]
    public async Task A_block_and_its_lifting_are_in_force_on_both_within_a_second_and_told_on_each_once()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx:1.27");
        await EventuallyAsync(two, "nginx:1.27 by alice");
        await two.BlockAsync("evil/*", "carol");
        await EventuallyAsync(one, "evil/* by carol", "nginx:1.27 by alice");
        Assert.Equal(["block 1 nginx:1.27 by alice: CVE-1", "block 2 evil/* by carol: CVE-1"], one.Told());
        Assert.Equal(["block 1 nginx:1.27 by alice: CVE-1", "block 2 evil/* by carol: CVE-1"], two.Told());

        await two.UnblockAsync("nginx:1.27");
        await EventuallyAsync(one, "evil/* by carol");
        Assert.Equal(["unblock 1 nginx:1.27 by bob: fixed"], one.Told());
        Assert.Equal(["unblock 1 nginx:1.27 by bob: fixed"], two.Told());
        Assert.Null(await one.ConcernAsync());
    }

    [Fact]
    public async Task What_was_done_while_the_database_was_away_is_exchanged_afterwards()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx");
        await EventuallyAsync(two, "nginx by alice");
        await one.DisconnectAsync();
        await two.DisconnectAsync();

        await one.UnblockAsync("nginx");
        await one.BlockAsync("redis", "carol");
        await two.BlockAsync("redis", "dave");
        await two.BlockAsync("httpd");
        Assert.Equal(["redis by carol"], one.InForce);
        Assert.Equal(["httpd by alice", "nginx by alice", "redis by dave"], two.InForce);

        await two.ConnectAsync();
        await one.ConnectAsync();
        await EventuallyAsync(one, "httpd by alice", "redis by carol"); // of two for one image the first
        await EventuallyAsync(two, "httpd by alice", "redis by carol");
        Assert.Equal(["block 1 nginx by alice: CVE-1", "unblock 1 nginx by bob: fixed"], two.Told().Where(told => told.Contains("nginx", StringComparison.Ordinal)));

        await two.UnblockAsync("redis");
        await EventuallyAsync(one, "httpd by alice");
        Assert.Equal(["httpd by alice"], two.InForce);
    }

    /// <summary>Both were blocked where the other was not known: each was meant.</summary>
    [Fact]
    public async Task A_lifting_is_of_the_blocks_that_were_known_there()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await two.DisconnectAsync();
        await one.BlockAsync("nginx");
        await one.UnblockAsync("nginx");
        await two.BlockAsync("nginx", "dave");
        await two.ConnectAsync();
        await EventuallyAsync(one, "nginx by dave");
        await EventuallyAsync(two, "nginx by dave");
    }

    [Fact]
    public async Task A_database_that_is_emptied_or_older_lifts_nothing_and_brings_nothing_back()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx");
        await one.BlockAsync("redis");
        await EventuallyAsync(two, "nginx by alice", "redis by alice");
        var backup = await RowsAsync();
        await two.UnblockAsync("redis");
        await one.BlockAsync("httpd");
        await EventuallyAsync(one, "httpd by alice", "nginx by alice");
        await EventuallyAsync(two, "httpd by alice", "nginx by alice");

        await ReplaceAsync([], "an empty one");
        await WrittenAsync("httpd", "nginx");
        await ReplaceAsync(backup, "an older one");
        await WrittenAsync("httpd", "nginx");
        Assert.All(_processes, process => Assert.Equal(["httpd by alice", "nginx by alice"], process.InForce));
        Assert.DoesNotContain(_processes.SelectMany(process => process.Told()), told => told.Contains("nobody", StringComparison.Ordinal));
    }

    /// <summary>Who writes into the database: a pattern that is none, another image under a known key, a lifting of nobody.</summary>
    [Fact]
    public async Task A_row_that_is_not_what_was_written_blocks_nothing_and_lifts_nothing()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx");
        await one.BlockAsync("redis");
        await EventuallyAsync(two, "nginx by alice", "redis by alice");
        await ExecuteAsync(
            """
            INSERT INTO "Blocks" ("Key", "Image", "Reason", "By", "AtTicks", "Version") VALUES
                ('bad', 'ghcr.io/x/y', 'r', 'b', 1, 9), ('worse', 'nginx', 'r', 'b', -1, 9);
            UPDATE "Blocks" SET "LiftedVersion" = 9 WHERE "Image" = 'redis';
            UPDATE "Blocks" SET "Image" = 'library/nothing' WHERE "Image" = 'nginx' AND "Key" <> 'worse';
            UPDATE "Sequences" SET "Value" = 9, "Change" = 'spoilt' WHERE "Name" = 'blocks';
            """);
        await two.BlockAsync("httpd");
        await EventuallyAsync(one, "httpd by alice", "nginx by alice", "redis by alice");
        Assert.Equal(["httpd by alice", "nginx by alice", "redis by alice"], two.InForce);
        Assert.Equal($"{Database.Name} has blocks that are not what was written (2): they block and lift nothing", await EventualConcernAsync(one));
        Assert.Contains("The block bad of the database, for ghcr.io/x/y, is not what was written: it blocks and lifts nothing", one.Log.At(LogLevel.Error));

        await ExecuteAsync("""DELETE FROM "Blocks" WHERE "Key" IN ('bad', 'worse'); UPDATE "Sequences" SET "Change" = 'mended';""");
        Assert.Null(await EventualConcernAsync(one, null));
        await WrittenAsync("httpd", "nginx", "redis");
    }

    [Fact]
    public async Task What_vanishes_from_the_file_without_a_lifting_comes_back()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx");
        await EventuallyAsync(two, "nginx by alice");
        AtomicFile.Write(one.Path, BlockDocument.Empty.ToBytes());
        one.Store.Refresh();
        await EventuallyAsync(one, "nginx by alice");
        Assert.Equal(["nginx by alice"], two.InForce);
    }

    [Fact]
    public async Task A_file_that_cannot_be_used_is_told_and_blocks_come_when_it_is_mended()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await one.BlockAsync("nginx");
        await EventuallyAsync(two, "nginx by alice");
        var good = await File.ReadAllBytesAsync(two.Path);
        await File.WriteAllTextAsync(two.Path, "{ nonsense");
        await one.BlockAsync("redis");
        await Eventually.TrueAsync(() => two.Log.At(LogLevel.Error).Any());
        Assert.StartsWith($"{Database.Name} has blocks that cannot be taken over: {two.Path} is refused: ", await two.ConcernAsync(), StringComparison.Ordinal);
        Assert.Equal(["nginx by alice"], two.InForce);

        await File.WriteAllBytesAsync(two.Path, good);
        await EventuallyAsync(two, "nginx by alice", "redis by alice");
        await Eventually.TrueAsync(() => two.Log.At(LogLevel.Information).Any(line => line.EndsWith(" are exchanged again", StringComparison.Ordinal)));
        Assert.Null(await two.ConcernAsync());
    }

    [Fact]
    public async Task Many_who_block_and_lift_at_once_end_with_the_same()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
        {
            var (mine, other) = i % 2 == 0 ? (one, two) : (two, one);
            await mine.BlockAsync($"acme/app{i}");
            await other.BlockAsync($"acme/app{i}", "carol");
            if (i < 4)
                await mine.BlockAsync($"acme/gone{i}");
        })));
        await Eventually.TrueAsync(() => Keys(one).SetEquals(Keys(two)) && Keys(one).Count == 20);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Task.Run(() => (i % 2 == 0 ? two : one).UnblockAsync($"acme/gone{i}"))));
        await Eventually.TrueAsync(() => Keys(one).SetEquals(Keys(two)) && Keys(one).Count == 16);
        await Eventually.TrueAsync(() => one.InForce.Count() == 8 && two.InForce.SequenceEqual(one.InForce));
    }

    [Fact]
    public async Task Of_more_than_can_be_in_force_the_rest_is_told()
    {
        await Database.WriteAsync(
            async context =>
            {
                var time = TimeProvider.System.GetUtcNow();
                context.Blocks.AddRange(Enumerable.Range(0, Blocks.Maximum).Select(i => BlockTable.RowOf(new Block(0, BlockProcess.Pattern($"evil/t{i}"), "CVE-1", "carol", time), 1)));
                await SequenceRow.RaiseAsync(context, BlockTable.Sequence, default);
                await context.SaveChangesAsync();
            },
            default);
        var process = new BlockProcess(Database);
        _processes.Add(process);
        await process.BlockAsync("nginx");
        await process.BlockAsync("redis");
        await process.ConnectAsync();
        await Eventually.TrueAsync(async () => await process.ConcernAsync() is not null);
        Assert.Equal("blocks of other replicas are not in force here (2): there can be no more than 10000; lift some", await process.ConcernAsync());
        await Eventually.TrueAsync(() => process.Store.Current.Blocks.Count == Blocks.Maximum); // they are written before they are in force
        Assert.NotNull(process.Store.Current.Blocks.Find(BlockProcess.Pattern("nginx")));

        await process.UnblockAsync("nginx");
        await process.UnblockAsync("redis");
        await Eventually.TrueAsync(async () => await process.ConcernAsync() is null);
        Assert.Equal(Blocks.Maximum, process.Store.Current.Blocks.Count);
    }

    [Fact]
    public async Task Of_lifted_ones_the_last_are_kept()
    {
        var one = await BeginAsync();
        await ExecuteAsync(
            $"""
            INSERT INTO "Blocks" ("Key", "Image", "Reason", "By", "AtTicks", "Version", "LiftedVersion", "LiftedReason", "LiftedBy", "LiftedAtTicks")
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BlockDocument.MaximumLifted + 20})
                SELECT 'k' || i, 'acme/app', 'r', 'b', 1, 1, i, 'r', 'b', 1 FROM n;
            """);
        await one.BlockAsync("nginx");
        await WrittenAsync("nginx");
        Assert.Equal(BlockDocument.MaximumLifted + 1, await CountAsync());
        Assert.Empty(await Database.ReadAsync(context => context.Blocks.Where(row => row.LiftedVersion <= 20).ToListAsync(), default));
    }

    private static HashSet<string> Keys(BlockProcess process) => [.. process.Store.Blocks.Blocks.Select(BlockDocument.KeyOf)];

    private async Task<BlockProcess> BeginAsync()
    {
        var process = new BlockProcess(Database);
        _processes.Add(process);
        await process.ConnectAsync();
        return process;
    }

    /// <summary>Long before the look in any case: it is told.</summary>
    private static async Task EventuallyAsync(BlockProcess process, params string[] inForce)
    {
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => process.InForce.SequenceEqual(inForce), string.Join(", ", inForce));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    private static async Task<string?> EventualConcernAsync(BlockProcess process, string? none = "")
    {
        await Eventually.TrueAsync(async () => await process.ConcernAsync() is null == none is null);
        return await process.ConcernAsync();
    }

    private Task WrittenAsync(params string[] images) => Eventually.TrueAsync(
        async () => (await RowsAsync()).Where(row => row.LiftedVersion is null).Select(row => row.Image).Order(StringComparer.Ordinal).SequenceEqual(images),
        string.Join(", ", images));

    private Task<List<BlockRow>> RowsAsync() => Database.ReadAsync(context => context.Blocks.AsNoTracking().ToListAsync(), default);

    private Task<int> CountAsync() => Database.ReadAsync(context => context.Blocks.CountAsync(), default);

    private Task ReplaceAsync(IReadOnlyList<BlockRow> rows, string change) => Database.WriteAsync(
        async context =>
        {
            await context.Blocks.ExecuteDeleteAsync();
            context.Blocks.AddRange(rows);
            await context.SaveChangesAsync();
            await context.Database.ExecuteSqlAsync($"""UPDATE "Sequences" SET "Value" = 1, "Change" = {change}""");
            await Database.TellAsync(context, default);
        },
        default);

    private Task ExecuteAsync(string sql) => Database.WriteAsync(
        async context =>
        {
            await context.Database.ExecuteSqlRawAsync(sql);
            await Database.TellAsync(context, default);
        },
        default);
}

public sealed class SqliteBlockExchangeTests : BlockExchangeTests, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    internal override SqlDatabase Open(string address) => new SqliteDatabase(address);

    protected override Task<string> CreateAsync() => Task.FromResult(_directory["imageaccess.db"]);

    public void Dispose() => _directory.Dispose();
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresBlockExchangeTests(PostgresServer server) : BlockExchangeTests
{
    internal override SqlDatabase Open(string address) => PostgresServer.Open(address);

    protected override Task<string> CreateAsync() => server.CreateDatabaseAsync();
}
