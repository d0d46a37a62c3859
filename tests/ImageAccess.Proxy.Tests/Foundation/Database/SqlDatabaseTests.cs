using System.Diagnostics;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tests.Policies.Exceptions;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>What holds for both databases.</summary>
public abstract class SqlDatabaseTests : IAsyncLifetime
{
    internal static readonly string[] Migrations = ["20261130000000_PolicyHistory", "20261130120000_Exceptions", "20261130180000_Administration", "20261130220000_Asking", "20261201000000_TokenParents", "20261201010000_Activity", "20261201020000_Incidents", "20261201040000_Pseudonyms", SqlDatabase.NewestMigration];

    /// <summary>Its connection string, or its path.</summary>
    protected abstract string Address { get; }

    internal abstract SqlDatabase Open();

    public abstract Task InitializeAsync();

    public abstract Task DisposeAsync();

    [Fact]
    public async Task It_is_migrated_once()
    {
        var database = Open();
        Assert.Null(await database.ReadMigrationAsync(default));
        Assert.Equal(Migrations, await database.MigrateAsync(default));
        Assert.Equal(SqlDatabase.NewestMigration, await database.ReadMigrationAsync(default));
        Assert.Empty(await database.MigrateAsync(default));
        Assert.Empty(await database.CheckAsync(default));
    }

