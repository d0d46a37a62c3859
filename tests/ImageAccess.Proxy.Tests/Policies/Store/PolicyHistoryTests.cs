using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>Each version that came into force is in the history: in its order, once, whatever happens meanwhile.</summary>
public abstract class PolicyHistoryTests : IAsyncLifetime
{
    private const string Strict = PolicyFixture.Strict;
    private const string Lax = PolicyFixture.Lax;

    private static readonly string A = PolicyFixture.VersionOf(Strict);
    private static readonly string B = PolicyFixture.VersionOf(Lax);

    private readonly List<PolicyFixture> _fixtures = [];
    private SqlDatabase _database = null!;

    internal abstract Task<SqlDatabase> CreateAsync();

    public async Task InitializeAsync()
    {
        _database = await CreateAsync();
        await _database.MigrateAsync(default);
    }

    public Task DisposeAsync()
    {
        _fixtures.ForEach(fixture => fixture.Dispose());
        return Task.CompletedTask;
    }

    [Fact]
    public async Task The_document_of_the_first_start_is_the_first_entry_and_a_restart_adds_none()
    {
        var process = Begin();
        await process.WriteAsync();
        var row = Assert.Single(await ListAsync());
        Assert.Equal((A, null, null, "in force at the start"), (row.Version, row.PreviousVersion, row.Who, row.Why));
        Assert.Equal((process.Fixture.Time.GetUtcNow(), 0, 0), (row.Since, row.Opens.Count, row.TakesBack.Count));
        Assert.Equal(Strict, Encoding.UTF8.GetString(await DocumentAsync(A)));

        var restarted = process.Restart();
        Assert.True(restarted.History.IsWaiting);
        await restarted.WriteAsync();
        Assert.False(restarted.History.IsWaiting);
        Assert.Single(await ListAsync());
    }

    [Fact]
    public async Task A_data_directory_of_the_version_before_begins_with_what_is_in_force_there()
    {
        var process = NotBegun();
        await File.WriteAllTextAsync(process.Copy, Lax);
        await File.WriteAllTextAsync(process.Document, "{ half of it");
        await Begin(process).WriteAsync();
        Assert.Equal((B, "in force at the start"), Assert.Single((await ListAsync()).Select(row => (row.Version, row.Why))));
    }

    [Fact]
    public async Task A_change_has_its_words()
    {
        var process = Begin();
        process.Change(Lax);
        process.Change(Strict);
        await process.WriteAsync();

        var rows = await ListAsync();
        Assert.Equal([A, B, A], rows.Select(row => row.Version));
        Assert.Equal([null, A, B], rows.Select(row => row.PreviousVersion));
        Assert.Equal(["organization acme: community images allowed"], rows[1].Opens);
        Assert.Empty(rows[1].TakesBack);
        Assert.Empty(rows[2].Opens);
        Assert.Equal(["organization acme: community images allowed"], rows[2].TakesBack);
        Assert.Equal($"{process.Fixture.Document} changed", rows[1].Why);
        Assert.Equal([0, 1, 2], rows.Select(row => (int)(row.Since - rows[0].Since).TotalMinutes));
    }

    [Fact]
    public async Task What_changed_while_there_was_no_database_waits_over_a_restart()
    {
        var process = Begin();
        process.Change(Lax);
        var restarted = process.Restart();
        restarted.Change(Strict);
        await restarted.WriteAsync();
        Assert.Equal([A, B, A], (await ListAsync()).Select(row => row.Version));
        Assert.Equal([0, 1, 2], (await ListAsync()).Select(row => (int)(row.Since - process.Began).TotalMinutes));
    }

    [Fact]
    public async Task Who_is_killed_after_the_write_writes_nothing_twice()
    {
        var process = Begin();
        await process.WriteAsync();
        process.Change(Lax);
        process.Change(Strict);
        var before = await File.ReadAllBytesAsync(process.Fixture.HistoryFile);
        await process.WriteAsync();
        Assert.NotEqual(before, await File.ReadAllBytesAsync(process.Fixture.HistoryFile));

        await File.WriteAllBytesAsync(process.Fixture.HistoryFile, before);
        var restarted = process.Restart();
        await restarted.WriteAsync();
        Assert.Equal([A, B, A], (await ListAsync()).Select(row => row.Version));

        restarted.Change(Lax);
        await restarted.WriteAsync();
        Assert.Equal([A, B, A, B], (await ListAsync()).Select(row => row.Version));
    }

    [Fact]
    public async Task Processes_that_see_the_same_changes_write_them_once()
    {
        var (one, two, late) = (Begin(), Begin(), Begin());
        foreach (var document in new[] { Lax, Strict, Lax })
        {
            one.Change(document);
            two.Change(document);
        }

        await Task.WhenAll(one.WriteAsync(), two.WriteAsync());
        Assert.Equal([A, B, A, B], (await ListAsync()).Select(row => row.Version));

        one.Change(Strict);
        await one.WriteAsync();
        two.Change(Strict);
        two.Change(Lax);
        await two.WriteAsync();
        one.Change(Lax);
        await one.WriteAsync();
        Assert.Equal([A, B, A, B, A, B], (await ListAsync()).Select(row => row.Version));

        late.Change(Lax); // its two are the last of the others
        await late.WriteAsync();
        Assert.Equal([A, B, A, B, A, B], (await ListAsync()).Select(row => row.Version));
    }

