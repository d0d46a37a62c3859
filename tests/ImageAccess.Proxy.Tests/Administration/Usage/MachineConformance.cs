using System.Text.Json;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>Machines by the API, on both databases: who came in from where, and what their doctors told.</summary>
public abstract class MachineConformance : IAsyncLifetime
{
    private const string Reports = "/api/v1/machines/reports";

    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.StartAsync(await SettingsAsync());
        await Eventually.TrueAsync(() => _room.Service<SessionTokens>().AreReady);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    internal abstract Task<(string Key, string Value)[]> SettingsAsync();

    [Fact]
    public async Task A_machine_tells_how_it_came_in_with_what_and_who_is_signed_in_there()
    {
        await AddAsync(
            Line(1, -90, "192.0.2.1", "anonymous"),
            Line(2, -80, "192.0.2.1", "bob", wayIn: "gateway"),
            Line(3, -70, "192.0.2.1", "anonymous", count: 2),
            Line(4, -60, "192.0.2.1", "bob", userAgent: "containerd/2.1"),
            Line(5, -50, "192.0.2.2", "anonymous", wayIn: "forward-proxy"),
            Line(6, -40, "192.0.2.3", "hank", organizations: ["globex"]));
        var token = await _room.TokenAsync("auditor");
        var answer = await JsonAsync("", token);
        Assert.Equal(
            [
                $$"""{"address":"192.0.2.2","waysIn":["forward-proxy"],"decisions":1,"pulls":1,"anonymous":1,"callers":0,"names":[],"clientFamily":"docker","share":1,"first":"{{Text(-50)}}","last":"{{Text(-50)}}"}""",
                $$"""{"address":"192.0.2.1","waysIn":["mirror"],"decisions":1,"pulls":1,"anonymous":0,"callers":1,"names":["bob"],"clientFamily":"containerd","share":0,"first":"{{Text(-60)}}","last":"{{Text(-60)}}"}""",
                $$"""{"address":"192.0.2.1","waysIn":["gateway","mirror"],"decisions":4,"pulls":4,"anonymous":3,"callers":1,"names":["bob"],"clientFamily":"docker","share":0.75,"first":"{{Text(-90)}}","last":"{{Text(-70)}}"}""",
            ],
            answer.GetProperty("items").EnumerateArray().Select(one => one.GetRawText()));
        Assert.Equal(3, answer.GetProperty("found").GetInt32());

        foreach (var (query, expected) in new[]
                 {
                     ("wayIn=gateway", "192.0.2.1 docker 1"), ("clientFamily=containerd", "192.0.2.1 containerd 1"), ("anonymous=true", "192.0.2.2 docker 1"), ("anonymous=false&wayIn=mirror", "192.0.2.1 containerd 1;192.0.2.1 docker 3"),
                     ("fallsBack=true", ""), ("organization=acme&clientFamily=docker", "192.0.2.2 docker 1;192.0.2.1 docker 4"), ("clientFamily=other", ""),
                 })
            Assert.Equal(expected, string.Join(';', Heads(await JsonAsync(query, token))));
        Assert.Equal("192.0.2.3 docker 1", string.Join(';', Heads(await JsonAsync("", await _room.TokenAsync("administrator", "globex")))));
        Assert.Equal(4, (await JsonAsync("", await _room.TokenAsync("company-owner", null))).GetProperty("found").GetInt32());
        Assert.Equal(["192.0.2.1 containerd 1", "192.0.2.1 docker 1"], Heads(await JsonAsync("", await _room.TokenAsync("member", person: "bob")))); // the own ones
        var theirs = await _room.SendAsync("GET", "/api/v1/machines?organization=globex", token);
        Assert.Equal((404, "there is no organization globex"), (theirs.Status, theirs.Detail));
    }

