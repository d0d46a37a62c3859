using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess database …</c> and <c>imageaccess policy history</c>.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresRoom.Name)]
public sealed class DatabaseCommandTests(PostgresServer server) : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly PolicyFixture _policy = new();

    private string Database => _directory["imageaccess.db"];

    public void Dispose()
    {
        _policy.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Status_tells_where_it_is_and_whether_it_is_up_to_date()
    {
        Assert.Equal(
            (1, $"database    {Database}\nschema      none\nstate       is not there yet: the proxy makes it when it starts\n"), Said(await RunAsync("database", "status")));
        Assert.False(File.Exists(Database));

        Assert.Equal(
            (0, string.Concat(SqlDatabaseTests.Migrations.Select(migration => $"{Database} has {migration} now\n"))), Said(await RunAsync("database", "migrate")));
        Assert.Equal((0, $"{Database} is up to date\n"), Said(await RunAsync("database", "migrate")));
        Assert.Equal((0, $"database    {Database}\nschema      {SqlDatabase.NewestMigration}\nstate       ready\n"), Said(await RunAsync("database", "status")));
        var facts = (await RunAsync("database", "status", "--json")).Json;
        Assert.Equal((Database, "sqlite", SqlDatabase.NewestMigration), (
            facts.GetProperty("database").GetString(), facts.GetProperty("kind").GetString(), facts.GetProperty("schema").GetString()));
        Assert.Equal((0, $"{Database} is well\n"), Said(await RunAsync("database", "check")));
    }

    [Theory]
    [InlineData("database", "check")]
    [InlineData("database", "backup", "copy.db")]
    [InlineData("policy", "history")]
    public async Task Where_there_is_none_none_is_made(params string[] verb)
    {
        var run = await RunAsync(verb);
        Assert.Equal((2, $"imageaccess: there is no database in {Database}: the proxy makes it when it starts\n"), (run.ExitCode, run.Error));
        Assert.False(File.Exists(Database));
    }

    [Fact]
    public async Task A_backup_has_what_was_there_and_a_restore_brings_it_back()
    {
        await AddAsync("1");
        var copy = _directory["copy.db"];
        Assert.Equal((0, $"{Database} is copied into {copy}\n"), Said(await RunAsync("database", "backup", copy)));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(copy));
        var again = await RunAsync("database", "backup", copy);
        Assert.Equal((2, $"imageaccess: {copy} exists already: name another file\n"), (again.ExitCode, again.Error));

        await AddAsync("2");
        Assert.Equal((0, $"{Database} has the content of {copy}\n"), Said(await RunAsync("database", "restore", copy)));
        Assert.Equal(["1"], await VersionsAsync());

        await File.WriteAllTextAsync(Database, new string('x', 5000));
        Assert.Equal((1, $"database    {Database}\nschema      none\nstate       is no database of SQLite: put a backup in its place with imageaccess database restore FILE, or move it away to begin anew\n"),
            Said(await RunAsync("database", "status")));
        Assert.Equal(
            (0, $"{Database} has the content of {copy}; what was there could not be read and is in {Database}.damaged\n"), Said(await RunAsync("database", "restore", copy)));
        Assert.Equal(["1"], await VersionsAsync());
        Assert.Equal(new string('x', 5000), await File.ReadAllTextAsync($"{Database}.damaged"));
    }

    [Fact]
    public async Task What_is_no_backup_changes_nothing()
    {
        await AddAsync("1");
        var (text, empty, newer, damaged) = (_directory["text"], _directory["empty"], _directory["newer"], _directory["damaged"]);
        await File.WriteAllTextAsync(text, new string('x', 5000));
        await File.WriteAllTextAsync(empty, "");
        await RunAsync("database", "backup", newer);
        await RunAsync("database", "backup", damaged);
        await MakeNewerAsync(newer);
        await using (var file = File.OpenWrite(damaged))
        {
            file.Position = 4096;
            await file.WriteAsync(new byte[8192]);
        }

        await AssertRefusedAsync(text, $"{text} is no database of SQLite");
        await AssertRefusedAsync(empty, $"{empty} is no backup of imageaccess");
        await AssertRefusedAsync(newer, $"{newer} belongs to a newer version of imageaccess (20990101000000_Later)");
        await AssertRefusedAsync(damaged, $"{damaged} is damaged");
        await AssertRefusedAsync(_directory["nowhere"], $"{_directory["nowhere"]} does not exist");
        Assert.Equal(["1"], await VersionsAsync());
    }

    [Fact]
    public async Task A_database_that_a_newer_program_has_changed_can_be_restored()
    {
        await AddAsync("1");
        var copy = _directory["copy.db"];
        await RunAsync("database", "backup", copy);
        await MakeNewerAsync(Database);
        Assert.Equal(1, (await RunAsync("database", "status")).ExitCode);
        Assert.Equal((0, $"{Database} has the content of {copy}\n"), Said(await RunAsync("database", "restore", copy)));
        Assert.Equal(["1"], await VersionsAsync());
    }

    [Fact]
    public async Task PostgreSQL_makes_its_own_backups_and_no_verb_shows_its_password()
    {
        var connection = await server.CreateDatabaseAsync();
        var migrate = await RunOnAsync(connection, "database", "migrate");
        Assert.Equal(0, migrate.ExitCode);
        Assert.Matches("^(PostgreSQL at 127.0.0.1:[0-9]+, database test[0-9]+ has [0-9]+_[A-Za-z]+ now\n){9}$", migrate.Output);

        var backup = await RunOnAsync(connection, "database", "backup", "copy.dump");
        Assert.Equal(2, backup.ExitCode);
        Assert.Matches("^imageaccess: PostgreSQL makes its own backups: pg_dump --format=custom --file=.*copy.dump --host=127.0.0.1 --port=[0-9]+ --username=postgres --dbname=test[0-9]+\n$", backup.Error);
        var restore = await RunOnAsync(connection, "database", "restore", "copy.dump");
        Assert.StartsWith("imageaccess: PostgreSQL restores its own backups: pg_restore ", restore.Error, StringComparison.Ordinal);
        var down = await RunOnAsync(connection + ";Port=1", "database", "status");
        Assert.Equal(1, down.ExitCode);
        var check = await RunOnAsync(connection, "database", "check");
        var history = await RunOnAsync(connection + ";Port=1", "policy", "history");
        Assert.Equal((0, 2), (check.ExitCode, history.ExitCode));
        foreach (var run in new[] { migrate, backup, restore, down, check, history })
            Assert.DoesNotContain("s3cret", run.Output + run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_history_lists_what_came_into_force_and_prints_a_document()
    {
        var database = new SqliteDatabase(Database);
        await database.MigrateAsync(default);
        var store = _policy.NotStarted(_policy.Document);
        var history = _policy.History();
        await File.WriteAllTextAsync(_policy.Document, PolicyFixture.Strict);
        history.Follow(store);
        store.Open();
        await File.WriteAllTextAsync(_policy.Document, PolicyFixture.Lax);
        store.Refresh();
        await history.WriteAsync(database, default);

        var (a, b) = (PolicyFixture.VersionOf(PolicyFixture.Strict), PolicyFixture.VersionOf(PolicyFixture.Lax));
        Assert.Equal(
            (0, $"""
            VERSION       SINCE                WHO  WHY
            {b}  2026-06-01 12:00:00  -    {Short($"{_policy.Document} changed")}
                opens: organization acme: community images allowed
            {a}  2026-06-01 12:00:00  -    in force at the start

            """),
            Said(await RunAsync("policy", "history")));
        Assert.Equal([b], (await RunAsync("policy", "history", "--last", "1", "--json")).Json.EnumerateArray().Select(row => row.GetProperty("version").GetString()));
        Assert.Equal((0, PolicyFixture.Strict), Said(await RunAsync("policy", "history", a)));
        Assert.Equal(PolicyFixture.Lax, (await RunAsync("policy", "history", b, "--json")).Json.GetProperty("document").GetString());

        var unknown = await RunAsync("policy", "history", "0123");
        Assert.Equal((1, "imageaccess: no version 0123 of the policy is in the history\n"), (unknown.ExitCode, unknown.Error));
        foreach (var count in new[] { "0", "1001" })
            Assert.StartsWith("--last: choose a number from 1 to 1000", (await RunAsync("policy", "history", "--last", count)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Both_in_the_configuration_is_wrong_and_the_secret_in_the_file_too()
    {
        var run = await RunAsync("database", "status", """, "Database": { "ConnectionString": "Host=x;Password=canary" }""");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("Database:ConnectionString: a secret does not belong into ", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", run.Error, StringComparison.Ordinal);
    }

    private static (int ExitCode, string Output) Said(CommandLine run) => (run.ExitCode, run.Output + run.Error);

    private static string Short(string why) => why.Length <= 60 ? why : string.Concat(why.AsSpan(0, 29), "…", why.AsSpan(why.Length - 30));

    private async Task AssertRefusedAsync(string file, string words)
    {
        var run = await RunAsync("database", "restore", file);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith($"imageaccess: {words}", run.Error, StringComparison.Ordinal);
    }

    private static Task MakeNewerAsync(string path) => new SqliteDatabase(path).WriteAsync(
        context => context.Database.ExecuteSqlRawAsync("""INSERT INTO "__EFMigrationsHistory" VALUES ('20990101000000_Later', '99.0.0')"""), default);

    private async Task AddAsync(string version)
    {
        var database = new SqliteDatabase(Database);
        await database.MigrateAsync(default);
        await database.WriteAsync(
            context =>
            {
                context.PolicyVersions.Add(new PolicyVersionRow { Id = version, Version = version, Document = Encoding.UTF8.GetBytes(version), Why = "" });
                return context.SaveChangesAsync();
            },
            default);
    }

    private async Task<IEnumerable<string>> VersionsAsync() =>
        (await RunAsync("policy", "history", "--json")).Json.EnumerateArray().Select(row => row.GetProperty("version").GetString()!);

    /// <summary>The verb; what begins with a comma is a part of the configuration.</summary>
    private async Task<CommandLine> RunAsync(params string[] verb)
    {
        var further = verb.FirstOrDefault(part => part.StartsWith(',')) ?? "";
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Data": { "Directory": "{{_directory.Path}}" }{{further}} }""");
        return await CommandLine.RunAsync([.. verb.Where(part => part != further), "--config", _directory["imageaccess.json"]]);
    }

    private async Task<CommandLine> RunOnAsync(string connection, params string[] verb)
    {
        await File.WriteAllTextAsync(_directory["connection"], connection);
        return await RunAsync([.. verb, """, "Database": { "ConnectionStringFile": "connection" }"""]);
    }
}
