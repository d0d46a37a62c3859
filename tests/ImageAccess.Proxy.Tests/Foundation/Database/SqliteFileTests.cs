using System.Diagnostics;
using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>The file in the data directory: whose it is, and what may be wrong with it.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class SqliteFileTests : IDisposable
{
    private const string Advice = "put a backup in its place with imageaccess database restore FILE";

    private readonly TemporaryDirectory _directory = new();

    private string Path => _directory["imageaccess.db"];

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task It_is_one_file_and_its_owners_alone()
    {
        await new SqliteDatabase(Path).MigrateAsync(default);
        Assert.Equal([Path], Directory.GetFiles(_directory.Path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));

        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        await new SqliteDatabase(Path).MigrateAsync(default);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
    }

    [Fact]
    public async Task While_it_is_written_it_can_be_read_and_its_log_is_its_owners_alone()
    {
        var database = new SqliteDatabase(Path);
        await database.MigrateAsync(default);
        await database.WriteAsync(
            async context =>
            {
                await AddAsync(context, "1");
                Assert.Equal(SqlDatabase.NewestMigration, await database.ReadMigrationAsync(default));
                Assert.All(Directory.GetFiles(_directory.Path), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
            },
            default);
    }

    [Fact]
    public async Task A_file_that_others_may_change_is_not_used()
    {
        var database = new SqliteDatabase(Path);
        await database.MigrateAsync(default);
        File.SetUnixFileMode(Path, (UnixFileMode)0b110_110_110);
        await AssertFailsAsync(database, () => database.MigrateAsync(default), $"can be changed by others than its owner: chmod go-w {Path}");
        await AssertFailsAsync(database, () => database.ReadMigrationAsync(default), $"can be changed by others than its owner: chmod go-w {Path}");
    }

    [Fact]
    public async Task What_is_no_database_is_left_as_it_is()
    {
        var text = new string('x', 5000);
        await File.WriteAllTextAsync(Path, text);
        var database = new SqliteDatabase(Path);
        foreach (var attempt in new Func<Task>[] { () => database.ReadMigrationAsync(default), () => database.MigrateAsync(default) })
            await AssertFailsAsync(database, attempt, $"is no database of SQLite: {Advice}, or move it away to begin anew");
        Assert.Equal(text, await File.ReadAllTextAsync(Path));
    }

    [Fact]
    public async Task Who_is_locked_out_is_told_and_goes_on_afterwards()
    {
        var database = new SqliteDatabase(Path);
        await database.MigrateAsync(default);
        await using (var other = new SqliteConnection($"Data Source={Path};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN EXCLUSIVE";
            await locking.ExecuteNonQueryAsync();
            await AssertFailsAsync(
                database, () => database.WriteAsync(context => AddAsync(context, "1"), default), "is locked by another process: end that process, or wait until it has finished");
        }

        await database.WriteAsync(context => AddAsync(context, "1"), default);
    }

    [Fact]
    public async Task A_full_disk_loses_nothing_that_was_there()
    {
        await MountAsync("size=1m");
        try
        {
            var database = new SqliteDatabase(Path);
            await database.MigrateAsync(default);
            var written = 0;
            var failure = await Record.ExceptionAsync(async () =>
            {
                for (; written < 100; written++)
                    await database.WriteAsync(context => AddAsync(context, $"{written}", new byte[100_000]), default);
            });
            Assert.NotNull(failure);
            Assert.Equal("cannot grow: its disk has no space left; make room", database.Explain(failure));

            await RunAsync("mount", "-o", "remount,size=4m", _directory.Path);
            await database.WriteAsync(
                async context =>
                {
                    Assert.Equal(written, await context.PolicyVersions.CountAsync());
                    await AddAsync(context, "again", new byte[100_000]);
                },
                default);
            Assert.Empty(await database.CheckAsync(default));
        }
        finally
        {
            await RunAsync("umount", _directory.Path);
        }
    }

    [Fact]
    public async Task What_is_mounted_read_only_is_told_and_works_again()
    {
        await MountAsync("size=4m");
        try
        {
            var database = new SqliteDatabase(Path);
            await database.MigrateAsync(default);
            await RunAsync("mount", "-o", "remount,ro", _directory.Path);
            var failure = await Record.ExceptionAsync(() => database.WriteAsync(context => AddAsync(context, "1"), default));
            Assert.NotNull(failure);
            Assert.Matches("^cannot be (written|opened): let the user .* write it and its directory, and see that the disk is not mounted read-only$", database.Explain(failure));

            await RunAsync("mount", "-o", "remount,rw", _directory.Path);
            await database.WriteAsync(context => AddAsync(context, "1"), default);
        }
        finally
        {
            await RunAsync("umount", _directory.Path);
        }
    }

    private static async Task AssertFailsAsync(SqlDatabase database, Func<Task> attempt, string words)
    {
        var failure = await Record.ExceptionAsync(attempt);
        Assert.NotNull(failure);
        Assert.Equal(words, database.Explain(failure));
    }

    private static Task<int> AddAsync(DatabaseContext context, string id, byte[]? document = null)
    {
        context.PolicyVersions.Add(new PolicyVersionRow { Id = id, Version = id, Document = document ?? [], Why = "" });
        return context.SaveChangesAsync();
    }

    private Task MountAsync(string options) => RunAsync("mount", "-t", "tmpfs", "-o", $"{options},mode=0700", "tmpfs", _directory.Path);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }
}