    [Fact]
    public async Task Another_database_begins_with_what_is_in_force()
    {
        var process = Begin();
        process.Change(Lax);
        await process.WriteAsync();

        _database = await CreateAsync();
        await _database.MigrateAsync(default);
        await process.Restart().WriteAsync();
        Assert.Equal((B, "in force at the start"), Assert.Single((await ListAsync()).Select(row => (row.Version, row.Why))));
    }

    /// <summary>PostgreSQL's text has no place for such a sign, and a history that could never be written would wait for ever.</summary>
    [Fact]
    public async Task A_document_is_kept_byte_for_byte()
    {
        var document = Strict + " // \0 \ud83d\udc33 é";
        var process = Begin();
        process.Change(document);
        await process.WriteAsync();
        Assert.Equal(Encoding.UTF8.GetBytes(document), await DocumentAsync(PolicyFixture.VersionOf(document)));
    }

    [Fact]
    public async Task So_many_wait_and_what_is_given_up_is_told()
    {
        var process = Begin();
        for (var change = 0; change < PolicyHistory.MaximumWaiting; change++)
            process.Change(change % 2 == 0 ? Lax : Strict);
        Assert.Equal([$"The policy's history will miss version {A}: more than 64 versions wait for the database"], process.Fixture.HistoryLog.At(LogLevel.Error));
        await process.WriteAsync();
        Assert.Equal((64, B, A), ((await ListAsync()).Count, (await ListAsync())[0].Version, (await ListAsync())[^1].Version));
    }

    [Fact]
    public async Task Where_nothing_can_be_kept_it_is_told_once_and_written_all_the_same()
    {
        var fixture = NotBegun();
        Directory.CreateDirectory(fixture.HistoryFile);
        var process = Begin(fixture);
        process.Change(Lax);
        await process.WriteAsync();
        Assert.Equal([A, B], (await ListAsync()).Select(row => row.Version));
        Assert.Equal(2, fixture.HistoryLog.At(LogLevel.Error).Count); // that it cannot be read, and that it cannot be written
        Assert.True(process.History.IsWaiting);

        Directory.Delete(fixture.HistoryFile);
        await process.WriteAsync();
        Assert.False(process.History.IsWaiting);
        await process.Restart().WriteAsync();
        Assert.Equal([A, B], (await ListAsync()).Select(row => row.Version));
    }

    [Fact]
    public async Task A_damaged_file_of_what_waits_is_told_and_stops_nothing()
    {
        var fixture = NotBegun();
        await File.WriteAllTextAsync(fixture.HistoryFile, "{");
        await Begin(fixture).WriteAsync();
        Assert.Equal([A], (await ListAsync()).Select(row => row.Version));
        Assert.Equal([$"What the policy's history waited for cannot be used: {fixture.HistoryFile} is not what was written"], fixture.HistoryLog.At(LogLevel.Error));
    }

    [Fact]
    public async Task Nothing_is_written_where_there_is_no_policy()
    {
        var fixture = NotBegun();
        var history = fixture.History();
        var store = fixture.NotStarted(null);
        history.Follow(store);
        store.Open();
        await history.WriteAsync(_database, default);
        Assert.Empty(await ListAsync());
    }

    private PolicyFixture NotBegun()
    {
        var fixture = new PolicyFixture();
        _fixtures.Add(fixture);
        return fixture;
    }

    private Process Begin()
    {
        var fixture = NotBegun();
        File.WriteAllText(fixture.Document, Strict);
        return Begin(fixture);
    }

    private Process Begin(PolicyFixture fixture)
    {
        if (!File.Exists(fixture.Document))
            File.WriteAllText(fixture.Document, Strict);
        return new Process(fixture, () => _database);
    }

    private async Task<IReadOnlyList<PolicyVersionRow>> ListAsync()
    {
        await using var context = _database.CreateContext();
        var rows = await new PolicyVersions(context).ListAsync(PolicyVersions.MaximumListed, default);
        Assert.All(rows, row => Assert.Empty(row.Document));
        rows.Reverse();
        return rows;
    }

    private async Task<byte[]> DocumentAsync(string version)
    {
        await using var context = _database.CreateContext();
        return (await new PolicyVersions(context).FindAsync(version, default))!.Document;
    }

    /// <summary>A process with its data directory.</summary>
    private sealed class Process
    {
        private readonly PolicyStore _store;
        private readonly Func<SqlDatabase> _database;

        public Process(PolicyFixture fixture, Func<SqlDatabase> database)
        {
            (Fixture, _database, Began, History) = (fixture, database, fixture.Time.GetUtcNow(), fixture.History());
            _store = fixture.NotStarted(fixture.Document);
            History.Follow(_store);
            _store.Open();
        }

        public PolicyFixture Fixture { get; }

        public PolicyHistory History { get; }

        public DateTimeOffset Began { get; }

        public Process Restart() => new(Fixture, _database);

        public void Change(string document)
        {
            Fixture.Time.Advance(TimeSpan.FromMinutes(1));
            File.WriteAllText(Fixture.Document, document);
            _store.Refresh();
        }

        public Task WriteAsync() => Task.Run(() => History.WriteAsync(_database(), default));
    }
}

public sealed class SqlitePolicyHistoryTests : PolicyHistoryTests, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private int _databases;

    internal override Task<SqlDatabase> CreateAsync() => Task.FromResult<SqlDatabase>(new SqliteDatabase(_directory[$"{_databases++}.db"]));

    public void Dispose() => _directory.Dispose();
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresPolicyHistoryTests(PostgresServer server) : PolicyHistoryTests
{
    internal override async Task<SqlDatabase> CreateAsync() => PostgresServer.Open(await server.CreateDatabaseAsync());
}
