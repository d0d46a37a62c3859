using System.Diagnostics;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Policies.Exceptions;

/// <summary>Whatever is wrong with the database, the exceptions that were read last stay, also over a restart, and it mends itself.</summary>
public sealed class ExceptionOutageTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Path => _directory["imageaccess.db"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task PostgreSQL_that_stops_and_starts_again()
    {
        var server = new PostgresServer();
        await server.InitializeAsync();
        try
        {
            var database = PostgresServer.Open(await server.CreateDatabaseAsync());
            await database.MigrateAsync(default);
            var changes = new ExceptionChanges(database, TimeProvider.System);
            await using var one = await new ExceptionProcess().ReadAsync(database);
            await using var two = await new ExceptionProcess().ReadAsync(database);
            await changes.AddAsync(ExceptionProcess.Grant("nginx"), default);
            await InForceAsync(one, "1 nginx acme");
            await InForceAsync(two, "1 nginx acme");

            await server.StopAsync();
            await ConcernedAsync(one, "; the exceptions that were read last stay in force (1)");
            Assert.Equal(["1 nginx acme"], one.InForce);
            await using var restarted = await (await two.RestartAsync()).ReadAsync(database);
            await ConcernedAsync(restarted, "; the exceptions that were read last stay in force (1)");
            Assert.Equal(["1 nginx acme"], restarted.InForce);
            await Assert.ThrowsAnyAsync<Exception>(() => changes.AddAsync(ExceptionProcess.Grant("redis"), default));

            await server.StartAsync();
            await Eventually.TrueAsync(() => one.Store.Concern is null && restarted.Store.Concern is null);
            await changes.AddAsync(ExceptionProcess.Grant("redis"), default);
            var started = Stopwatch.GetTimestamp();
            await InForceAsync(one, "1 nginx acme", "2 redis acme");
            await InForceAsync(restarted, "1 nginx acme", "2 redis acme");
            Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(10)); // long before the next look in any case
            Assert.DoesNotContain("s3cret", one.Fixture.ExceptionsLog.ToString() + await File.ReadAllTextAsync(one.CopyPath), StringComparison.Ordinal);
        }
        finally
        {
            await server.DisposeAsync();
            server.Dispose();
        }
    }

    [Fact]
    public async Task A_file_that_is_gone_or_no_database()
    {
        var (database, process) = await BeginAsync();
        await using var owned = process;
        File.Move(Path, Path + ".aside");
        await ConcernedAsync(process, $"{Path} is not there any more: it is made again, or put a backup in its place with imageaccess database restore FILE; the exceptions that were read last stay in force (1)");
        await File.WriteAllTextAsync(Path, new string('x', 5000));
        await ConcernedAsync(process, "is no database of SQLite");
        Assert.Equal(["1 nginx acme"], process.InForce);

        await using var restarted = await (await process.RestartAsync()).ReadAsync(database);
        await ConcernedAsync(restarted, "is no database of SQLite");
        Assert.Equal(["1 nginx acme"], restarted.InForce);

        File.Move(Path + ".aside", Path, overwrite: true);
        await Eventually.TrueAsync(() => restarted.Store is { Concern: null, IsRead: true });
        Assert.Equal(["1 nginx acme"], restarted.InForce);

        File.Delete(Path);
        await database.MigrateAsync(default); // a new one is the truth as well
        await InForceAsync(restarted);
    }

    [Fact]
    public async Task A_file_that_another_process_has_locked()
    {
        var (database, process) = await BeginAsync();
        await using var owned = process;
        await using (var other = new SqliteConnection($"Data Source={Path};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN EXCLUSIVE";
            await locking.ExecuteNonQueryAsync();
            var failure = await Record.ExceptionAsync(() => new ExceptionChanges(database, TimeProvider.System).AddAsync(ExceptionProcess.Grant("redis"), default));
            Assert.NotNull(failure);
            Assert.Equal("is locked by another process: end that process, or wait until it has finished", database.Explain(failure));
            Assert.Equal(["1 nginx acme"], process.InForce);
        }

        await new ExceptionChanges(database, TimeProvider.System).AddAsync(ExceptionProcess.Grant("redis"), default);
        await InForceAsync(process, "1 nginx acme", "2 redis acme");
    }

    [Fact]
    public async Task A_full_disk_and_one_that_is_read_only()
    {
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", _directory.Path);
        try
        {
            var (database, process) = await BeginAsync();
            await using var owned = process;
            var changes = new ExceptionChanges(database, TimeProvider.System);
            var granted = 1;
            var full = await Record.ExceptionAsync(async () =>
            {
                for (; granted < 5000; granted++)
                    await changes.AddAsync(ExceptionProcess.Grant($"acme/app{granted}", reason: new string('x', 1000)), default);
            });
            Assert.NotNull(full);
            Assert.Matches("^cannot (grow: its disk has no space left; make room|be read or written: look at its disk, and whether it has space|be opened: .*)$", database.Explain(full));
            Assert.InRange(process.Policy.Exceptions.Count, 1, granted);

            await RunAsync("mount", "-o", "remount,size=8m", _directory.Path);
            await Eventually.TrueAsync(() => process.Policy.Exceptions.Count == granted);

            await RunAsync("mount", "-o", "remount,ro", _directory.Path);
            var readOnly = await Record.ExceptionAsync(() => changes.EndAsync(1, new("eve", null), null, default));
            Assert.NotNull(readOnly);
            Assert.Matches("^cannot be (written|opened): let the user .* write it and its directory", database.Explain(readOnly));
            Assert.Equal(granted, process.Policy.Exceptions.Count);

            await RunAsync("mount", "-o", "remount,rw", _directory.Path);
            await changes.EndAsync(1, new("eve", null), null, default);
            await Eventually.TrueAsync(() => process.Policy.Exceptions.Count == granted - 1 && process.Store.Concern is null);
            Assert.Empty(await database.CheckAsync(default));
        }
        finally
        {
            await RunAsync("umount", _directory.Path);
        }
    }

    private async Task<(SqlDatabase Database, ExceptionProcess Process)> BeginAsync()
    {
        var database = new SqliteDatabase(Path);
        await database.MigrateAsync(default);
        var process = await new ExceptionProcess().ReadAsync(database);
        await new ExceptionChanges(database, TimeProvider.System).AddAsync(ExceptionProcess.Grant("nginx"), default);
        await InForceAsync(process, "1 nginx acme");
        return (database, process);
    }

    private static Task InForceAsync(ExceptionProcess process, params string[] inForce) =>
        Eventually.TrueAsync(() => process.InForce.SequenceEqual(inForce), string.Join(", ", inForce));

    private static Task ConcernedAsync(ExceptionProcess process, string words) =>
        Eventually.TrueAsync(() => process.Store.Concern?.Contains(words, StringComparison.Ordinal) == true, words);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
