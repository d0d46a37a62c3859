using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess exceptions</c>: over the database alone, without a running proxy.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresRoom.Name)]
public sealed class ExceptionCommandTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private const string Limited = """
        { "exceptions": { "maximumDays": 90 }, "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta", "enabled": true } ] }
        """;

    private readonly PolicyFixture _fixture = new();
    private string _connection = "";

    private string DatabasePath => Path.Combine(_fixture.Data, "imageaccess.db");

    private SqlDatabase Database => _connection.Length == 0 ? new SqliteDatabase(DatabasePath) : PostgresServer.Open(_connection);

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(_fixture.Document, PolicyFixture.Strict);
        await Database.MigrateAsync(default);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _fixture.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_grants_lists_and_ends(bool isPostgres)
    {
        if (isPostgres)
        {
            _connection = await server.CreateDatabaseAsync();
            await Database.MigrateAsync(default);
        }

        Assert.Equal((0, "no exception is in force\n", ""), Said(await RunAsync("list")));
        var tag = await RunAsync("add", "docker.io/acme/tool:1.2", "--organization", "acme", "--reason", "for the build", "--digest", Digest, "--for", "30d", "--asked-by", "bob", "--by", "eve");
        var until = DateTime.UtcNow.AddDays(30).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Assert.Equal((0, ""), (tag.ExitCode, tag.Error));
        Assert.Matches($"^the exception 1 opens acme/tool:1.2 as {Digest} to acme until {until} [0-9:]{{5}}Z: a running proxy has it within a second\n$", tag.Output);
        Assert.Equal(
            (0, "the exception 2 opens bitnami/* to acme without an end: a running proxy has it within a second\n", ""),
            Said(await RunAsync("add", "bitnami/*", "--organization", "acme", "--reason", "a trial")));
        Assert.Equal(0, (await RunAsync("add", "evil/tool:2", "--organization", "acme", "--reason", "r", "--follow", "--until", "2099-12-31")).ExitCode);
        await UseAsync(1);

        var list = await RunAsync("list");
        var today = DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Assert.Equal(0, list.ExitCode);
        Assert.Matches(
            $$"""
            ^ID +ORGANIZATION +UNTIL +USES +LAST USED +IMAGE
             2  acme +no end +0  never +bitnami/\*
                a trial \(granted {{today}} [0-9:]{5}Z by {{Environment.UserName}}\)
             3  acme +2100-01-01 00:00Z +0  never +evil/tool:2 \(whatever it comes to\)
                r \(granted .*\)
             1  acme +{{until}} [0-9:]{5}Z +7  2026-06-01 12:00Z  acme/tool:1.2
                as {{Digest}}
                for the build \(asked by bob, granted {{today}} [0-9:]{5}Z by eve\)
            $
            """,
            list.Output);
        Assert.Equal((0, "no exception is in force\n", ""), Said(await RunAsync("list", "--organization", "beta")));
        Assert.Equal((0, "no exception is over\n", ""), Said(await RunAsync("list", "--ended")));
        Assert.Equal((0, "no exception in force was unused for 90 days\n", ""), Said(await RunAsync("list", "--unused", "--organization", "beta")));
        Assert.Equal([1], (await RunAsync("list", "--unused", "--json")).Json.GetProperty("exceptions").EnumerateArray().Select(one => one.GetProperty("id").GetInt32()));

        Assert.Equal(
            (0, $"the exception 1 opens acme/tool:1.2 as {Digest} to acme no longer: a running proxy has it within a second\n", ""),
            Said(await RunAsync("end", "1", "--reason", "moved", "--by", "eve")));
        Assert.Equal(0, (await RunAsync("end", "2")).ExitCode);
        Assert.Equal([3], (await RunAsync("list", "--json")).Json.GetProperty("exceptions").EnumerateArray().Select(one => one.GetProperty("id").GetInt32()));
        var ended = (await RunAsync("list", "--ended", "--json")).Json.GetProperty("exceptions");
        Assert.Equal(
            [$"2 {Environment.UserName} ", "1 eve moved"],
            ended.EnumerateArray().Select(one => $"{one.GetProperty("id")} {one.GetProperty("endedBy")} {(one.TryGetProperty("endedReason", out var reason) ? reason.GetString() : "")}"));
        Assert.Contains("ended by eve: moved\n", (await RunAsync("list", "--ended")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Facts_are_whole_as_JSON()
    {
        var granted = (await RunAsync("add", "acme/tool:1.2", "--organization", "acme", "--reason", "r", "--digest", Digest, "--until", "2099-01-31", "--by", "eve", "--json")).Json.GetProperty("granted");
        Assert.Equal(
            (1, "acme", "acme/tool:1.2", Digest, "eve", "2099-02-01T00:00:00Z", 0),
            (granted.GetProperty("id").GetInt32(), granted.GetProperty("organization").GetString(), granted.GetProperty("image").GetString(), granted.GetProperty("digest").GetString(),
                granted.GetProperty("approvedBy").GetString(), granted.GetProperty("until").GetString(), granted.GetProperty("uses").GetInt32()));
        Assert.Equal(1, (await RunAsync("end", "1", "--json")).Json.GetProperty("ended").GetProperty("id").GetInt32());
    }

    [Theory]
    [InlineData("'ghcr.io/acme/app' is an image of ghcr.io, and not of Docker Hub", "add", "ghcr.io/acme/app")]
    [InlineData("'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' names no repository: write REPOSITORY@DIGEST", "add", Digest)]
    [InlineData("--digest is missing: of a tag the image is approved that it is now. `docker buildx imagetools inspect nginx:1.27` tells its digest; follow approves whatever the tag comes to", "add", "nginx:1.27")]
    [InlineData("--digest 'sha256:01' is no digest: sha256: and 64 hexadecimal digits in lower case", "add", "nginx:1.27", "--digest", "sha256:01")]
    [InlineData("--digest is for a tag, and nginx is none", "add", "nginx", "--digest", Digest)]
    [InlineData("--follow is for a tag, and bitnami/* is none", "add", "bitnami/*", "--follow")]
    [InlineData("--follow approves whatever the tag comes to, and a digest what it is now: choose one of them", "add", "nginx:1", "--follow", "--digest", Digest)]
    [InlineData("--organization 'beta' is not in the policy: it has acme", "add", "nginx", "--organization", "beta")]
    [InlineData("--reason must have 1 to 1000 characters", "add", "nginx", "--reason", "")]
    [InlineData("--reason has characters that cannot be seen, as line ends or marks of direction", "add", "nginx", "--reason", "a\u202eb")]
    [InlineData("--reason has characters that cannot be seen, as line ends or marks of direction", "end", "1", "--reason", "a\nb")]
    [InlineData("--by must have 1 to 64 characters", "end", "1", "--by", "")]
    [InlineData("--asked-by must have 1 to 64 characters", "add", "nginx", "--asked-by", "")]
    [InlineData("--until and --for exclude each other: choose one of them", "add", "nginx", "--for", "3d", "--until", "2099-01-31")]
    [InlineData("--for '3 days' is not a duration, as 30s, 5m, 12h or 7d", "add", "nginx", "--for", "3 days")]
    [InlineData("--for '-3d' is not a duration, as 30s, 5m, 12h or 7d", "add", "nginx", "--for=-3d")]
    [InlineData("--until '2027-02-30' is no day, as 2027-01-31", "add", "nginx", "--until", "2027-02-30")]
    [InlineData("it would end 2020-01-02 00:00Z, which is in the past", "add", "nginx", "--until", "2020-01-01")]
    [InlineData("--ended and --unused exclude each other: choose one of them", "list", "--ended", "--unused")]
    [InlineData("there is no exception 7; imageaccess exceptions list names them", "end", "7")]
    public async Task What_cannot_be_done_is_refused_with_a_line(string problem, params string[] arguments)
    {
        var refused = await RunAsync(Complete(arguments));
        Assert.Equal((2, "", $"imageaccess: {problem}\n"), Said(refused));
        Assert.Equal(SequencePoint.None, await Database.ReadSequenceAsync(ExceptionTable.Sequence, default));
    }

    [Theory]
    [InlineData(1001)]
    [InlineData(5000)]
    public async Task A_long_reason_is_refused(int length)
    {
        Assert.Equal((2, "", "imageaccess: --reason must have 1 to 1000 characters\n"), Said(await RunAsync(Complete("add", "nginx", "--reason", new string('x', length)))));
        Assert.Equal(0, (await RunAsync(Complete("add", "nginx", "--reason", new string('x', 1000)))).ExitCode);
    }

    [Theory]
    [InlineData("add", "nginx", "--organization", "acme")]
    [InlineData("add", "nginx", "--reason", "r")]
    [InlineData("add", "--organization", "acme", "--reason", "r")]
    [InlineData("end")]
    [InlineData("end", "one")]
    public async Task Without_what_it_needs_it_does_nothing(params string[] arguments) => Assert.NotEqual(0, (await RunAsync(arguments)).ExitCode);

    [Fact]
    public async Task The_policy_may_limit_their_length_and_forbid_them()
    {
        await File.WriteAllTextAsync(_fixture.Document, Limited);
        var most = DateTime.UtcNow.AddDays(90).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Assert.Equal((2, "", "imageaccess: it would not end: the policy allows exceptions of at most 90 days (exceptions.maximumDays)\n"), Said(await RunAsync(Complete("add", "nginx"))));
        var late = await RunAsync(Complete("add", "nginx", "--for", "91d"));
        Assert.Equal(2, late.ExitCode);
        Assert.Matches("^imageaccess: it would end [0-9-]{10} [0-9:]{5}Z: the policy allows exceptions of at most 90 days \\(exceptions.maximumDays\\)\n$", late.Error);
        Assert.Equal(0, (await RunAsync(Complete("add", "nginx", "--for", "90d"))).ExitCode);
        var lastDay = await RunAsync(Complete("add", "redis", "--until", most)); // ends with the longest time
        Assert.True(lastDay.ExitCode == 0, lastDay.Error);

        await File.WriteAllTextAsync(_fixture.Document, Limited.Replace("\"maximumDays\": 90", "\"allowed\": false", StringComparison.Ordinal));
        Assert.Equal((2, "", "imageaccess: the policy allows no exceptions (exceptions.allowed)\n"), Said(await RunAsync(Complete("add", "httpd"))));
        Assert.EndsWith("\nthe policy allows no exceptions (exceptions.allowed): none of them opens anything\n", (await RunAsync("list")).Output, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("end", "1")).ExitCode);
    }

    [Fact]
    public async Task One_that_the_policy_ends_earlier_says_so()
    {
        await RunAsync(Complete("add", "nginx"));
        await File.WriteAllTextAsync(_fixture.Document, Limited);
        var end = DateTime.UtcNow.AddDays(90).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Assert.Matches($"\n    the policy ends it {end} [0-9:]{{5}}Z \\(exceptions.maximumDays\\)\n$", (await RunAsync("list")).Output);
        await File.WriteAllTextAsync(_fixture.Document, "{ no policy");
        Assert.Equal(0, (await RunAsync("list")).ExitCode);
    }

    [Fact]
    public async Task One_that_is_in_force_is_not_granted_again()
    {
        await RunAsync(Complete("add", "nginx"));
        Assert.Equal(
            (2, "", "imageaccess: acme has an exception for nginx already: 1, without an end; end it first to change it\n"), Said(await RunAsync(Complete("add", "library/nginx"))));
        await RunAsync("end", "1");
        var over = await RunAsync("end", "1");
        Assert.Equal(2, over.ExitCode);
        Assert.Matches($"^imageaccess: the exception 1 was ended already, [0-9-]{{10}} [0-9:]{{5}}Z by {Environment.UserName}\n$", over.Error);
        Assert.Equal(0, (await RunAsync(Complete("add", "nginx"))).ExitCode);
    }

    [Fact]
    public async Task Without_a_policy_there_is_no_organization()
    {
        File.Delete(_fixture.Document);
        await WriteConfigurationAsync("""{ "Data": { "Directory": "../data" } }""");
        var refused = await CommandLine.RunAsync(["exceptions", .. Complete("add", "nginx"), "--config", _fixture["imageaccess.json"]]);
        Assert.Equal((2, "", "imageaccess: --organization 'acme' is not in the policy: it has none\n"), Said(refused));
    }

    [Fact]
    public async Task A_database_that_cannot_be_used_is_one_sentence_and_may_pass()
    {
        await RunAsync(Complete("add", "nginx"));
        await using (var other = new SqliteConnection($"Data Source={DatabasePath};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN EXCLUSIVE";
            await locking.ExecuteNonQueryAsync();
            foreach (var verb in new string[][] { Complete("add", "redis"), ["end", "1"] })
                Assert.Equal((1, "", $"imageaccess: {DatabasePath} is locked by another process: end that process, or wait until it has finished; nothing was changed\n"), Said(await RunAsync(verb)));
            Assert.Equal(0, (await RunAsync("list")).ExitCode);
        }

        File.Move(DatabasePath, DatabasePath + ".aside");
        foreach (var verb in new string[][] { Complete("add", "redis"), ["end", "1"], ["list"] })
            Assert.Equal((1, "", $"imageaccess: there is no database in {DatabasePath}: the proxy makes it when it starts\n"), Said(await RunAsync(verb)));
        Assert.False(File.Exists(DatabasePath));

        await File.WriteAllTextAsync(DatabasePath, "");
        Assert.Equal((1, "", $"imageaccess: {DatabasePath} is not up to date: imageaccess database migrate; nothing was changed\n"), Said(await RunAsync("end", "1")));
        File.Move(DatabasePath + ".aside", DatabasePath, overwrite: true);
        Assert.Equal(0, (await RunAsync("end", "1")).ExitCode);

        _connection = "Host=127.0.0.1;Port=1;Username=u;Password=canary";
        var down = await RunAsync("list");
        Assert.Equal(1, down.ExitCode);
        Assert.StartsWith("imageaccess: PostgreSQL at 127.0.0.1:1, database u cannot be reached: ", down.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", down.Output + down.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_or_read_only_disk_changes_nothing()
    {
        File.Delete(DatabasePath);
        await MountAsync("-t", "tmpfs", "-o", "size=600k,mode=0700", "tmpfs", _fixture.Data);
        try
        {
            await Database.MigrateAsync(default);
            await RunAsync(Complete("add", "nginx"));
            await File.WriteAllBytesAsync(Path.Combine(_fixture.Data, "filler"), []);
            await FillAsync();
            var full = await RunAsync(Complete("add", "redis"));
            Assert.Equal(1, full.ExitCode);
            Assert.Matches($"^imageaccess: {DatabasePath} cannot .*; nothing was changed\n$", full.Error);
            File.Delete(Path.Combine(_fixture.Data, "filler"));

            await MountAsync("-o", "remount,ro", _fixture.Data);
            var readOnly = await RunAsync("end", "1");
            Assert.Equal(1, readOnly.ExitCode);
            Assert.Matches($"^imageaccess: {DatabasePath} cannot be (written|opened): let the user .* write it and its directory, .*; nothing was changed\n$", readOnly.Error);

            await MountAsync("-o", "remount,rw", _fixture.Data);
            Assert.Equal([1], (await RunAsync("list", "--json")).Json.GetProperty("exceptions").EnumerateArray().Select(one => one.GetProperty("id").GetInt32()));
        }
        finally
        {
            using var process = Process.Start("umount", _fixture.Data);
            await process.WaitForExitAsync();
        }
    }

    /// <summary>Until there is room for nothing.</summary>
    private async Task FillAsync()
    {
        await using var file = new FileStream(Path.Combine(_fixture.Data, "filler"), FileMode.Append);
        try
        {
            while (true)
            {
                await file.WriteAsync(new byte[4096]);
                await file.FlushAsync();
            }
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    private static async Task MountAsync(params string[] arguments)
    {
        using var process = Process.Start("mount", arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private Task UseAsync(long id) => Database.WriteAsync(
        context => new ExceptionTable(context).AddUsesAsync(new Dictionary<long, ExceptionUse> { [id] = new(7, new ManualTime().GetUtcNow()) }, default), default);

    /// <summary>With what every exception needs, where it is not given.</summary>
    private static string[] Complete(params string[] arguments) => arguments[0] != "add" ? arguments :
    [
        .. arguments,
        .. arguments.Contains("--organization") ? Array.Empty<string>() : ["--organization", "acme"],
        .. arguments.Contains("--reason") ? Array.Empty<string>() : ["--reason", "r"],
    ];

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private Task WriteConfigurationAsync(string configuration) => File.WriteAllTextAsync(_fixture["imageaccess.json"], configuration);

    private async Task<CommandLine> RunAsync(params string[] arguments)
    {
        var database = "";
        if (_connection.Length > 0)
        {
            await File.WriteAllTextAsync(_fixture["connection"], _connection);
            database = """, "Database": { "ConnectionStringFile": "connection" }""";
        }

        await WriteConfigurationAsync($$"""{ "Data": { "Directory": "../data" }, "Policy": { "File": "policy.json" }{{database}} }""");
        return await CommandLine.RunAsync(["exceptions", .. arguments, "--config", _fixture["imageaccess.json"]]);
    }
}
