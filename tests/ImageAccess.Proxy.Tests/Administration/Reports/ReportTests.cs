using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Administration.Usage;
using ImageAccess.Proxy.Tests.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Administration.Reports;

/// <summary>A report has the facts of one organization and of its days, and for the same facts the same digest.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ReportTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    private static readonly string Days = $"from={Now.AddDays(-60):yyyy-MM-dd}&to={Now.AddDays(2):yyyy-MM-dd}";

    private readonly ApiRoom _room = new();

    public Task InitializeAsync() => _room.InitializeAsync();

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_report_tells_what_was_allowed_denied_and_changed_in_one_organization()
    {
        await _room.ImportAsync(ApiRoom.Policy);
        await _room.SendAsync("POST", "/api/v1/exceptions", await _room.TokenAsync("administrator", person: "alice"), Exception("acme", "granted/tool"));
        await _room.SendAsync("POST", "/api/v1/exceptions", await _room.TokenAsync("administrator", "globex"), Exception("globex", "theirs/tool"));
        await _room.BreakGlassAsync();
        await _room.BreakGlassAsync("globex");
        await ImportAsync(
            Line(1, "bob", "granted/tool", "deny", -3), Line(2, "bob", "granted/tool", "deny", -2), Line(3, "bob", "evil/tool", "deny", -2), Line(4, "hank", "theirs/tool", "deny", -2, "globex"),
            Line(5, "bob", "evil/old", "deny", -70), Line(6, "alice", "someuser/tool", "allow", -2, rule: "owner"), Line(7, "alice", "library/nginx", "allow", -2),
            Line(8, "bob", "shop/a", "allow", -9, type: "verified-publisher"), Line(9, "bob", "shop/b", "deny", -4, type: "community"));

        var token = await _room.TokenAsync("auditor");
        var answer = await _room.SendAsync("GET", $"/api/v1/organizations/acme/report?{Days}", token);
        Assert.True(answer.Status == 200, answer.Text);
        var table = await _room.SendAsync("GET", $"/api/v1/organizations/acme/report?{Days}", token, accept: "text/csv");
        Assert.Equal((200, "text/csv", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(table.Text)))), (table.Status, table.MediaType, answer.Json.GetProperty("digest").GetString()));
        Assert.Equal((answer.Tag, $"\"{answer.Json.GetProperty("digest").GetString()}\""), (table.Tag, table.Tag));

        var lines = table.Text.Split("\r\n").Select(line => line.Split(',')).Where(cells => cells.Length >= 10).ToList();
        Assert.Equal(["section,report,policy", "acme"], [string.Join(',', lines.Select(cells => cells[0]).Distinct().Take(3)), lines[1][1]]);
        Assert.Equal(["evil/tool 1 still denied", "granted/tool 2 exception granted", "shop/b 1 still denied"], Of("denials").Select(cells => $"{cells[1]} {cells[8]} {cells[7]}").Order(StringComparer.Ordinal));
        Assert.Equal(["alice 1"], Of("owner-pulls").Select(cells => $"{cells[1]} {cells[8]}"));
        Assert.Equal(["granted/tool a trial in force"], Of("exceptions").Select(cells => $"{cells[1]} {cells[5]} {cells[7]}"));
        Assert.Equal(["shop lost its badge"], Of("publishers").Select(cells => $"{cells[1]} {cells[7]}"));
        Assert.Equal(["alice owner", "carol company-owner"], Of("roles").Select(cells => $"{cells[1]} {cells[7]}").Order(StringComparer.Ordinal).Select(role => role.Split(' ') is [var name, .., var last] ? $"{name} {last}" : role));
        Assert.Equal(["eve because not reviewed"], Of("break-glass").Select(cells => $"{cells[4]} {cells[5]} {cells[7]}"));
        Assert.Contains(Of("tokens"), cells => cells[1] == "a test" && cells[4] == "root" && cells[7] == "auditor");
        var versions = Of("policy").ToList(); // the fixture's own before; the import changes nothing in the section
        Assert.Equal((2, versions[^1][2], ""), (versions.Count, versions[0][3], versions[^1][3]));
        Assert.DoesNotContain("theirs", table.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("globex", table.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("imageaccess_", table.Text, StringComparison.Ordinal);

        await ImportAsync(Line(20, "bob", "evil/more", "deny", -1));
        var after = await _room.SendAsync("GET", $"/api/v1/organizations/acme/report?{Days}", token);
        Assert.NotEqual(answer.Tag, after.Tag);
        await Eventually.TrueAsync(() => _room.Here.AuditAsync(1).GetAwaiter().GetResult()
            .Any(line => line.TryGetProperty("operation", out var what) && what.GetString() == "report" && line.GetProperty("organization").GetString() == "acme"));

        IEnumerable<string[]> Of(string section) => lines.Where(cells => cells[0] == section && cells[1].Length > 0);
    }

    [Fact]
    public async Task The_verb_prints_the_table_and_its_digest()
    {
        await ImportAsync(Line(1, "=bob", "evil/tool", "deny", -2));
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["token"], await _room.TokenAsync("auditor"));
        File.SetUnixFileMode(directory["token"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        string[] server = ["--server", _room.Here.Further[^1].AbsoluteUri, "--token-file", directory["token"]];
        var run = await CommandLine.RunAsync(["report", "--organization", "acme", "--from", $"{Now.AddDays(-60):yyyy-MM-dd}", "--to", $"{Now.AddDays(2):yyyy-MM-dd}", .. server]);
        Assert.Equal((0, $"sha256 {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(run.Output)))}\n"), (run.ExitCode, run.Error));
        Assert.Contains("\r\ndenials,evil/tool,,,,,,still denied,1,\r\n", run.Output, StringComparison.Ordinal);
        Assert.Equal("acme", (await CommandLine.RunAsync(["report", "--organization", "acme", "--quarter", "2026Q4", "--json", .. server])).Json.GetProperty("organization").GetString());
        Assert.Equal(2, (await CommandLine.RunAsync("report", "--organization", "acme", "--quarter", "2026Q4")).ExitCode);
    }

    [Theory]
    [InlineData("", "quarter or from and to: name the one or the other")]
    [InlineData("quarter=2026Q4&from=2026-10-01", "quarter or from and to: name the one or the other")]
    [InlineData("quarter=2026Q5", "quarter is '2026Q5': write one as 2026Q4")]
    [InlineData("quarter=2026q4", "quarter is '2026q4': write one as 2026Q4")]
    [InlineData("quarter=0000Q1", "quarter is '0000Q1': write one as 2026Q4")]
    [InlineData("from=2026-10-01", "to is '': write a day as 2027-01-01")]
    [InlineData("from=2026-02-30&to=2026-03-01", "from is '2026-02-30': write a day as 2026-10-01")]
    [InlineData("from=2026-10-01&to=2026-10-01", "to must be 1 to 370 days after from")]
    [InlineData("from=2020-10-01&to=2026-10-01", "to must be 1 to 370 days after from")]
    public async Task Days_that_are_none_are_a_problem(string query, string detail)
    {
        var answer = await _room.SendAsync("GET", $"/api/v1/organizations/acme/report?{query}", await _room.TokenAsync("auditor"));
        Assert.Equal((400, detail), (answer.Status, answer.Detail));
        Assert.Equal(200, (await _room.SendAsync("GET", "/api/v1/organizations/acme/report?quarter=9999Q4", await _room.TokenAsync("auditor"))).Status);
    }

    private static string Exception(string organization, string image) =>
        $$"""{ "organization": "{{organization}}", "image": "{{image}}", "reason": "a trial", "until": "{{DateTime.UtcNow.AddDays(30):yyyy-MM-dd}}T00:00:00Z" }""";

    private static string Line(int number, string caller, string repository, string outcome, int days, string organization = "acme", string rule = "community", string type = "community") =>
        UsageRoom.Line(UsageRoom.Id(number), Now.AddDays(days), caller, repository, outcome, [organization], type, rule);

    private async Task ImportAsync(params string[] lines)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllLinesAsync(directory["trail.jsonl"], lines);
        await UsageImport.ReadAsync(
            directory["trail.jsonl"], _room.Service<UsageStore>(), () => UsageDays.At(TimeProvider.System.GetUtcNow(), new UsageOptions()), (_, _, _) => { }, default);
    }
}