    [Fact]
    public async Task Parts_follow_each_other_and_a_cursor_is_of_its_question_and_its_reader()
    {
        await AddAsync([.. Enumerable.Range(1, 23).Select(number => Line(number, -(number % 3), $"192.0.2.{number}", "bob", wayIn: number % 2 == 0 ? "mirror" : "gateway"))]);
        var token = await _room.TokenAsync("auditor");
        var whole = Heads(await JsonAsync("limit=200", token));
        Assert.Equal(23, whole.Count);
        var (parts, cursor) = (new List<string>(), (string?)null);
        do
        {
            var part = await JsonAsync($"limit=5{(cursor is null ? "" : $"&cursor={cursor}")}", token);
            parts.AddRange(Heads(part));
            cursor = part.TryGetProperty("next", out var next) ? next.GetString() : null;
        }
        while (cursor is not null);
        Assert.Equal(whole, parts);

        cursor = (await JsonAsync("limit=5&wayIn=mirror", token)).GetProperty("next").GetString()!;
        Assert.Equal(6, (await JsonAsync($"wayIn=mirror&cursor={cursor}", token)).GetProperty("items").GetArrayLength());
        foreach (var (query, wrong) in new[] { ("", cursor), ("wayIn=gateway", cursor), ("wayIn=mirror&since=7d", cursor), ("wayIn=mirror&anonymous=true", cursor), ("wayIn=mirror", cursor[..^1]), ("wayIn=mirror", "AAAA"), ("wayIn=mirror", new string('A', 5000)) })
        {
            var answer = await _room.SendAsync("GET", $"/api/v1/machines?{query}&cursor={wrong}", token);
            Assert.Equal((400, "cursor is none that this question was given"), (answer.Status, answer.Detail));
        }
    }

    [Theory]
    [InlineData("since=12h", "since is '12h': choose days, as 30d")]
    [InlineData("since=36500d", "since must be at most 3660d")]
    [InlineData("wayIn=door", "wayIn is 'door': choose mirror, gateway, forward-proxy")]
    [InlineData("clientFamily=x'%20OR%201=1", "clientFamily is 'x' OR 1=1': choose docker, other, containerd, containers, go-containerregistry")]
    [InlineData("anonymous=perhaps", "anonymous is 'perhaps': write true or false")]
    [InlineData("fallsBack=1", "fallsBack is '1': write true or false")]
    [InlineData("limit=201", "limit must be 1 to 200")]
    [InlineData("caller=bob", "unknown parameter caller; known are: organization, since, wayIn, clientFamily, anonymous, fallsBack, limit, cursor")]
    public async Task A_question_that_cannot_be_answered_is_a_problem(string query, string detail)
    {
        var answer = await _room.SendAsync("GET", $"/api/v1/machines?{query}", await _room.TokenAsync("auditor"));
        Assert.Equal((400, "application/problem+json", detail), (answer.Status, answer.MediaType, answer.Detail));
    }

    [Fact]
    public async Task A_table_has_every_machine_and_no_cell_that_a_spreadsheet_would_run()
    {
        await AddAsync(Line(1, -9, "192.0.2.1", "=cmd|' /C calc'!A0"), Line(2, -8, "192.0.2.2", "a, \"b\""));
        var kept = await ReportAsync(await _room.TokenAsync("reporter"), Body(name: "@sum(1)", open: 1, ways: """{ "verdict": "open", "way": "direct IPv4", "host": "registry-1.docker.io" }""", engines: """{ "engine": "docker", "fallsBack": true }"""));
        var answer = await _room.SendAsync("GET", "/api/v1/machines?limit=1", await _room.TokenAsync("auditor"), accept: "text/csv");
        Assert.Equal((200, "text/csv"), (answer.Status, answer.MediaType));
        var reported = DateTimeOffset.Parse(kept.Time, null);
        Assert.Equal(
            "address,clientFamily,waysIn,decisions,pulls,anonymous,share,callers,names,first,last,fallsBack,machine,reported,open\r\n"
            + $"{kept.Address},,,0,0,0,0,0,,,,yes,'@sum(1),{Cell(reported)},1\r\n"
            + $"192.0.2.2,docker,mirror,1,1,0,0,1,\"a, \"\"b\"\"\",{Cell(Now.AddMinutes(-8))},{Cell(Now.AddMinutes(-8))},,,,\r\n"
            + $"192.0.2.1,docker,mirror,1,1,0,0,1,'=cmd|' /C calc'!A0,{Cell(Now.AddMinutes(-9))},{Cell(Now.AddMinutes(-9))},,,,\r\n",
            answer.Text);
    }

