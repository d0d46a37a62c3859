using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>A database that fails holds nobody up, is told once, and mends itself.</summary>
public sealed class DatabaseUpkeepTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly LogLines<DatabaseUpkeep> _log = new();
    private readonly DatabaseState _state = new();
    private readonly Writer _writer = new();
    private readonly CancellationTokenSource _started = new();

    private string Path => _directory["imageaccess.db"];

    private DatabaseHealth Health => new(_state);

    public void Dispose()
    {
        _started.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task It_is_migrated_and_written_once_the_listeners_answer()
    {
        using var upkeep = Upkeep(new SqliteDatabase(Path), isStarted: false);
        await upkeep.StartAsync(default);
        Assert.False(File.Exists(Path));
        Assert.False(_state.Ready.IsCompleted);

        await _started.CancelAsync();
        await Eventually.TrueAsync(() => _writer.Calls == 1);
        Assert.Equal(
            SqlDatabaseTests.Migrations.Select(migration => $"The database {Path} has the migration {migration} now"),
            _log.At(LogLevel.Information));
        Assert.True(_state.Ready.IsCompleted);

        _writer.IsWaiting = true;
        _state.Wake();
        await Eventually.TrueAsync(() => _writer.Calls == 2);
        await upkeep.StopAsync(default);
        Assert.Null(_state.Concern);
    }

    [Fact]
    public async Task A_failure_is_told_once_and_tried_again_ever_less_often_until_it_works()
    {
        await File.WriteAllTextAsync(Path, new string('x', 5000));
        using var upkeep = Upkeep(new SqliteDatabase(Path));
        await upkeep.StartAsync(default);

        foreach (var seconds in new[] { 1, 2, 4, 8, 16, 30, 30 })
        {
            await Eventually.TrueAsync(() => _time.NextDue == _time.GetUtcNow().AddSeconds(seconds));
            _time.Advance(TimeSpan.FromSeconds(seconds));
        }

        const string Cause = "is no database of SQLite: put a backup in its place with imageaccess database restore FILE, or move it away to begin anew";
        Assert.Equal([$"The database {Path} {Cause}; trying again"], _log.At(LogLevel.Error));
        Assert.Equal(
            $"{Path} {Cause}. The policy in force stays, and what has to be written waits",
            (await Health.CheckHealthAsync(null!)).Description);
        Assert.Equal(0, _writer.Calls);

        File.Delete(Path);
        await Eventually.TrueAsync(() => _time.PendingTimers == 1);
        _time.Advance(DatabaseUpkeep.Period);
        await Eventually.TrueAsync(() => _writer.Calls == 1 && _state.Concern is null);
        Assert.Contains($"The database {Path} works again", _log.At(LogLevel.Information));
        await upkeep.StopAsync(default);
    }

    [Fact]
    public async Task A_writer_that_fails_is_called_again()
    {
        _writer.Failure = new InvalidOperationException("secret");
        using var upkeep = Upkeep(new SqliteDatabase(Path));
        await upkeep.StartAsync(default);
        await Eventually.TrueAsync(() => _state.Concern == $"{Path} failed: InvalidOperationException");

        _writer.Failure = null;
        await Eventually.TrueAsync(() => _time.PendingTimers == 1);
        _time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => _state.Concern is null);
        await upkeep.StopAsync(default);
        Assert.Equal(2, _writer.Calls);
    }

    [Fact]
    public async Task What_would_be_lost_with_the_process_is_written_at_the_stop()
    {
        using var upkeep = Upkeep(new SqliteDatabase(Path));
        await upkeep.StartAsync(default);
        await Eventually.TrueAsync(() => _writer.Calls == 1);
        await upkeep.StopAsync(default);
        Assert.Equal(1, _writer.Calls);

        _writer.LosesAtStop = true;
        await upkeep.StopAsync(default);
        Assert.Equal(2, _writer.Calls);

        _writer.Failure = new IOException("no");
        await upkeep.StopAsync(default);
        Assert.Equal(
            [$"The database {Path} cannot be used: no; the last uses of exceptions, and the denials that waited to be written, are lost with the stop"],
            _log.At(LogLevel.Warning));

        _state.Concern = "it is down";
        await upkeep.StopAsync(default);
        Assert.Equal(3, _writer.Calls);
    }

    [Fact]
    public async Task A_database_that_is_newer_stops_the_start_with_one_sentence()
    {
        var database = new SqliteDatabase(Path);
        await database.MigrateAsync(default);
        await database.WriteAsync(
            context => context.Database.ExecuteSqlRawAsync("""INSERT INTO "__EFMigrationsHistory" VALUES ('20990101000000_Later', '99.0.0')"""),
            default);

        using var upkeep = Upkeep(database);
        var refusal = await Assert.ThrowsAnyAsync<OptionsValidationException>(() => upkeep.StartAsync(default));
        Assert.Equal(
            [$"Database: {Path} belongs to a newer version of imageaccess (20990101000000_Later): start that version, or restore a backup that is as old as this one"],
            refusal.Failures);
    }

    [Fact]
    public async Task The_start_does_not_wait_for_a_server_that_says_nothing()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var port = ((IPEndPoint)silent.LocalEndpoint).Port;
        using var upkeep = Upkeep(PostgresServer.Open($"Host=127.0.0.1;Port={port};Username=u;Password=canary;Timeout=60"), isStarted: false);
        await upkeep.StartAsync(default).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(
            $"PostgreSQL at 127.0.0.1:{port}, database u did not answer in time; see that it runs and that the connection string names its host and port",
            _state.Concern);
        await upkeep.StopAsync(default);
    }

    private DatabaseUpkeep Upkeep(SqlDatabase database, bool isStarted = true)
    {
        if (isStarted)
            _started.Cancel();
        return new DatabaseUpkeep(database, [_writer], _state, new Lifetime(_started.Token), _time, _log);
    }

    private sealed class Writer : IDatabaseWriter
    {
        public bool IsWaiting { get; set; } = true;

        public bool LosesAtStop { get; set; }

        public int Calls { get; private set; }

        public Exception? Failure { get; set; }

        public Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
        {
            Calls++;
            IsWaiting = Failure is not null;
            return Failure is null ? Task.CompletedTask : Task.FromException(Failure);
        }
    }

    internal sealed class Lifetime(CancellationToken started) : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => started;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication()
        {
        }
    }
}
