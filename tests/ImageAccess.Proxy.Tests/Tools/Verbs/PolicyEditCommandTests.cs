using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess policy import|apply|export|revert</c>: over the database alone, without a running proxy.</summary>
[Collection(PostgresRoom.Name)]
public sealed class PolicyEditCommandTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private const string Strict = PolicyFixture.Strict;
    private const string Lax = PolicyFixture.Lax;
    private const string Effect = "a running proxy has it within a second\n";
    private const string Opens = "opens: organization acme: community images allowed\n";

    private static readonly string A = PolicyFixture.VersionOf(Strict);
    private static readonly string B = PolicyFixture.VersionOf(Lax);

    private readonly PolicyFixture _fixture = new();
    private string _policy = "";
    private string _connection = "";

    private string DatabasePath => Path.Combine(_fixture.Data, "imageaccess.db");

    private SqlDatabase Database => _connection.Length == 0 ? new SqliteDatabase(DatabasePath) : PostgresServer.Open(_connection);

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(_fixture["strict.json"], Strict);
        await File.WriteAllTextAsync(_fixture["lax.json"], Lax);
        await Database.MigrateAsync(default);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_imports_applies_goes_back_and_exports(bool isPostgres)
    {
        if (isPostgres)
        {
            _connection = await server.CreateDatabaseAsync();
            await Database.MigrateAsync(default);
        }

        var name = isPostgres ? Database.Name : DatabasePath;
        Assert.Equal((1, "", "imageaccess: there is no policy document: image access is off\n"), Said(await RunAsync("export")));
        Assert.Equal((0, $"the policy document is in {name} from now on: policy {A}: {Effect}", ""), Said(await RunAsync("import", _fixture["strict.json"], "--reason", "one home")));
        Assert.Equal((0, Strict, ""), Said(await RunAsync("export")));
        Assert.Equal((0, $"the policy document is in {name} from now on, which had it already: {Effect}", ""), Said(await RunAsync("import", _fixture["strict.json"], "--reason", "again")));

        Assert.Equal((0, $"{Opens}policy {B} is in force (before: {A}): {Effect}", ""), Said(await RunAsync("apply", _fixture["lax.json"], "--reason", "a trial", "--if-version", A, "--by", "alice")));
        Assert.Equal((0, $"the policy is {B} already: nothing is to change\n", ""), Said(await RunAsync("apply", _fixture["lax.json"], "--reason", "a trial")));
        var late = await RunAsync("apply", _fixture["strict.json"], "--reason", "r", "--if-version", A);
        Assert.Equal((2, ""), (late.ExitCode, late.Output));
        Assert.Matches($"^imageaccess: the policy is {B} by now: alice changed it [0-9-]{{10}} [0-9:]{{5}}Z \\(a trial\\): opens: organization acme: community images allowed\\. Look at it, and change it from there\n$", late.Error);

        Assert.Equal((0, $"takes back: organization acme: community images allowed\npolicy {A} is in force (before: {B}): {Effect}", ""), Said(await RunAsync("revert", A, "--reason", "it broke")));
        Assert.Equal((0, Lax, ""), Said(await RunAsync("export", B)));
        var history = (await RunAsync("history", "--json")).Json.EnumerateArray().ToList();
        Assert.Equal([A, B, A], history.Select(row => row.GetProperty("version").GetString()));
        Assert.Equal([Environment.UserName, "alice", Environment.UserName], history.Select(row => row.GetProperty("who").GetString()));
        Assert.Equal(["it broke", "a trial", "one home"], history.Select(row => row.GetProperty("why").GetString()));
    }

    [Fact]
    public async Task A_section_is_exported_changed_and_applied_by_itself()
    {
        await RunAsync("import", _fixture["strict.json"], "--reason", "r");
        var section = await RunAsync("export", "--organization", "acme");
        Assert.Equal("{\n  \"name\": \"acme\",\n  \"enabled\": true,\n  \"allow\": {\n    \"community\": false\n  }\n}\n", section.Output);
        var tag = (await RunAsync("export", "--organization", "acme", "--json")).Json.GetProperty("tag").GetString()!;
        await File.WriteAllTextAsync(_fixture["section.json"], section.Output.Replace("false", "true", StringComparison.Ordinal));
        var applied = await RunAsync("apply", _fixture["section.json"], "--organization", "acme", "--if-version", tag, "--reason", "r", "--json");
        Assert.Equal(["organization acme: community images allowed"], applied.Json.GetProperty("applied").GetProperty("opens").EnumerateArray().Select(opened => opened.GetString()));
        var late = await RunAsync("apply", _fixture["section.json"], "--organization", "acme", "--if-version", tag, "--reason", "r");
        Assert.StartsWith("imageaccess: the section of acme is ", late.Error, StringComparison.Ordinal);
        Assert.Equal((2, "", "imageaccess: the policy has no organization gamma\n"), Said(await RunAsync("export", "--organization", "gamma")));
        Assert.Equal((2, "", "imageaccess: the policy has no organization gamma\n"), Said(await RunAsync("apply", _fixture["section.json"], "--organization", "gamma", "--reason", "r")));
    }

    [Fact]
    public async Task With_a_file_as_home_it_says_what_to_do()
    {
        await File.WriteAllTextAsync(_fixture.Document, Strict);
        _policy = """, "Policy": { "File": "policy.json" }""";
        var refusal = (2, "", $"imageaccess: the policy document is the file {_fixture.Document}: change that file, or bring it into the database with imageaccess policy import\n");
        Assert.Equal(refusal, Said(await RunAsync("apply", _fixture["lax.json"], "--reason", "r")));
        Assert.Equal(refusal, Said(await RunAsync("revert", A, "--reason", "r")));
        Assert.Equal(
            (2, "", $"imageaccess: Policy:File says that the policy document is the file {_fixture.Document}: leave that key out, and import again\n"),
            Said(await RunAsync("import", _fixture["lax.json"], "--reason", "r")));
        Assert.Equal((0, Strict, ""), Said(await RunAsync("export")));

        _policy = """, "Policy": { "Source": "file" }""";
        Assert.Equal(
            (2, "", $"imageaccess: Policy:Source says that the policy document is the file {Path.Combine(_fixture.Data, "policy.json")}: leave that key out, and import again\n"),
            Said(await RunAsync("import", _fixture["lax.json"], "--reason", "r")));
        Assert.False(File.Exists(Path.Combine(_fixture.Data, "policy.source")));
    }

    [Fact]
    public async Task What_is_wrong_changes_nothing()
    {
        await File.WriteAllTextAsync(_fixture["bad.json"], """{ "organizations": [ { "name": "acme", "enabled": 1 } ] }""");
        var bad = (2, "", $"imageaccess: {_fixture["bad.json"]}: organizations[0].enabled: must be true or false\n");
        Assert.Equal(bad, Said(await RunAsync("import", _fixture["bad.json"], "--reason", "r")));
        Assert.Equal((2, "", "imageaccess: the reason must have 1 to 200 characters\n"), Said(await RunAsync("import", _fixture["strict.json"], "--reason", "")));
        Assert.False(File.Exists(Path.Combine(_fixture.Data, "policy.source")));
        await RunAsync("import", _fixture["strict.json"], "--reason", "r");
        Assert.Equal(bad, Said(await RunAsync("apply", _fixture["bad.json"], "--reason", "r")));
        Assert.Equal((2, "", $"imageaccess: {_fixture["none.json"]} does not exist\n"), Said(await RunAsync("apply", _fixture["none.json"], "--reason", "r")));
        var long_ = await RunAsync("apply", _fixture["lax.json"], "--reason", new string('x', 201), "--by", "a\nb");
        Assert.Equal((2, "imageaccess: --reason must have 1 to 200 characters\nimageaccess: --by has characters that cannot be seen, as line ends or marks of direction\n"), (long_.ExitCode, long_.Error));
        Assert.NotEqual(0, (await RunAsync("apply", _fixture["lax.json"])).ExitCode);

        await using (var other = new SqliteConnection($"Data Source={DatabasePath};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN EXCLUSIVE";
            await locking.ExecuteNonQueryAsync();
            var locked = await RunAsync("apply", _fixture["lax.json"], "--reason", "r");
            Assert.Equal((1, $"imageaccess: {DatabasePath} is locked by another process: end that process, or wait until it has finished; nothing was changed\n"), (locked.ExitCode, locked.Error));
        }

        Assert.Equal((0, Strict, ""), Said(await RunAsync("export")));
    }

    [Fact]
    public async Task What_reads_the_policy_offline_finds_it_in_the_database_or_the_copy()
    {
        await RunAsync("import", _fixture["lax.json"], "--reason", "r");
        await File.WriteAllTextAsync(Path.Combine(_fixture.Data, "policy.json"), Strict); // no longer its home
        var configuration = await ConfigureAsync();
        string[] check = ["check", "someuser/tool", "--as", "bob", "--organization", "acme", "--offline", "--json", "--config", configuration];
        Assert.Contains(B, (await CommandLine.RunAsync(check)).Output, StringComparison.Ordinal);
        string[] grant = ["exceptions", "add", "nginx", "--organization", "acme", "--reason", "r", "--config", configuration];
        Assert.Equal(0, (await CommandLine.RunAsync(grant)).ExitCode);

        await File.WriteAllTextAsync(_fixture.Copy, Lax);
        await File.WriteAllTextAsync(DatabasePath, new string('x', 5000));
        var copy = await RunAsync("export");
        Assert.Equal((0, Lax), (copy.ExitCode, copy.Output));
        Assert.StartsWith($"imageaccess: this is the copy of the last accepted policy: {DatabasePath} is no database of SQLite", copy.Error, StringComparison.Ordinal);
        Assert.Contains(B, (await CommandLine.RunAsync(check)).Output, StringComparison.Ordinal);

        File.Delete(_fixture.Copy);
        var none = await CommandLine.RunAsync(check);
        Assert.Equal(2, none.ExitCode);
        Assert.StartsWith($"imageaccess: Policy:Source: {DatabasePath} is no database of SQLite", none.Error, StringComparison.Ordinal);
    }

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private async Task<CommandLine> RunAsync(params string[] arguments) => await CommandLine.RunAsync(["policy", .. arguments, "--config", await ConfigureAsync()]);

    private async Task<string> ConfigureAsync()
    {
        var database = "";
        if (_connection.Length > 0)
        {
            await File.WriteAllTextAsync(_fixture["connection"], _connection);
            database = """, "Database": { "ConnectionStringFile": "connection" }""";
        }

        await File.WriteAllTextAsync(_fixture["imageaccess.json"], $$"""{ "Data": { "Directory": "../data" }{{_policy}}{{database}} }""");
        return _fixture["imageaccess.json"];
    }
}