    [Fact]
    public async Task Looking_at_machines_of_others_is_recorded_once_and_looking_at_the_own_ones_is_not()
    {
        await AddAsync(Line(1, -9, "192.0.2.1", "bob"));
        var (auditor, member) = (await _room.TokenAsync("auditor", person: "alice"), await _room.TokenAsync("member", person: "bob"));
        for (var i = 0; i < 2; i++)
        {
            await JsonAsync("", auditor);
            await JsonAsync("since=7d", auditor); // the time is no other question
            await JsonAsync("wayIn=mirror", auditor);
            await JsonAsync("", member);
        }

        string[] expected = ["acme alice machines: all", "acme alice machines: way in mirror"];
        List<string> trail = [];
        await Eventually.TrueAsync(() => (trail = [.. _room.Here.AuditAsync(1).GetAwaiter().GetResult()
            .Where(line => line.TryGetProperty("event", out var kind) && kind.GetString() == "decisions-read")
            .Select(line => $"{line.GetProperty("organization").GetString()} {line.GetProperty("user").GetString()} {line.GetProperty("operation").GetString()}: {line.GetProperty("question").GetString()}").Order(StringComparer.Ordinal)]).Count >= 2);
        Assert.Equal(expected, trail);
        Assert.Equal(2, await _room.Database.ReadAsync(context => Task.FromResult(context.Activity.Count(row => row.Action == LookRecorder.Action)), default));
    }

