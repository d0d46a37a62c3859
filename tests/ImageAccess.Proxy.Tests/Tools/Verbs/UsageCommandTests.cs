using System.IO.Compression;
using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Administration.Usage;
using ImageAccess.Proxy.Tests.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess usage …</c></summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresRoom.Name)]
public sealed class UsageCommandTests(PostgresServer server) : IDisposable
{
    private static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    private readonly TemporaryDirectory _directory = new();

    private string Trail => _directory["old.jsonl"];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Files_are_imported_packed_or_not_and_twice_without_doubling(bool intoPostgres)
    {
        var connection = intoPostgres ? await server.CreateDatabaseAsync() : null;
        await File.WriteAllLinesAsync(Trail, Enumerable.Range(1, 4500).Select(Line));
        await using (var packed = new GZipStream(File.Create(_directory["packed.gz"]), CompressionLevel.Fastest))
            await packed.WriteAsync(Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(4000, 1000).Select(Line)) + "\n"));

        Assert.Equal(
            (0, $"{Trail}: 4,500 decisions added\n{_directory["packed.gz"]}: 499 decisions added; 501 there already\n", ""),
            Said(await RunAsync(connection, "usage", "import", Trail, _directory["packed.gz"])));
        Assert.Equal(
            (0, $"{_directory["packed.gz"]}: 0 decisions added; 1,000 there already\n{Trail}: 0 decisions added; 4,500 there already\n", ""),
            Said(await RunAsync(connection, "usage", "import", _directory["packed.gz"], Trail)));
        var store = UsageStore.Of(connection is null ? SqlDatabase.Of(new DatabaseOptions { DataDirectory = _directory.Path }) : PostgresServer.Open(connection), new KeyFile(null, _directory.Path));
        Assert.Equal([new UsageCount("library/nginx", 4999, 4999)], await store.CountAsync(new UsageFilter(), UsageBy.Repository, default));
    }

    [Fact]
    public async Task Hostile_lines_are_counted_and_named_and_stop_nothing()
    {
        await File.WriteAllLinesAsync(
            Trail,
            [
                Line(1), "nonsense", "", new string('{', 200_000), """{"id":"a1","time":"2026-06-01T12:00:00Z","event":"policy"}""", Line(1), UsageRoom.Line("a2", DateTimeOffset.UnixEpoch),
                UsageRoom.Line("a3", Now.AddDays(30)), .. Enumerable.Repeat("\u001b[2J", 2500), Line(2), "{}",
            ]);
        await File.AppendAllTextAsync(Trail, Line(3)[..50]);
        var run = await RunAsync(null, "usage", "import", Trail);
        Assert.Equal(
            (1, $"{Trail}: 2 decisions added; 1 there already; 1 other events; 1 older than Usage:Keep; 1 of a day that has not come; 2,503 lines are no event (line 2, 4, 9, 10, 11, …); the last line is cut\n", ""),
            Said(run));

        var facts = (await RunAsync(null, "usage", "import", Trail, "--json")).Json[0];
        Assert.Equal(
            (Trail, 2510, 0, 3, 2502, 1, true),
            (facts.GetProperty("file").GetString(), facts.GetProperty("lines").GetInt32(), facts.GetProperty("added").GetInt32(), facts.GetProperty("known").GetInt32(),
                facts.GetProperty("malformed").GetInt32(), facts.GetProperty("tooLong").GetInt32(), facts.GetProperty("isCut").GetBoolean()));
    }

    [Fact]
    public async Task A_packed_file_that_is_damaged_is_read_as_far_as_it_goes_and_the_others_whole()
    {
        using var bytes = new MemoryStream();
        await using (var packed = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
            await packed.WriteAsync(Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(1, 9000).Select(Line))));
        var damaged = bytes.ToArray();
        Array.Fill<byte>(damaged, 0xFF, damaged.Length * 2 / 3, 64);
        await File.WriteAllBytesAsync(_directory["damaged.gz"], damaged);
        await File.WriteAllLinesAsync(Trail, [Line(20_000)]);
        var run = await RunAsync(null, "usage", "import", _directory["damaged.gz"], Trail);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("cannot be read to its end: ", run.Output.Split('\n')[0], StringComparison.Ordinal);
        Assert.Equal($"{Trail}: 1 decisions added", run.Output.Split('\n')[1]);
    }

    [Fact]
    public async Task What_is_wrong_is_told_before_anything_is_read()
    {
        await File.WriteAllLinesAsync(Trail, [Line(1)]);
        Assert.Equal((2, "", $"imageaccess: {_directory["missing"]} does not exist\n"), Said(await RunAsync(null, "usage", "import", Trail, _directory["missing"])));
        await File.WriteAllTextAsync(_directory["wrong.json"], $$"""{ "Data": { "Directory": "{{_directory.Path}}" }, "Usage": { "Keep": "1h" } }""");
        Assert.Equal(
            (2, "", "imageaccess: Usage:Keep: choose 1d or more, as 180d\n"), Said(await CommandLine.RunAsync("usage", "import", Trail, "--config", _directory["wrong.json"])));
        Assert.False(Directory.Exists(_directory["usage"]));
        var run = await RunAsync("Host=127.0.0.1;Port=1;Database=none;Username=nobody", "usage", "import", Trail);
        Assert.Equal(2, run.ExitCode);
        Assert.EndsWith($"; import {Trail} again, nothing is doubled\n", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_pulled_is_counted_on_the_server(bool inPostgres)
    {
        var connection = inPostgres ? await server.CreateDatabaseAsync() : null;
        await File.WriteAllLinesAsync(
            Trail,
            [
                .. Enumerable.Range(1, 1200).Select(Line),
                UsageRoom.Line("b1", Now.AddHours(-1), caller: "=cmd|' /C calc'!A0", repository: "evil/tool", outcome: "deny", organizations: ["globex"]),
                UsageRoom.Line("b2", Now.AddHours(-1), caller: "a, \"b\"", repository: "evil/tool", outcome: "deny"),
                UsageRoom.Line("b3", Now.AddDays(-40), caller: "+1", repository: "library/redis"),
            ]);
        Assert.Equal(0, (await RunAsync(connection, "usage", "import", Trail)).ExitCode);

        Assert.Equal(
            (0, "DECISIONS  PULLS  REPOSITORY\n    1,200  1,200  library/nginx\n        2      2  evil/tool\n    1,202 decisions and 1,202 pulls in all\n", ""),
            Said(await RunAsync(connection, "usage")));
        Assert.Equal("caller,decisions,pulls\r\n\"a, \"\"b\"\"\",1,1\r\n'=cmd|' /C calc'!A0,1,1\r\n", Sorted((await RunAsync(connection, "usage", "--by", "caller", "--denied", "--csv")).Output));
        Assert.Equal("caller,decisions,pulls\r\nbob,1200,1200\r\n'+1,1,1\r\n", await CsvAsync("--by", "caller", "--organization", "acme", "--since", "60d", "--top", "2"));
        Assert.Equal("type,decisions,pulls\r\nofficial,1,1\r\n", await CsvAsync("--by", "type", "--organization", "globex"));
        var facts = (await RunAsync(connection, "usage", "--by", "day", "--since", "60d", "--json")).Json;
        Assert.Equal(("day", 1203), (facts.GetProperty("by").GetString(), facts.GetProperty("decisions").GetInt32()));
        Assert.Equal((0, "no such decision is kept of that time\n", ""), Said(await RunAsync(connection, "usage", "--organization", "nobody")));

        async Task<string> CsvAsync(params string[] arguments) => (await RunAsync(connection, ["usage", .. arguments, "--csv"])).Output;
        static string Sorted(string csv) => csv.Split("\r\n") is var lines ? string.Join("\r\n", [lines[0], .. lines[1..^1].Order(StringComparer.Ordinal), ""]) : "";
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_review_is_answered_on_the_server(bool inPostgres)
    {
        var connection = inPostgres ? await server.CreateDatabaseAsync() : null;
        var (yesterday, today) = (Now.AddDays(-1), Now.ToString("yyyy-MM-dd", null));
        string Digest(char digit) => $"sha256:{new string(digit, 64)}";
        await File.WriteAllLinesAsync(
            Trail,
            [
                UsageRoom.Line("c1", yesterday, caller: "=1+1", repository: "evil/tool", outcome: "deny"), UsageRoom.Line("c2", Now, caller: "=1+1", repository: "evil/tool", outcome: "deny", count: 7),
                UsageRoom.Line("c3", Now, caller: "bob", repository: "evil/tool", outcome: "deny", count: 9), UsageRoom.Line("c4", Now, caller: "anonymous", repository: "good/tool", type: "community", digest: Digest('a')),
                UsageRoom.Line("c5", Now.AddSeconds(1), caller: "bob", repository: "good/tool", type: "community", digest: Digest('b')), UsageRoom.Line("c6", Now.AddDays(-30), repository: "library/nginx"), UsageRoom.Line("c7", Now, repository: "library/nginx"),
            ]);
        Assert.Equal(0, (await RunAsync(connection, "usage", "import", Trail)).ExitCode);
        Assert.Equal($"caller,repository,denials,days,first,last\r\n'=1+1,evil/tool,8,2,{yesterday:yyyy-MM-dd},{today}\r\n", await CsvAsync("denied-again"));
        Assert.Equal($"repository,people,decisions,pulls,last\r\ngood/tool,1,2,2,{today}\r\n", await CsvAsync("community"));
        Assert.Equal($"repository,first,decisions,pulls\r\ngood/tool,{today},2,2\r\nevil/tool,{yesterday:yyyy-MM-dd},17,17\r\n", await CsvAsync("new"));
        Assert.Equal($"repository,tag,when,from,to\r\ngood/tool,latest,{Now.AddSeconds(1):yyyy-MM-dd'T'HH:mm:ss'Z'},{Digest('a')},{Digest('b')}\r\n", await CsvAsync("moved"));
        Assert.Equal("range,decisions,anonymous,share\r\n192.0.2.0/24,20,1,0.05\r\n", await CsvAsync("anonymous"));
        Assert.Equal((0, "nothing of that time is found\n", ""), Said(await RunAsync(connection, "usage", "review", "moved", "--organization", "nobody")));
        Assert.Equal(1, (await RunAsync(connection, "usage", "review", "denied-again", "--json")).Json.GetProperty("found").GetInt32());

        async Task<string> CsvAsync(string question) => (await RunAsync(connection, "usage", "review", question, "--csv")).Output;
    }

    [Theory]
    [InlineData("review new --since 12h", "--since is '12h': choose days, as 30d")]
    [InlineData("--by owner", "--by is 'owner': choose repository, digest, caller, type, rule, client, day, outcome")]
    [InlineData("--since yesterday", "--since is 'yesterday': choose a time as 12h or 30d")]
    [InlineData("--since 36500d", "--since must be at most 3660d")]
    [InlineData("--csv --json", "--csv does not go with --json")]
    [InlineData("--token-file x", "--token-file goes with --server")]
    public async Task A_question_that_cannot_be_answered_is_refused(string arguments, string problem) =>
        Assert.Equal((2, "", $"imageaccess: {problem}\n"), Said(await RunAsync(null, ["usage", .. arguments.Split(' ')])));

    [Theory]
    [InlineData("new --top 0", "--top: choose a number from 1 to 1000")]
    [InlineData("denied-again --days 3661", "--days: choose a number from 1 to 3660")]
    [InlineData("owners", "QUESTION: choose denied-again, community, new, moved, anonymous")]
    public async Task A_review_that_is_none_is_refused(string arguments, string problem)
    {
        var run = await RunAsync(null, ["usage", "review", .. arguments.Split(' ')]);
        Assert.Equal(problem, run.Error.Trim());
        Assert.NotEqual(0, run.ExitCode);
    }

    private static string Line(int number) => UsageRoom.Line(UsageRoom.Id(number), Now.AddSeconds(-number));

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_is_forgotten_is_in_no_table_and_comes_back_by_no_file(bool inPostgres)
    {
        var connection = inPostgres ? await server.CreateDatabaseAsync() : null;
        var database = connection is null ? SqlDatabase.Of(new DatabaseOptions { DataDirectory = _directory.Path }) : PostgresServer.Open(connection);
        await File.WriteAllLinesAsync(Trail, Enumerable.Range(1, 30).Select(Line));
        await RunAsync(connection, "usage", "import", Trail);
        Assert.Equal(1, (await RunAsync(connection, "usage", "forget", "bob", "--reason", "ticket 7")).ExitCode);
        await database.MigrateAsync(default);
        await database.WriteAsync(
            async context =>
            {
                context.Denials.AddRange(Enumerable.Range(1, 1200).Select(number => new DenialRow
                {
                    Id = UsageRoom.Id(number),
                    Caller = number <= 1100 ? "bob" : "bobby",
                    Client = "192.0.2.7",
                    Repository = "bob/app",
                    Rule = "outsider",
                    Message = "image access denied: bob is not a member of acme",
                }));
                await context.SaveChangesAsync();
            },
            default);

        var forget = await RunAsync(connection, "usage", "forget", "bob", "--reason", "ticket 7", "--by", "alice");

        Assert.Equal((0, ""), (forget.ExitCode, forget.Error));
        Assert.StartsWith("forgotten: 30 decisions and the counts of ", forget.Output, StringComparison.Ordinal);
        Assert.Contains(", 1,100 denials\nThe audit files (", forget.Output, StringComparison.Ordinal);
        Assert.Matches("keep the name until [0-9-]{10} at the latest [(]Audit:Keep[)]", forget.Output.ReplaceLineEndings(" "));
        Assert.Equal(0, (await RunAsync(connection, "usage", "import", Trail)).ExitCode);
        await File.WriteAllLinesAsync(Trail, Enumerable.Range(31, 5).Select(Line));
        await RunAsync(connection, "usage", "import", Trail);
        Assert.Equal("caller,decisions,pulls\r\n(forgotten),35,35\r\n", (await RunAsync(connection, "usage", "--by", "caller", "--csv", "--since", "30d")).Output);
        var denials = await database.ReadAsync(context => Task.FromResult(context.Denials.ToList()), default);
        Assert.Equal(
            ["(forgotten)||image access denied: (forgotten) is not a member of acme 1100", "bobby|192.0.2.7|image access denied: bob is not a member of acme 100"],
            denials.GroupBy(row => $"{row.Caller}|{row.Client}|{row.Message}").Select(group => $"{group.Key} {group.Count()}").Order(StringComparer.Ordinal));
        var entry = Assert.Single(await database.ReadAsync(context => Task.FromResult(context.Activity.ToList()), default));
        Assert.Equal(("caller.forget", "(forgotten)", """{"reason":"ticket 7"}"""), (entry.Action, entry.Name, entry.Facts));
        Assert.StartsWith("alice", entry.Actor, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bob", "Bob left us", "--reason has the caller's name in it, and stays in the activity log: say it without the name, as with the number of the ticket")]
    [InlineData("bob", " ", "--reason is empty")]
    [InlineData("anonymous", "x", "'anonymous' is nobody to forget")]
    [InlineData("(forgotten)", "x", "'(forgotten)' is nobody to forget")]
    [InlineData("", "x", "'' is nobody to forget")]
    public async Task Nobody_is_forgotten_with_a_reason_that_tells_who(string caller, string reason, string error)
    {
        var run = await RunAsync(null, "usage", "forget", caller, "--reason", reason);
        Assert.Equal((2, "", $"imageaccess: {error}\n"), Said(run));
        Assert.False(Directory.Exists(_directory["usage"]));
    }

    private async Task<CommandLine> RunAsync(string? connection, params string[] arguments)
    {
        await File.WriteAllTextAsync(_directory["connection"], connection);
        File.SetUnixFileMode(_directory["connection"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.WriteAllTextAsync(
            _directory["imageaccess.json"],
            connection is null
                ? $$"""{ "Data": { "Directory": "{{_directory.Path}}" } }"""
                : $$"""{ "Data": { "Directory": "{{_directory.Path}}" }, "Database": { "ConnectionStringFile": "{{_directory["connection"]}}" } }""");
        return await CommandLine.RunAsync([.. arguments, "--config", _directory["imageaccess.json"]]);
    }
}
