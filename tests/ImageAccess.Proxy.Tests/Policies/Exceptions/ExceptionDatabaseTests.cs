using System.Diagnostics;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Policies.Exceptions;

/// <summary>What people grant and end, in either database: in force everywhere at once, told once, done or not done, and bounded.</summary>
public abstract class ExceptionDatabaseTests : IAsyncLifetime
{
    private readonly List<ExceptionProcess> _processes = [];

    protected string Address { get; private set; } = "";

    internal SqlDatabase Database => Open(Address);

    private ExceptionChanges Changes => new(Database, TimeProvider.System);

    protected abstract Task<string> CreateAsync();

    internal abstract SqlDatabase Open(string address);

    public async Task InitializeAsync()
    {
        Address = await CreateAsync();
        await Database.MigrateAsync(default);
    }

    public async Task DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes)) // a restarted one before the owner of its directory
            await process.DisposeAsync();
    }

    [Fact]
    public async Task Two_processes_have_a_change_within_a_second_and_tell_it_once()
    {
        var (one, two) = (await BeginAsync(), await BeginAsync());
        await Changes.AddAsync(ExceptionProcess.Grant("acme/tool:1.2"), default);
        await EventuallyAsync(one, "1 acme/tool:1.2 acme");
        await EventuallyAsync(two, "1 acme/tool:1.2 acme");

        await Changes.AddAsync(ExceptionProcess.Grant("bitnami/*", reason: "a trial"), default);
        await Changes.EndAsync(1, new("eve", "moved"), null, default);
        await EventuallyAsync(one, "2 bitnami/* acme");
        await EventuallyAsync(two, "2 bitnami/* acme");
        Assert.Equal((3, 3), (one.Policy.Exceptions.Version, two.Policy.Exceptions.Version));

        foreach (var process in new[] { one, two })
        {
            Assert.Equal(
                ["granted 1 acme/tool:1.2 by alice: because", "granted 2 bitnami/* by alice: a trial", "ended 1 acme/tool:1.2 by eve: moved"],
                process.Told().OrderBy(line => line.StartsWith("ended", StringComparison.Ordinal)));
            var restarted = await process.RestartAsync();
            _processes.Add(await restarted.ReadAsync(Database));
            await Eventually.TrueAsync(() => restarted.Store.IsRead);
            Assert.Empty(restarted.Told());
        }
    }

    [Fact]
    public async Task What_came_and_went_while_nobody_looked_is_told()
    {
        var process = await BeginAsync();
        await process.StopAsync();
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
        await Changes.EndAsync(1, new("eve", null), null, default);
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);

        var restarted = await process.RestartAsync();
        _processes.Add(await restarted.ReadAsync(Database));
        await EventuallyAsync(restarted, "2 nginx acme");
        Assert.Equal(["granted 1 nginx by alice: because", "granted 2 nginx by alice: because", "ended 1 nginx by eve: "], restarted.Told());
    }

    [Fact]
    public async Task A_new_process_begins_with_what_is_in_force_and_not_with_the_history()
    {
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
        await Changes.EndAsync(1, new("eve", null), null, default);
        await Changes.AddAsync(ExceptionProcess.Grant("redis"), default);
        var process = await BeginAsync();
        await EventuallyAsync(process, "2 redis acme");
        Assert.Equal(["granted 2 redis by alice: because"], process.Told());
    }

    /// <summary>A restore: its content counts, and the sequence goes back, or comes to the same number with other content.</summary>
    [Fact]
    public async Task A_database_that_was_replaced_is_the_truth()
    {
        var process = await BeginAsync();
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
        await Changes.AddAsync(ExceptionProcess.Grant("redis"), default);
        await EventuallyAsync(process, "1 nginx acme", "2 redis acme");
        process.Told();

        await ExecuteAsync("""DELETE FROM "Exceptions" WHERE "Id" = 2; UPDATE "Sequences" SET "Value" = 1, "Change" = 'an older one';""");
        await EventuallyAsync(process, "1 nginx acme");
        Assert.Equal(1, process.Policy.Exceptions.Version);
        Assert.Equal(["ended 2 redis by ?: the database has it no longer"], process.Told());

        await ExecuteAsync("""UPDATE "Exceptions" SET "Image" = 'httpd'; UPDATE "Sequences" SET "Change" = 'another with the same number';""");
        await EventuallyAsync(process, "1 httpd acme");
        Assert.Equal(["granted 1 httpd by alice: because", "ended 1 nginx by ?: the database has it no longer"], process.Told());
    }

    [Fact]
    public async Task It_is_kept_to_the_letter()
    {
        var until = DateTimeOffset.FromUnixTimeMilliseconds(4_000_000_000_123);
        var granted = ExceptionProcess.Grant("acme/tool:1.2", until: until, reason: "é \ud83d\udc33 \"quoted\" 'and' \\");
        var row = await Changes.AddAsync(granted, default);
        Assert.Equal(granted with { Id = row.Id, Pattern = null! }, ExceptionTable.Parse(row, out _)! with { Pattern = null! });
        var read = await Database.ReadAsync(context => new ExceptionTable(context).ListAsync("acme", ExceptionList.InForce, DateTimeOffset.UtcNow, default), default);
        Assert.Equal(row, Assert.Single(read));
        Assert.Empty(await Database.ReadAsync(context => new ExceptionTable(context).ListAsync("beta", ExceptionList.InForce, DateTimeOffset.UtcNow, default), default));
    }

    [Fact]
    public async Task The_same_image_of_the_same_organization_is_in_force_once()
    {
        var now = Changes.Now;
        await Changes.AddAsync(ExceptionProcess.Grant("nginx", until: now.AddSeconds(1)), default);
        await RefusedAsync(() => Changes.AddAsync(ExceptionProcess.Grant("docker.io/library/nginx"), default), "acme has an exception for nginx already: 1, until ");
        await Changes.AddAsync(ExceptionProcess.Grant("nginx", "beta"), default);
        await Changes.AddAsync(ExceptionProcess.Grant("nginx:1"), default);
        await Changes.AddAsync(ExceptionProcess.Grant("nginx") with { Since = now.AddMinutes(1) }, default); // the first is over by then
        await RefusedAsync(() => Changes.AddAsync(ExceptionProcess.Grant("nginx:1"), default), "acme has an exception for nginx:1 already: 3, without an end; end it first to change it");
        await Changes.EndAsync(3, new("eve", null), null, default);
        await Changes.AddAsync(ExceptionProcess.Grant("nginx:1"), default);
        Assert.Equal(6, (await Database.ReadSequenceAsync(ExceptionTable.Sequence, default)).Value);
    }

    [Fact]
    public async Task What_is_not_there_or_over_cannot_be_ended()
    {
        await RefusedAsync(() => Changes.EndAsync(5, new("eve", null), null, default), "there is no exception 5; imageaccess exceptions list names them");
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
        await Changes.EndAsync(1, new("eve", "no need"), null, default);
        await RefusedAsync(() => Changes.EndAsync(1, new("bob", null), null, default), "the exception 1 was ended already, ");
        await Changes.AddAsync(ExceptionProcess.Grant("nginx") with { Until = Changes.Now.AddHours(-1) }, default);
        await RefusedAsync(() => Changes.EndAsync(2, new("bob", null), null, default), "the exception 2 ended by itself, ");
    }

    [Fact]
    public async Task Of_many_who_grant_the_same_at_once_one_does_it_and_others_lose_nothing()
    {
        var granted = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Task.Run(async () =>
        {
            try
            {
                await Changes.AddAsync(ExceptionProcess.Grant(i % 2 == 0 ? "nginx" : $"acme/app{i}"), default);
                return 1;
            }
            catch (RefusedChangeException)
            {
                return 0;
            }
        })));
        Assert.Equal(7, granted.Sum());
        Assert.Equal(7, (await Database.ReadSequenceAsync(ExceptionTable.Sequence, default)).Value);
        Assert.Equal(7, await Database.ReadAsync(context => context.Exceptions.CountAsync(), default));
    }

    [Fact]
    public async Task There_is_a_largest_number_in_force_and_a_largest_history()
    {
        await FillAsync(Core.Policies.Exceptions.Maximum, row => row);
        await RefusedAsync(() => Changes.AddAsync(ExceptionProcess.Grant("nginx"), default), "10,000 exceptions are in force, and there can be no more: end some, or grant one for a namespace");
        var process = await BeginAsync();
        await Eventually.TrueAsync(() => process.Policy.Exceptions.Count == Core.Policies.Exceptions.Maximum);
        await Changes.EndAsync(1, new("eve", null), null, default);
        await Changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
        await Eventually.TrueAsync(() => process.Policy.Exceptions.All.Any(exception => exception.Pattern.ToString() == "nginx"));

        await FillAsync(ExceptionTable.MaximumHistory, row => row with { EndedVersion = 1, Ended = row.Since, EndedBy = "eve" });
        await FillAsync(5, row => row with { UntilMilliseconds = 1 });
        Assert.Equal(10_000 + 10_000 + 6, await Database.ReadAsync(context => context.Exceptions.CountAsync(), default));
        await Changes.EndAsync(2, new("eve", null), null, default);
        Assert.Equal(9_999 + 10_000, await Database.ReadAsync(context => context.Exceptions.CountAsync(), default));
        await RefusedAsync(() => Changes.EndAsync(2, new("eve", null), null, default), "the exception 2 was ended already, "); // the newest ones stay
    }

    [Fact]
    public async Task Those_that_nobody_has_used_for_long_are_found()
    {
        var now = Changes.Now;
        foreach (var image in new[] { "acme/never", "acme/long-ago", "acme/lately", "acme/over" })
            await Changes.AddAsync(ExceptionProcess.Grant(image), default);
        await Changes.EndAsync(4, new("eve", null), null, default);
        await Database.WriteAsync(
            context => new ExceptionTable(context).AddUsesAsync(
                new Dictionary<long, ExceptionUse> { [2] = new(3, now.AddDays(1)), [3] = new(3, now.AddDays(2)) }, default),
            default);
        Assert.Equal([], await FindAsync(now + ExceptionTable.Unused - TimeSpan.FromMinutes(1)));
        Assert.Equal([1], await FindAsync(now + ExceptionTable.Unused + TimeSpan.FromMinutes(1)));
        Assert.Equal([2, 1], await FindAsync(now.AddDays(1) + ExceptionTable.Unused));
        Assert.Equal([1], await FindAsync(now.AddDays(1) + ExceptionTable.Unused, before: 2));

        async Task<IEnumerable<long>> FindAsync(DateTimeOffset at, long before = long.MaxValue)
        {
            var page = await Database.ReadAsync(context => new ExceptionTable(context).PageAsync("acme", ExceptionList.Unused, at, before, 10, default), default);
            var list = await Database.ReadAsync(context => new ExceptionTable(context).ListAsync("acme", ExceptionList.Unused, at, default), default);
            Assert.Equal(page.Select(row => row.Id), list.Select(row => row.Id).Where(id => id < before));
            return page.Select(row => row.Id);
        }
    }

    /// <summary>Which of them holds is judged by the instant of a request: a clock that was ahead takes nothing away.</summary>
    [Fact]
    public async Task A_clock_that_goes_back_finds_what_had_ended()
    {
        var now = Changes.Now;
        await Changes.AddAsync(ExceptionProcess.Grant("nginx", until: now.AddDays(1)), default);
        var ahead = await Database.ReadAsync(context => new ExceptionTable(context).ReadAsync(null, now.AddDays(2), default), default);
        Assert.Equal(now.AddDays(1), Assert.Single(ahead.Open).Until);
        Assert.Empty(await Database.ReadAsync(context => new ExceptionTable(context).ListAsync(null, ExceptionList.InForce, now.AddDays(2), default), default));
        Assert.Single(await Database.ReadAsync(context => new ExceptionTable(context).ListAsync(null, ExceptionList.Ended, now.AddDays(2), default), default));
        Assert.Single(await Database.ReadAsync(context => new ExceptionTable(context).ListAsync(null, ExceptionList.InForce, now.AddDays(-2), default), default));
        Assert.Empty((await Database.ReadAsync(context => new ExceptionTable(context).ReadAsync(null, now.AddDays(60), default), default)).Open);

        var process = await BeginAsync();
        await EventuallyAsync(process, "1 nginx acme");
        process.Fixture.Time.Advance(TimeSpan.FromDays(-400));
        await Changes.EndAsync(1, new("eve", null), null, default);
        await EventuallyAsync(process);
    }

    [Fact]
    public async Task Who_is_killed_in_the_middle_of_a_change_has_changed_nothing()
    {
        var process = await BeginAsync();
        using (var change = Start())
        {
            Assert.Equal("written", await change.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
            change.Kill();
            await change.WaitForExitAsync();
        }

        Assert.Equal(SequencePoint.None, await Database.ReadSequenceAsync(ExceptionTable.Sequence, default));
        await Changes.AddAsync(ExceptionProcess.Grant("redis"), default);
        await Eventually.TrueAsync(() => process.Policy.Exceptions.Count > 0);
        Assert.Equal("redis", Assert.Single(process.Policy.Exceptions.All).Pattern.ToString());
        Assert.Equal(1, await Database.ReadAsync(context => context.Exceptions.CountAsync(), default));
    }

    [Fact]
    public async Task Uses_are_gathered_and_written_about_once_a_minute()
    {
        await Changes.AddAsync(ExceptionProcess.Grant("acme/tool:1.2"), default);
        await Changes.AddAsync(ExceptionProcess.Grant("bitnami/*"), default);
        await Changes.AddAsync(ExceptionProcess.Grant($"acme/other@{ExceptionProcess.Digest}"), default);
        var (tag, whole, one) = (await ParsedAsync(1), await ParsedAsync(2), await ParsedAsync(3));
        var time = new ManualTime();
        var uses = new ExceptionUses(time);
        IDatabaseWriter writer = uses;
        Assert.False(writer.IsWaiting || writer.LosesAtStop);

        uses.Note([tag], tag.Pattern.Asked!.Value);
        uses.Note([tag, one], new Asked(tag.Pattern.Asked.Value.Repository, Digest: tag.Approved));
        uses.Note([tag, whole], new Asked(tag.Pattern.Asked.Value.Repository, Digest: AnotherDigest())); // a child of the first: of the second a manifest like any other
        Assert.True(writer.IsWaiting && writer.LosesAtStop);
        await writer.WriteAsync(Database, default);
        Assert.Equal([(2, true), (1, true), (1, true)], await UsesAsync());
        Assert.False(writer.IsWaiting || writer.LosesAtStop);

        uses.Note([tag], tag.Pattern.Asked.Value);
        Assert.True(!writer.IsWaiting && writer.LosesAtStop);
        time.Advance(ExceptionUses.Period);
        Assert.True(writer.IsWaiting);
        var failing = Open(Broken(Address));
        await Assert.ThrowsAnyAsync<Exception>(() => writer.WriteAsync(failing, default));
        uses.Note([tag], tag.Pattern.Asked.Value);
        await writer.WriteAsync(Database, default);
        Assert.Equal([(4, true), (1, true), (1, true)], await UsesAsync());
        Assert.Equal(3, (await Database.ReadSequenceAsync(ExceptionTable.Sequence, default)).Value);

        async Task<IEnumerable<(long, bool)>> UsesAsync() =>
            (await Database.ReadAsync(context => context.Exceptions.OrderBy(row => row.Id).ToListAsync(), default)).Select(row => (row.Uses, row.LastUsed is not null));
    }

    protected abstract string Broken(string address);

    protected abstract string Kind { get; }

    private static Digest AnotherDigest()
    {
        Assert.True(Digest.TryParse($"sha256:{new string('a', 64)}", out var digest));
        return digest;
    }

    private async Task<GrantedException> ParsedAsync(long id) =>
        ExceptionTable.Parse(await Database.ReadAsync(context => context.Exceptions.SingleAsync(row => row.Id == id), default), out _)!;

    private Task FillAsync(int count, Func<ExceptionRow, ExceptionRow> change) => Database.WriteAsync(
        async context =>
        {
            context.Exceptions.AddRange(Enumerable.Range(0, count).Select(i => change(new ExceptionRow
            {
                Organization = "acme",
                Image = $"acme/app{i}",
                Reason = "r",
                ApprovedBy = "a",
                Since = DateTimeOffset.UnixEpoch,
                Version = 1,
            })));
            await context.SaveChangesAsync();
        },
        default);

    private async Task<ExceptionProcess> BeginAsync()
    {
        var process = new ExceptionProcess();
        _processes.Add(process);
        await process.ReadAsync(Database);
        await Eventually.TrueAsync(() => process.Store.IsRead);
        return process;
    }

    /// <summary>Long before the look in any case: a change is told.</summary>
    private static async Task EventuallyAsync(ExceptionProcess process, params string[] inForce)
    {
        var started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => process.InForce.SequenceEqual(inForce), string.Join(", ", inForce));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(15));
    }

    private static async Task RefusedAsync(Func<Task> attempt, string words)
    {
        var refused = await Assert.ThrowsAnyAsync<RefusedChangeException>(attempt);
        Assert.StartsWith(words, refused.Message, StringComparison.Ordinal);
    }

    private Task ExecuteAsync(string sql) => Database.WriteAsync(
        async context =>
        {
            await context.Database.ExecuteSqlRawAsync(sql);
            await Database.TellAsync(context, default);
        },
        default);

    private Process Start() => Process.Start(
        new ProcessStartInfo("dotnet", ["exec", typeof(CrashingFill).Assembly.Location, CrashingWrite.Argument, "exception", Kind, Address])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
}

public sealed class SqliteExceptionTests : ExceptionDatabaseTests, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    protected override string Kind => "sqlite";

    internal override SqlDatabase Open(string address) => new SqliteDatabase(address);

    protected override Task<string> CreateAsync() => Task.FromResult(_directory["imageaccess.db"]);

    protected override string Broken(string address) => address + ".gone";

    public void Dispose() => _directory.Dispose();
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresExceptionTests(PostgresServer server) : ExceptionDatabaseTests
{
    protected override string Kind => "postgres";

    internal override SqlDatabase Open(string address) => PostgresServer.Open(address);

    protected override Task<string> CreateAsync() => server.CreateDatabaseAsync();

    protected override string Broken(string address) => address + ";Port=1;Pooling=false";
}