    [Fact]
    public async Task A_report_is_told_with_the_machines_of_its_address_to_whom_it_concerns()
    {
        var reporter = await _room.TokenAsync("reporter");
        var kept = await ReportAsync(reporter, Body("build-7", 2, 1, 9, """{ "engine": "docker", "fallsBack": true }, { "engine": "containerd" }""", """{ "verdict": "open", "way": "fallback", "host": "docker" }, { "verdict": "enforced", "way": "mirror", "host": "https://m" }"""));
        await AddAsync(Line(1, -9, kept.Address, "bob"), Line(2, -8, kept.Address, "hank", organizations: ["globex"], userAgent: "containerd/2.1"), Line(3, -7, "192.0.2.1", "bob"));
        var companys = await ReportAsync(await _room.TokenAsync("reporter", null), Body("of-the-company"));

        var answer = await JsonAsync("", await _room.TokenAsync("auditor"));
        var machine = answer.GetProperty("items").EnumerateArray().Single(one => one.GetProperty("address").GetString() == kept.Address);
        Assert.True(machine.GetProperty("fallsBack").GetBoolean());
        Assert.Equal(
            $$"""{"name":"build-7","time":"{{kept.Time}}","open":2,"others":0,"version":"0.1.0","enforced":1,"notReachable":9,"engines":[{"engine":"docker","fallsBack":true},{"engine":"containerd"}],"ways":[{"verdict":"open","way":"fallback","host":"docker"},{"verdict":"enforced","way":"mirror","host":"https://m"}]}""",
            machine.GetProperty("lastReport").GetRawText());
        Assert.Equal([$"{kept.Address} docker 1"], Heads(await JsonAsync("fallsBack=true", await _room.TokenAsync("auditor"))));

        var others = Heads(await JsonAsync("", await _room.TokenAsync("administrator", "globex")), withReport: true);
        Assert.Equal([$"{kept.Address} containerd 1 -"], others); // neither acme's report nor the company's
        Assert.Equal(["192.0.2.1 docker 1 -", $"{kept.Address} docker 1 -"], Heads(await JsonAsync("", await _room.TokenAsync("member", person: "bob")), withReport: true));
        var all = Heads(await JsonAsync("", await _room.TokenAsync("company-owner", null)), withReport: true).Order(StringComparer.Ordinal);
        Assert.Equal(
            new[] { "192.0.2.1 docker 1 -", $"{companys.Address} - 0 of-the-company", $"{kept.Address} containerd 1 build-7", $"{kept.Address} docker 1 build-7" }.Order(StringComparer.Ordinal), all);
        Assert.DoesNotContain("of-the-company", (await _room.SendAsync("GET", "/api/v1/machines", await _room.TokenAsync("auditor"))).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_report_again_changes_the_time_alone()
    {
        var reporter = await _room.TokenAsync("reporter");
        var first = await ReportAsync(reporter, Body("build-7", 1), "198.51.100.9");
        await ReportAsync(reporter, Body("build-8"), "198.51.100.9");
        var again = await ReportAsync(reporter, Body("build-7"), "198.51.100.9"); // its way is closed now
        await ReportAsync(reporter, Body("build-7", 1), "::ffff:198.51.100.9");
        Assert.Equal("198.51.100.9", again.Address);
        Assert.True(string.CompareOrdinal(again.Time, first.Time) >= 0);
        var machine = Assert.Single((await JsonAsync("", await _room.TokenAsync("auditor"))).GetProperty("items").EnumerateArray());
        var last = machine.GetProperty("lastReport");
        Assert.Equal(("build-7", 1, 1), (last.GetProperty("name").GetString(), last.GetProperty("open").GetInt32(), last.GetProperty("others").GetInt32()));
    }

    [Theory]
    [InlineData("""{ "name": "m", "version": "1", "open": 0, "enforced": 0, "notReachable": 0, "engines": [], "ways": [], "address": "192.0.2.1" }""", "the body has a member that is not known: address")]
    [InlineData("""{ "name": "m", "version": "1", "open": 0, "enforced": 0, "notReachable": 0, "engines": [], "ways": [], "organization": "globex" }""", "the body has a member that is not known: organization")]
    [InlineData("""{ "name": "m", "version": "1", "open": 0, "enforced": 0, "notReachable": 0, "engines": [] }""", "the body lacks a member: 'ways'.")]
    [InlineData("""{ "name": "", "version": "1", "open": -1, "enforced": 0, "notReachable": 100001, "engines": [], "ways": [] }""", "name must have 1 to 128 characters, open must be 0 to 100000, notReachable must be 0 to 100000")]
    [InlineData("""{ "name": "a\u202eb", "version": "1\n", "open": 0, "enforced": 0, "notReachable": 0, "engines": [null], "ways": [null] }""", "name has characters that cannot be seen, as line ends or marks of direction, version has characters that cannot be seen, as line ends or marks of direction, engines[0].engine must have 1 to 64 characters and 3 more")]
    [InlineData("""{ "name": "m", "version": "1", "open": 0, "enforced": 0, "notReachable": 0, "engines": [], "ways": [ { "verdict": "open", "way": "mirror", "host": "h" } ] }""", "open is less than such ways are listed")]
    public async Task A_report_that_is_none_is_a_problem_and_is_not_kept(string body, string detail)
    {
        var answer = await _room.SendAsync("POST", Reports, await _room.TokenAsync("reporter"), body);
        Assert.Equal((400, "application/problem+json"), (answer.Status, answer.MediaType));
        Assert.Equal(detail, answer.Detail);
        Assert.Empty(await _room.Service<UsageStore>().ListReportsAsync(default));
    }

    [Fact]
    public async Task A_report_is_bounded_and_what_looks_like_a_page_stays_text()
    {
        var (reporter, way) = (await _room.TokenAsync("reporter"), """{ "verdict": "open", "way": "mirror", "host": "h" }""");
        var many = await _room.SendAsync("POST", Reports, reporter, Body(open: 65, ways: string.Join(',', Enumerable.Repeat(way, 65)), engines: string.Join(',', Enumerable.Repeat("""{ "engine": "e" }""", 17))));
        Assert.Equal((400, "engines must be at most 16, ways must be at most 64"), (many.Status, many.Detail));
        var large = await _room.SendAsync("POST", Reports, reporter, Body(name: new string('x', 70_000)));
        Assert.Equal((413, "the body is too large: at most 64 KiB"), (large.Status, large.Detail));
        Assert.Empty(await _room.Service<UsageStore>().ListReportsAsync(default));

        await ReportAsync(reporter, Body("<script>alert(1)</script>'; DROP TABLE \\\"UsageReports\\\"; --"));
        var listed = await _room.SendAsync("GET", "/api/v1/machines", await _room.TokenAsync("auditor"));
        Assert.Equal("application/json", listed.MediaType);
        Assert.Equal("<script>alert(1)</script>'; DROP TABLE \"UsageReports\"; --", listed.Json.GetProperty("items")[0].GetProperty("lastReport").GetProperty("name").GetString());
    }

    private static string Text(int minutes) => Now.AddMinutes(minutes).UtcDateTime.ToString(Now.Millisecond == 0 ? "yyyy-MM-dd'T'HH:mm:ss'Z'" : "yyyy-MM-dd'T'HH:mm:ss.FFF'Z'", null);

    private static string Cell(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", null);

    private static string Line(int number, int minutes, string client, string caller, string wayIn = "mirror", string userAgent = "docker/29.0", string[]? organizations = null, int? count = null) => UsageRoom.Line(
        UsageRoom.Id(number), Now.AddMinutes(minutes), caller, client: client, wayIn: wayIn, userAgent: userAgent, organizations: organizations, count: count);

    private static string Body(string name = "m", int open = 0, int enforced = 0, int notReachable = 0, string engines = "", string ways = "") =>
        $$"""{ "name": "{{name}}", "version": "0.1.0", "open": {{open}}, "enforced": {{enforced}}, "notReachable": {{notReachable}}, "engines": [{{engines}}], "ways": [{{ways}}] }""";

    private static List<string> Heads(JsonElement answer, bool withReport = false) => [.. answer.GetProperty("items").EnumerateArray().Select(one =>
        $"{one.GetProperty("address").GetString()} {(one.TryGetProperty("clientFamily", out var family) ? family.GetString() : "-")} {one.GetProperty("decisions").GetInt64()}"
        + (!withReport ? "" : one.TryGetProperty("lastReport", out var report) ? $" {report.GetProperty("name").GetString()}" : " -"))];

    private async Task<JsonElement> JsonAsync(string query, string token)
    {
        var answer = await _room.SendAsync("GET", $"/api/v1/machines?{query}", token);
        Assert.True(answer.Status == 200, $"{query}: {answer.Status} {answer.Text}");
        return answer.Json;
    }

    private async Task<(string Address, string Time)> ReportAsync(string token, string body, string? from = null)
    {
        var answer = await _room.SendAsync("POST", Reports, token, body, from: from);
        Assert.True(answer.Status == 200, answer.Text);
        return (answer.Json.GetProperty("address").GetString()!, answer.Json.GetProperty("time").GetString()!);
    }

    private Task<UsageAdded> AddAsync(params string[] lines) =>
        _room.Service<UsageStore>().AddAsync([.. lines.Select(UsageRoom.Read)], null, UsageDays.At(TimeProvider.System.GetUtcNow(), new UsageOptions()), default);
}

public sealed class SqliteMachineTests : MachineConformance
{
    internal override Task<(string Key, string Value)[]> SettingsAsync() => Task.FromResult<(string, string)[]>([]);
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresMachineTests(PostgresServer server) : MachineConformance
{
    internal override async Task<(string Key, string Value)[]> SettingsAsync() => [("Database:ConnectionString", await server.CreateDatabaseAsync())];
}