    [Fact]
    public async Task Of_many_who_migrate_at_once_one_does_it()
    {
        var done = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Open().MigrateAsync(default))));
        Assert.Equal(Migrations, done.SelectMany(migrations => migrations));
    }

    [Fact]
    public async Task The_migrations_make_what_the_model_says()
    {
        await using var context = Open().CreateContext();
        Assert.False(context.Database.HasPendingModelChanges());
        Assert.Equal(SqlDatabase.NewestMigration, context.Database.GetMigrations().Last());
    }

    [Fact]
    public async Task A_schema_of_the_version_before_is_brought_up_to_date_and_keeps_its_rows()
    {
        var database = Open();
        await database.MigrateAsync(default);
        await database.WriteAsync(
            async context =>
            {
                context.PolicyVersions.Add(new PolicyVersionRow { Id = "1", Version = "1", Document = [], Why = "" });
                await context.SaveChangesAsync();
                await context.Database.ExecuteSqlRawAsync(
                    """DROP TABLE "Exceptions"; DROP TABLE "Sequences"; DROP TABLE "Blocks"; DROP TABLE "Denials"; DROP TABLE "PendingChanges"; DROP TABLE "ApiTokens";""");
                await context.Database.ExecuteSqlRawAsync(
                    """DROP TABLE "RequestSteps"; DROP TABLE "RequestAnswers"; DROP TABLE "RequestVoices"; DROP TABLE "AccessRequests"; DROP TABLE "Outbox"; DROP TABLE "ConfirmedAccounts"; DROP TABLE "DataProtectionKeys"; DROP TABLE "Activity"; DROP TABLE "Pseudonyms"; DROP TABLE "SignIns";""");
                await context.Database.ExecuteSqlRawAsync("""ALTER TABLE "PolicyVersions" DROP COLUMN "Ticket";""");
                await context.Database.ExecuteSqlRawAsync("""DELETE FROM "__EFMigrationsHistory" WHERE "MigrationId" <> '20261130000000_PolicyHistory';""");
            },
            default);
        Assert.Equal(Migrations[1..], await database.MigrateAsync(default));
        Assert.Equal(1, await database.ReadAsync(context => context.PolicyVersions.CountAsync(), default));
        Assert.Equal(0, await database.ReadAsync(context => context.Exceptions.CountAsync(), default));
    }

    [Fact]
    public async Task A_sequence_rises_with_each_change_and_what_fails_raises_none()
    {
        var database = Open();
        await database.MigrateAsync(default);
        Assert.Equal(SequencePoint.None, await database.ReadSequenceAsync("some", default));
        await RaiseAsync(database);
        var first = await database.ReadSequenceAsync("some", default);
        await RaiseAsync(database);
        await Assert.ThrowsAsync<InvalidOperationException>(() => RaiseAsync(database, () => throw new InvalidOperationException()));
        var second = await database.ReadSequenceAsync("some", default);
        Assert.Equal((1, 2), (first.Value, second.Value));
        Assert.NotEqual(first.Change, second.Change);
    }

    [Fact]
    public async Task Who_reads_waits_for_nobody_and_sees_one_state()
    {
        var database = Open();
        await database.MigrateAsync(default);
        await RaiseAsync(database);
        await database.WriteAsync(
            async context =>
            {
                await SequenceRow.RaiseAsync(context, "some", default);
                await context.SaveChangesAsync();
                Assert.Equal(1, await database.ReadAsync(reading => reading.Sequences.Select(row => row.Value).SingleAsync(), default).WaitAsync(TimeSpan.FromSeconds(4)));
            },
            default);
        await database.ReadAsync(
            async reading =>
            {
                Assert.Equal(2, await reading.Sequences.Select(row => row.Value).SingleAsync());
                await Task.Run(() => RaiseAsync(database));
                Assert.Equal(2, await reading.Sequences.Select(row => row.Value).SingleAsync());
                return true;
            },
            default);
    }

    [Fact]
    public async Task Who_watches_is_told_of_a_change_of_another_process()
    {
        await Open().MigrateAsync(default);
        await using var watch = await Open().WatchAsync(default);
        for (var change = 0; change < 3; change++)
        {
            await RaiseAsync(Open());
            var started = TimeProvider.System.GetTimestamp();
            while (await Open().ReadSequenceAsync("some", default) is { Value: var value } && value <= change)
                await watch.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, default);
            await watch.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, default);
            Assert.InRange(TimeProvider.System.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        }
    }

    [Fact]
    public async Task Who_watches_looks_also_when_nobody_told_anything()
    {
        var time = new ManualTime();
        await Open().MigrateAsync(default);
        await using var watch = await Open().WatchAsync(default);
        var waiting = watch.WaitAsync(TimeSpan.FromSeconds(30), time, default);
        await Eventually.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return waiting.IsCompleted;
        });
        Assert.InRange(time.GetUtcNow() - new ManualTime().GetUtcNow(), TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(600));
        using var stop = new CancellationTokenSource();
        var stopped = watch.WaitAsync(TimeSpan.FromSeconds(30), time, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stopped);
    }

    private static Task RaiseAsync(SqlDatabase database, Action? fail = null) => database.WriteAsync(
        async context =>
        {
            await SequenceRow.RaiseAsync(context, "some", default);
            await context.SaveChangesAsync();
            await database.TellAsync(context, default);
            fail?.Invoke();
        },
        default);

    [Fact]
    public async Task What_a_newer_program_has_changed_is_left_alone()
    {
        var database = Open();
        await database.MigrateAsync(default);
        await ExecuteAsync("""INSERT INTO "__EFMigrationsHistory" VALUES ('20990101000000_Later', '99.0.0')""");

        foreach (var attempt in new Func<Task>[] { () => database.ReadMigrationAsync(default), () => database.MigrateAsync(default) })
        {
            var refusal = await Assert.ThrowsAsync<NewerSchemaException>(attempt);
            Assert.Equal(
                "belongs to a newer version of imageaccess (20990101000000_Later): start that version, or restore a backup that is as old as this one",
                database.Explain(refusal));
        }
    }

    [Fact]
    public async Task Who_is_killed_in_the_middle_has_written_nothing_and_locks_nobody_out()
    {
        await Open().MigrateAsync(default);
        using (var process = Start("write"))
        {
            Assert.Equal("written", await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
            process.Kill();
            await process.WaitForExitAsync();
        }

        await Open().WriteAsync(async context => Assert.Equal(0, await context.PolicyVersions.CountAsync()), default);
        Assert.Empty(await Open().CheckAsync(default));
    }

    [Fact]
    public async Task A_migration_that_is_killed_is_made_by_the_next()
    {
        using (var process = Start("migrate"))
        {
            Assert.Equal("written", await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
            process.Kill();
            await process.WaitForExitAsync();
        }

        Assert.Null(await Open().ReadMigrationAsync(default));
        Assert.Equal(Migrations, await Open().MigrateAsync(default));
    }

    internal Task ExecuteAsync(string sql) => Open().WriteAsync(context => context.Database.ExecuteSqlRawAsync(sql), default);

    private Process Start(string what) => Process.Start(
        new ProcessStartInfo("dotnet", ["exec", typeof(CrashingFill).Assembly.Location, CrashingWrite.Argument, what, GetType().Name.StartsWith("Sqlite", StringComparison.Ordinal) ? "sqlite" : "postgres", Address])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
}

public sealed class SqliteDatabaseTests : SqlDatabaseTests, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    protected override string Address => _directory["imageaccess.db"];

    internal override SqlDatabase Open() => new SqliteDatabase(Address);

    public override Task InitializeAsync() => Task.CompletedTask;

    public override Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _directory.Dispose();
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresDatabaseTests(PostgresServer server) : SqlDatabaseTests
{
    private string _address = "";

    protected override string Address => _address;

    internal override SqlDatabase Open() => PostgresServer.Open(Address);

    public override async Task InitializeAsync() => _address = await server.CreateDatabaseAsync();

    public override Task DisposeAsync() => Task.CompletedTask;
}

/// <summary>A process that stops in the middle of a write, for a test to kill it.</summary>
internal static class CrashingWrite
{
    public const string Argument = "write-to-database";

    public static async Task RunAsync(string[] args)
    {
        var database = args[1] == "sqlite" ? new SqliteDatabase(args[2]) : PostgresServer.Open(args[2]);
        if (args[0] == "migrate" && database is SqliteDatabase)
            await File.WriteAllBytesAsync(args[2], []);
        await database.WriteAsync(
            async context =>
            {
                if (args[0] == "exception")
                {
                    await new ExceptionTable(context).AddAsync(ExceptionProcess.Grant("nginx"), TimeProvider.System.GetUtcNow(), default);
                    await database.TellAsync(context, default);
                }
                else if (args[0] == "policy")
                {
                    var row = new PolicyVersionRow { Id = "1", Version = "1", Document = [], Why = "" };
                    context.PolicyVersions.Add(row);
                    await SequenceRow.RaiseAsync(context, PolicyVersions.Sequence, row.Id, default);
                    await context.SaveChangesAsync();
                    await database.TellAsync(context, default);
                }
                else if (args[0] == "migrate")
                {
                    await context.Database.ExecuteSqlRawAsync(context.Database.GenerateCreateScript());
                }
                else
                {
                    context.PolicyVersions.Add(new PolicyVersionRow { Id = "1", Version = "1", Document = [], Why = "" });
                    await context.SaveChangesAsync();
                }

                await Console.Out.WriteLineAsync("written");
                await Task.Delay(Timeout.Infinite);
            },
            default);
    }
}
