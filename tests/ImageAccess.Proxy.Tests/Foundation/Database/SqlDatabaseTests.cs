using System.Diagnostics;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Content.Cache;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>What holds for both databases.</summary>
public abstract class SqlDatabaseTests : IAsyncLifetime
{
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
        Assert.Equal([SqlDatabase.NewestMigration], await database.MigrateAsync(default));
        Assert.Equal(SqlDatabase.NewestMigration, await database.ReadMigrationAsync(default));
        Assert.Empty(await database.MigrateAsync(default));
        Assert.Empty(await database.CheckAsync(default));
    }

    [Fact]
    public async Task Of_many_who_migrate_at_once_one_does_it()
    {
        var done = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Open().MigrateAsync(default))));
        Assert.Equal(SqlDatabase.NewestMigration, Assert.Single(done.SelectMany(migrations => migrations)));
    }

    [Fact]
    public async Task The_migrations_make_what_the_model_says()
    {
        await using var context = Open().CreateContext();
        Assert.False(context.Database.HasPendingModelChanges());
        Assert.Equal(SqlDatabase.NewestMigration, context.Database.GetMigrations().Last());
    }

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
        Assert.Equal([SqlDatabase.NewestMigration], await Open().MigrateAsync(default));
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
                if (args[0] == "migrate")
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
