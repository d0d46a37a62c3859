using System.Diagnostics.Metrics;
using System.Globalization;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Administration.Denials;

/// <summary>Denials come into the database off the path of requests: each once, the newest at any rate, and none for ever.</summary>
public abstract class DenialQueueTests : IAsyncLifetime, IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly AuditFixture _audit = new();
    private readonly DatabaseState _state = new();
    private MeterReadings _counts = null!;
    private DenialQueue _queue = null!;
    private SqlDatabase _database = null!;

    internal abstract Task<SqlDatabase> CreateAsync();

    public async Task InitializeAsync()
    {
        _database = await CreateAsync();
        await _database.MigrateAsync(default);
        var meters = _services.GetRequiredService<IMeterFactory>();
        _counts = new MeterReadings(meters);
        _queue = new DenialQueue(_audit.Trail, _state, new DenialMetrics(meters), _audit.Time);
        await _queue.WriteAsync(_database, default);
    }

    public async Task DisposeAsync() => await _services.DisposeAsync();

    public virtual void Dispose()
    {
        _queue?.Dispose();
        _counts?.Dispose();
        _audit.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_denial_is_written_under_the_id_that_its_client_was_told_and_merged_ones_once()
    {
        var first = await DenyAsync();
        Assert.Equal(first, await DenyAsync(tag: "other"));
        var another = await DenyAsync("someuser/tool", caller: null);
        await _audit.Allowed().DisposeAsync();
        Assert.False(_queue.IsWaiting); // they gather
        Assert.True(_queue.LosesAtStop);

        _audit.Time.Advance(DenialQueue.Gathering);
        await _state.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, default);
        Assert.True(_queue.IsWaiting);
        await _queue.WriteAsync(_database, default);
        Assert.False(_queue.IsWaiting || _queue.LosesAtStop);

        Assert.Equal([another, first], (await ListAsync()).Select(row => row.Id));
        var row = await FindAsync(first);
        Assert.Equal(
            ("bob", "someuser/custom-image", "latest", "community", "192.0.2.7", "mirror"),
            (row!.Caller, row.Repository, row.Reference, row.Rule, row.Client, row.WayIn));
        Assert.Equal("image access denied: community images not allowed", row.Message);
        Assert.Equal(["acme"], row.Organizations);
        Assert.Equal(_audit.Time.GetUtcNow() - DenialQueue.Gathering, DateTimeOffset.FromUnixTimeMilliseconds(row.TimeMilliseconds));

        Assert.Null((await FindAsync(another))!.Caller);
        Assert.Null(await FindAsync("0"));
        Assert.Equal([first], (await ListAsync(caller: "bob")).Select(denial => denial.Id));
        Assert.Equal(2, (await ListAsync("acme")).Count);
        Assert.Empty(await ListAsync("beta"));
    }

    [Fact]
    public async Task While_the_database_is_away_the_oldest_make_room_and_are_counted()
    {
        var ids = new List<string>();
        for (var i = 0; i < DenialQueue.Maximum + 3; i++)
        {
            ids.Add(await DenyAsync(caller: string.Create(CultureInfo.InvariantCulture, $"user{i % 500}")));
            if (i % 500 == 499)
                _audit.Time.Advance(TimeSpan.FromMinutes(1)); // they are merged no longer
        }

        await Assert.ThrowsAnyAsync<Exception>(() => _queue.WriteAsync(new SqliteDatabase("/nonexistent/imageaccess.db"), default));
        Assert.Equal(3, _counts["imageaccess.denials.dropped"]);

        await _queue.WriteAsync(_database, default);
        Assert.Equal(DenialQueue.Maximum, await CountAsync());
        Assert.Null(await FindAsync(ids[2]));
        Assert.NotNull(await FindAsync(ids[3]));
        Assert.NotNull(await FindAsync(ids[^1]));
        Assert.False(_queue.LosesAtStop);
    }

    /// <summary>A name that one database cannot keep would hold up all that comes after it.</summary>
    [Fact]
    public async Task Whatever_a_caller_is_called_it_is_written()
    {
        var first = await DenyAsync(caller: "nul\0 half \ud83d, \u202e and " + new string('\ud83d', 1) + new string('x', 2000));
        var second = await DenyAsync("someuser/tool");
        await _queue.WriteAsync(_database, default);
        Assert.StartsWith("nul? half \ufffd, ", (await FindAsync(first))!.Caller, StringComparison.Ordinal);
        Assert.NotNull(await FindAsync(second));
    }

    [Fact]
    public async Task What_was_written_although_nobody_heard_of_it_is_not_written_again()
    {
        await DenyAsync();
        await _queue.WriteAsync(_database, default);
        var row = Assert.Single(await ListAsync());
        var later = row with { Number = 0, Id = "later" };
        await _database.WriteAsync(context => new DenialTable(context).AddAsync([row, row, later, later], _audit.Time.GetUtcNow(), default), default);
        Assert.Equal(["later", row.Id], (await ListAsync()).Select(denial => denial.Id));
    }

    [Fact]
    public async Task What_is_too_old_or_too_much_is_deleted_a_little_at_a_time()
    {
        var now = _audit.Time.GetUtcNow() + DenialQueue.Upkeep;
        await _database.WriteAsync(
            async context =>
            {
                context.Denials.AddRange(Enumerable.Range(0, DenialTable.MaximumDeleted + 5).Select(i => Row($"old{i}", now - DenialTable.Keep - TimeSpan.FromMilliseconds(1))));
                context.Denials.AddRange(Enumerable.Range(0, 5).Select(i => Row($"new{i}", now - DenialTable.Keep)));
                await context.SaveChangesAsync();
            },
            default);
        Assert.False(_queue.IsWaiting);
        _audit.Time.Advance(DenialQueue.Upkeep);
        Assert.True(_queue.IsWaiting);
        await _queue.WriteAsync(_database, default);
        Assert.Equal(10, await CountAsync());
        Assert.True(_queue.IsWaiting);
        await _queue.WriteAsync(_database, default);
        Assert.Equal(5, await CountAsync());
        Assert.False(_queue.IsWaiting);

        await _database.WriteAsync(context => new DenialTable(context, maximum: 3).AddAsync([Row("newest", now)], now, default), default);
        Assert.Equal(["newest", "new4", "new3"], (await ListAsync()).Select(row => row.Id));
    }

    /// <summary>The question and the look at one row must agree, in both databases.</summary>
    [Fact]
    public async Task Whoever_sees_a_part_gets_just_that_part()
    {
        var now = _audit.Time.GetUtcNow();
        DenialRow Of(string id, string? caller, params string[] organizations) => Row(id, now) with { Caller = caller, Organizations = [.. organizations], Client = "192.0.2.7" };
        List<DenialRow> rows =
        [
            Of("bobs", "bob", "acme"), Of("doras", "dora", "acme"), Of("nobodys", null, "acme"), Of("of-both", "eve", "acme", "beta"), Of("betas", "bob", "beta"),
            Of("betas-nobodys", null, "beta"), Of("of-none", null),
        ];
        await _database.WriteAsync(context => new DenialTable(context).AddAsync(rows, now, default), default);
        foreach (var (view, expected) in new[]
        {
            (DenialView.Everything, "of-none betas-nobodys betas of-both nobodys doras bobs"),
            (new DenialView { Whole = ["acme"], AsMember = ["acme"] }, "of-both nobodys doras bobs"),
            (new DenialView { AsMember = ["acme"], Person = "bob" }, "nobodys bobs"),
            (new DenialView { AsMember = ["acme"] }, "nobodys"),
            (new DenialView { Whole = ["beta"], AsMember = ["acme", "beta"], Person = "bob" }, "betas-nobodys betas of-both nobodys bobs"),
            (new DenialView(), ""),
        })
        {
            var found = await _database.ReadAsync(context => new DenialTable(context).PageAsync(view, null, null, long.MaxValue, 100, default), default);
            Assert.Equal(expected, string.Join(' ', found.Select(row => row.Id)));
            Assert.Equal(expected, string.Join(' ', Enumerable.Reverse(rows).Select(row => view.Of(row)?.Id).OfType<string>()));
            Assert.All(found, row => Assert.Equal(view.IsEverything || row.Caller is not null || row.Organizations.Intersect(view.Whole).Any() ? "192.0.2.7" : null, view.Of(row)!.Client));
        }

        var part = await _database.ReadAsync(context => new DenialTable(context).PageAsync(DenialView.Everything, "acme", "bob", long.MaxValue, 100, default), default);
        Assert.Equal(["bobs"], part.Select(row => row.Id));
        Assert.Empty(await _database.ReadAsync(context => new DenialTable(context).PageAsync(DenialView.Everything, "acme", "bob", part[0].Number, 100, default), default));
    }

    private static DenialRow Row(string id, DateTimeOffset time) => new() { Id = id, TimeMilliseconds = time.ToUnixTimeMilliseconds(), Rule = "community", Message = "no" };

    private async Task<string> DenyAsync(string repository = "someuser/custom-image", string? caller = "bob", string tag = "latest")
    {
        await using var entry = _audit.Denied(repository, caller, tag: tag);
        return entry.Id;
    }

    private Task<List<DenialRow>> ListAsync(string? organization = null, string? caller = null) =>
        _database.ReadAsync(context => new DenialTable(context).ListAsync(organization, caller, 10_000, default), default);

    private Task<DenialRow?> FindAsync(string id) => _database.ReadAsync(context => new DenialTable(context).FindAsync(id, default), default);

    private Task<int> CountAsync() => _database.ReadAsync(context => context.Denials.CountAsync(), default);
}

public sealed class SqliteDenialQueueTests : DenialQueueTests
{
    private readonly TemporaryDirectory _directory = new();

    internal override Task<SqlDatabase> CreateAsync() => Task.FromResult<SqlDatabase>(new SqliteDatabase(_directory["imageaccess.db"]));

    public override void Dispose()
    {
        base.Dispose();
        _directory.Dispose();
    }
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresDenialQueueTests(PostgresServer server) : DenialQueueTests
{
    internal override async Task<SqlDatabase> CreateAsync() => PostgresServer.Open(await server.CreateDatabaseAsync());
}
