using System.IO.Compression;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>policy replay --docker-usage</c> and <c>usage coverage</c>: what Docker Hub itself has counted, without one machine behind the proxy.</summary>
public sealed class DockerUsageTests : IDisposable
{
    private const string Draft = """
        { "callers": { "outsiders": "deny" },
          "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }
        """;

    private const string Mailed = "datehour,user_name,repository,access_token_name,ips,repository_privacy,tag,digest,version_checks,pulls\n";

    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task The_mailed_report_is_judged_with_its_users_as_members()
    {
        Directory.CreateDirectory(_directory["data"]);
        Write("data/catalog.json", """{ "bitnami": { "category": "verified-publisher", "reason": "signed a contract" } }""");
        Write("data/catalog.records.jsonl", """{"namespace":"someuser","badge":"none","readAt":"2026-11-01T00:00:00Z","freshUntil":"2026-11-01T01:00:00Z"}""" + "\nnot json\n");
        var replay = await ReplayAsync(Mailed + string.Concat(
            Line("2026/11/01/00", "Bob", "library/nginx", 3), Line("2026/11/01/01", "carol", "someuser/x", 2), Line("2026/11/03/23", "carol", "someuser/x", 5),
            Line("2026/11/02/00", "bob", "bitnami/redis", 7), Line("2026/11/02/00", "alice", "someuser/x", 1), Line("2026/11/02/00", "", "nginx", 4),
            Line("2026/11/02/00", "dora", "unseen/y", 0, checks: 6), Line("2026/11/02/00", "dora", "unseen/z", 0), Line("2026/11/02/00", "dora", "acme/app", 1)));

        Assert.Equal(
            ["allow deny community carol someuser/x 7", "allow unknown unknown dora unseen/y 6"], Changes(replay).Where(change => !change.Contains("anonymous", StringComparison.Ordinal)));
        Assert.Equal((29, 0, "acme"), (replay.GetProperty("requests").GetInt64(), replay.GetProperty("malformed").GetInt64(), replay.GetProperty("organization").GetString()));
        Assert.Equal(["unseen"], replay.GetProperty("unknownNamespaces").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(("2026-11-01T00:00:00+00:00", "2026-11-03T23:00:00+00:00"), (replay.GetProperty("first").GetString(), replay.GetProperty("last").GetString()));
    }

    [Theory]
    [InlineData("day,hub_username,namespace,image_repository,tag,digest,ip_address,user_agent,pulls\n2026-11-02,carol,someuser,x,latest,sha256:0,10.0.0.1,\"docker, \"\"x\"\"\",4\n")]
    [InlineData("\uFEFF\"Day\", Hub Username ,NAMESPACE,Image-Repository,Pull Count\r\n2026-11-02,CAROL,someuser,x,4\r\n")]
    [InlineData("day;hub_username;namespace;image_repository;pulls;version_checks\n2026-11-02;carol;someuser;x;4;9")]
    [InlineData("pulls,image_repository,day,namespace,hub_username,user_agent\n4,x,2026-11-02T00:00:00Z,someuser,carol,\"a\nb,\r\nc\"\n")]
    [InlineData("sum,pulls,datehour,repository,user_name\n\n9,4,2026/11/02/05,docker.io/someuser/x,carol\n\n")]
    public async Task Columns_are_found_by_name(string report)
    {
        var replay = await ReplayAsync(report);
        Assert.Equal(("allow unknown unknown carol someuser/x 4", 0L), (string.Join("; ", Changes(replay)), replay.GetProperty("malformed").GetInt64()));
    }

    [Fact]
    public async Task A_packed_report_and_one_in_utf_16_are_read()
    {
        var text = Mailed + Line("2026/11/01/01", "carol", "someuser/x", 2);
        using (var packed = new GZipStream(File.Create(_directory["report.csv.gz"]), CompressionLevel.Fastest))
            packed.Write(Encoding.UTF8.GetBytes(text));
        await File.WriteAllTextAsync(_directory["wide.csv"], text, Encoding.Unicode);
        foreach (var name in new[] { "report.csv.gz", "wide.csv" })
            Assert.Equal(["allow unknown unknown carol someuser/x 2"], Changes((await RunAsync(_directory[name], "--json")).Json));
    }

    [Fact]
    public async Task Hostile_lines_are_counted_and_the_first_named_and_the_rest_is_read()
    {
        var good = Line("2026/11/01/01", "carol", "someuser/x", 1);
        var replay = await ReplayAsync(
            Mailed + good + "a,b\n" + good + new string('x', 3_000_000) + "\n" + good + good.Replace("ci", "\"open", StringComparison.Ordinal) + good
            + Line("yesterday", "carol", "someuser/x", 1) + Line("2026/11/01/01", "carol@example.com", "someuser/x", 1) + Line("2026/11/01/01", "carol", "UPPER/x\0", 1)
            + good.Replace(",1\n", ",-1\n", StringComparison.Ordinal) + good.Replace(",1\n", ",99999999999999999999\n", StringComparison.Ordinal)
            + string.Concat(Enumerable.Repeat(good, 1000)) + good.Replace("ci", "c\"i", StringComparison.Ordinal) + good.Replace("ci", "\"c\"i", StringComparison.Ordinal) + good
            + good[..^20]);

        Assert.Equal(
            ["line 3 has another number of cells than the header", "line 5 is too long", "line 7 has a quote that is not closed", "line 9 has no time", "line 10 has no user name of Docker Hub"],
            replay.GetProperty("flawed").EnumerateArray().Select(line => line.GetString()!));
        Assert.Equal((11L, "allow unknown unknown carol someuser/x 1005"), (replay.GetProperty("malformed").GetInt64(), string.Join("; ", Changes(replay))));
    }

    [Theory]
    [InlineData("", "report.csv has no column datehour (or day, date_hour, date, hour, timestamp, time), and none user_name")]
    [InlineData("day,hub_username,namespace,pulls,a\u0007b\n", "report.csv has no column repository (or image_repository, repository_name, repo, image); its header is: day, hub_username, namespace, pulls, a?b\n")]
    [InlineData("day,user_name,repository,pulls,Pulls\n", "report.csv has the column pulls twice\n")]
    [InlineData("PK\u0003\u0004zip", "report.csv is a zip archive: unpack it first\n")]
    public async Task A_file_that_is_none_is_refused_with_what_it_has(string report, string error)
    {
        var replay = await RunAsync(Write("report.csv", report));
        Assert.Equal((2, ""), (replay.ExitCode, replay.Output));
        Assert.Contains(error, replay.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_read_or_does_not_go_together_is_refused()
    {
        var report = Write("report.csv", Mailed);
        await File.WriteAllBytesAsync(_directory["cut.gz"], [0x1F, 0x8B, 8, 0, 1, 2, 3]);
        Assert.Contains("gone.csv does not exist", (await RunAsync(_directory["gone.csv"])).Error, StringComparison.Ordinal);
        Assert.Contains("cut.gz cannot be read: ", (await RunAsync(_directory["cut.gz"])).Error, StringComparison.Ordinal);
        Assert.Contains("--organization: the policy has no organization 'beta', but acme", (await RunAsync(report, "--organization", "beta")).Error, StringComparison.Ordinal);
        Assert.Contains("Choose --audit or --docker-usage.", (await RunAsync(report, "--audit", "x")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_tables_are_those_of_a_trail_and_tell_which_namespaces_are_not_known()
    {
        var replay = await RunAsync(Write("report.csv", Mailed + Line("2026/11/01/01", "carol", "someuser/x", 2) + "bad\n"));
        Assert.Equal(0, replay.ExitCode);
        Assert.Contains("2 requests for 1 repository by 1 caller, 2026-11-01 to 2026-11-01\n1 line could not be read: line 3 has another number of cells than the header\n", replay.Output, StringComparison.Ordinal);
        Assert.Contains("allow -> unknown         2        1  unknown  someuser/x", replay.Output, StringComparison.Ordinal);
        Assert.Contains("nothing is kept here of 1\nnamespace: someuser. Pin them in catalog.json", replay.Output, StringComparison.Ordinal);
        Assert.Contains("note: users of the report are judged as members of acme, unless the policy's document says more of them", replay.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Beyond_so_many_kinds_requests_are_counted_alone()
    {
        var pulls = new DockerUsagePulls(new RecordsOnDisk(new CatalogOptions { DataDirectory = _directory["none"] }), "acme", since: null, maximum: 2);
        await pulls.ReadAsync(
            Write("report.csv", Mailed + string.Concat(new[] { "a", "b", "c", "a" }.Select(name => Line("2026/11/01/01", "carol", $"someuser/{name}", 2)))),
            new ProgressLine(TimeProvider.System, TextWriter.Null),
            CancellationToken.None);
        Assert.Equal([("someuser/a", 4L), ("someuser/b", 2L)], pulls.Requests.Select(pair => (pair.Key.Repository, pair.Value)).Order());
        Assert.Equal(2, pulls.Beyond);
    }

    [Fact]
    public async Task Coverage_tells_who_goes_round_the_proxy()
    {
        var report = Write("report.csv", Mailed + string.Concat(
            Line("2026/11/01/01", "bob", "library/nginx", 6, "203.0.113.7"), Line("2026/11/01/02", "bob", "library/nginx", 2, "\"203.0.113.9, ::ffff:203.0.113.7\""),
            Line("2026/11/01/03", "carol", "someuser/x", 3, "198.51.100.4"), Line("2026/11/05/04", "carol", "someuser/y", 4, "198.51.100.4"),
            Line("2026/11/02/00", "", "library/nginx", 1, "\"[203.0.113.7 2001:db8::5]\""), Line("2026/11/02/00", "dora", "library/nginx", 9, "unknown")));

        var coverage = await CommandLine.RunAsync("usage", "coverage", report, "--proxy", "203.0.113.7", "203.0.113.8/31", "--json");

        Assert.Equal(1, coverage.ExitCode);
        Assert.Equal(
            (8, 7, 1, 9, 50.0),
            (Number(coverage.Json, "through"), Number(coverage.Json, "around"), Number(coverage.Json, "mixed"), Number(coverage.Json, "withoutAddress"), coverage.Json.GetProperty("throughPercent").GetDouble()));
        Assert.Equal(
            ["198.51.100.4 carol 7 2026-11-05T04:00:00+00:00", "2001:db8::5 anonymous 1 2026-11-02T00:00:00+00:00"],
            coverage.Json.GetProperty("items").EnumerateArray().Select(item => string.Join(' ', new[] { "address", "user", "pulls", "last" }.Select(name => item.GetProperty(name).ToString()))));
        var table = await CommandLine.RunAsync("usage", "coverage", report, "--proxy=203.0.113.0/28", "--ranges");
        Assert.Contains("report.csv: 50.0 % of 16 pulls came through the proxy, 7 went round it\n", table.Output, StringComparison.Ordinal);
        Assert.Contains("    7  2026-11-05 04:00Z  198.51.100.0/24  carol\n    1  2026-11-02 00:00Z  2001:db8::/64    anonymous\n", table.Output, StringComparison.Ordinal);
        var all = await CommandLine.RunAsync("usage", "coverage", report, "--proxy", "0.0.0.0/0", "--proxy", "::/0");
        Assert.Equal((0, "100.0 % of 16 pulls came through the proxy, 0 went round it\n"), (all.ExitCode, all.Output.Split(": ", 2)[1].Split("9 pulls")[0]));
    }

    [Fact]
    public async Task Coverage_as_csv_runs_nothing_in_a_spreadsheet()
    {
        var report = Write("report.csv", Mailed + Line("2026/11/01/03", "_=1+1", "someuser/x", 3, "198.51.100.4") + Line("2026/11/01/03", "carol", "someuser/x", 3, "=1+1;198.51.100.4"));
        var coverage = await CommandLine.RunAsync("usage", "coverage", report, "--proxy", "203.0.113.7", "--csv");
        Assert.Equal("address,user,pulls,last\r\n198.51.100.4,carol,3,2026-11-01T03:00:00Z\r\n", coverage.Output);
        Assert.Contains("note: 1 line could not be read: line 2 has no user name of Docker Hub", coverage.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("203.0.113.7/33", "--proxy: '203.0.113.7/33' is neither an address nor a network")]
    [InlineData("proxy.example.com", "--proxy: 'proxy.example.com' is neither an address nor a network")]
    public async Task A_proxy_that_is_none_is_refused(string proxy, string error)
    {
        var coverage = await CommandLine.RunAsync("usage", "coverage", Write("report.csv", Mailed), "--proxy", proxy);
        Assert.Equal(2, coverage.ExitCode);
        Assert.Contains(error, coverage.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Coverage_needs_addresses()
    {
        var coverage = await CommandLine.RunAsync("usage", "coverage", Write("report.csv", "day,user,repo,pulls\n"), "--proxy", "203.0.113.7");
        Assert.Equal(2, coverage.ExitCode);
        Assert.Contains("report.csv has no column ips (or ip, ", coverage.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private static long Number(JsonElement json, string name) => json.GetProperty(name).GetInt64();

    private static string Line(string time, string user, string repository, int pulls, string ips = "10.0.0.1", int checks = 0) =>
        $"{time},{user},{repository},ci,{ips},public,latest,sha256:0,{checks},{pulls}\n";

    private static IEnumerable<string> Changes(JsonElement replay) => replay.GetProperty("changes").EnumerateArray()
        .Select(change => string.Join(' ', new[] { "from", "to", "rule", "caller", "repository", "requests" }.Select(name => change.GetProperty(name).ToString())))
        .Order(StringComparer.Ordinal);

    private async Task<JsonElement> ReplayAsync(string report)
    {
        var replay = await RunAsync(Write("report.csv", report), "--json");
        Assert.True(replay.ExitCode == 0, replay.Error);
        return replay.Json;
    }

    private Task<CommandLine> RunAsync(string report, params string[] options) => CommandLine.RunAsync(
        ["policy", "replay", Write("draft.json", Draft), "--docker-usage", report, "--config", Write("imageaccess.json", """{ "Data": { "Directory": "data" } }"""), .. options]);

    private string Write(string name, string text)
    {
        File.WriteAllText(_directory[name], text);
        return _directory[name];
    }
}
