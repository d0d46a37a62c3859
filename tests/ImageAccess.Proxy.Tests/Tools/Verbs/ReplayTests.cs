using System.Globalization;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess policy replay</c>: a draft over what the trail has.</summary>
public sealed class ReplayTests : IDisposable
{
    private const string Draft = """
        { "callers": { "outsiders": "deny" },
          "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }
        """;

    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task What_would_change_is_counted_by_repository_and_caller()
    {
        Trail(
            Event("bob", "library/nginx", "official", "allow"), Event("bob", "library/nginx", "official", "allow"),
            Event("bob", "someuser/x", "community", "allow"), Event("bob", "someuser/x", "community", "observe"), Event("bob", "someuser/x", "community", "allow"),
            Event("bob", "bitnami/redis", "verified-publisher", "deny"),
            Event("mallory", "library/nginx", "official", "allow"),
            Event("carol", "library/nginx", "official", "allow", memberships: """["member of acme"]"""),
            Event("dora", "someuser/x", "community", "deny", memberships: """["owner of acme"]"""));

        var changes = Changes(await ReplayAsync());

        Assert.Equal(
            [
                "allow deny community bob someuser/x 2", "allow deny outsider mallory library/nginx 1", "deny allow owner dora someuser/x 1",
                "deny allow verified-publisher bob bitnami/redis 1", "observe deny community bob someuser/x 1",
            ],
            changes);
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(56, 57)]
    [InlineData(123_456, 123_457)]
    public async Task The_closing_line_of_merged_denials_counts_as_many_as_it_says(int count, int requests)
    {
        var line = Event("bob", "bitnami/redis", "verified-publisher", "deny");
        Trail(
            line,
            line[..^1] + $",\"count\":{count},\"first\":\"2026-11-01T00:00:00.000Z\",\"last\":\"2026-11-01T00:00:59.000Z\",\"references\":[\"latest\"]}}",
            $$"""{"id":"1","time":"2026-11-01T00:01:00.000Z","event":"connection","face":"gateway","host":"ghcr.io","outcome":"deny","count":9}""",
            $$"""{"id":"2","time":"2026-11-01T00:01:00.000Z","event":"denials","caller":"bob","client":null,"outcome":"deny","count":{{count}}}""",
            line[..^1] + ",\"count\":0}", line[..^1] + ",\"count\":\"many\"}");

        var replay = await ReplayAsync();

        Assert.Equal([$"deny allow verified-publisher bob bitnami/redis {requests}"], Changes(replay));
        Assert.Equal((2, count), (replay.GetProperty("malformed").GetInt64(), replay.GetProperty("unnamed").GetInt64()));
    }

    [Fact]
    public async Task The_requests_of_one_pull_count_as_one()
    {
        var line = Event("bob", "bitnami/redis", "verified-publisher", "deny")[..^1];
        Trail(
            line.Replace("\"id\":\"0\"", "\"id\":\"a\"", StringComparison.Ordinal) + ",\"pull\":\"a\"}", line + ",\"pull\":\"a\"}", line + ",\"pull\":\"a\"}",
            line + ",\"pull\":\"a\",\"count\":9,\"pulls\":4}", line + ",\"pull\":\"a\",\"count\":5,\"pulls\":0}", line + ",\"count\":2}", line + "}");

        Assert.Equal(["deny allow verified-publisher bob bitnami/redis 8"], Changes(await ReplayAsync()));
    }

    [Fact]
    public async Task The_tables_fit_a_terminal_and_the_last_line_sums_up()
    {
        Trail(
            Event("bob", "library/nginx", "official", "allow"), Event("bob", $"someuser/{new string('x', 200)}", "community", "allow"),
            Event("bob", "bitnami/redis", "verified-publisher", "deny"));

        var replay = await CommandLine.RunAsync("policy", "replay", Write("draft.json", Draft), "--audit", _directory["audit.jsonl"]);

        Assert.Equal(0, replay.ExitCode);
        Assert.Contains("3 requests for 3 repositories by 1 caller, 2026-11-01 to 2026-11-01", replay.Output, StringComparison.Ordinal);
        Assert.Contains("allow -> deny         1             1  bob", replay.Output, StringComparison.Ordinal);
        Assert.EndsWith("1 request would be answered as before, 1 would be denied, 1 would be allowed\n", replay.Output, StringComparison.Ordinal);
        Assert.All(replay.Output.Split('\n')[1..], line => Assert.True(line.Length <= 100, line));
    }

    [Fact]
    public async Task The_category_is_what_some_event_of_the_namespace_recorded()
    {
        Trail(
            Event("bob", "seen/x", "unknown", "allow", rule: "allowlist"), Event("bob", "seen/y", "community", "deny"),
            Event("bob", "unseen/x", "unknown", "allow", rule: "allowlist"));

        Assert.Equal(["allow deny community bob seen/x 1", "allow unknown unknown bob unseen/x 1"], Changes(await ReplayAsync()));
    }

    [Fact]
    public async Task Where_either_publisher_gets_the_same_answer_nobody_has_to_be_known()
    {
        Trail(Event("bob", "unseen/x", "unknown", "allow", rule: "off"));
        var replay = await ReplayAsync(Draft.Replace(", \"verifiedPublisher\": true", "", StringComparison.Ordinal));
        Assert.Equal(["allow deny unknown bob unseen/x 1"], Changes(replay));
    }

    [Fact]
    public async Task Malformed_lines_are_counted_and_the_rest_is_read()
    {
        Trail(
            "not json", "{}", "[]", "null", """{"time":"2026-11-01T00:00:00Z"}""", Event("bob", "UPPER/x", "community", "allow"),
            Event("bob", "someuser/x", "community", "maybe"), Event("bob", "someuser/x", "community", "allow", time: "yesterday"),
            Event("bob", "someuser/x", "community", "allow", memberships: """["friend of acme"]"""),
            Event("bob", "\\ud800/x", "community", "allow"), Event(new string('b', 100_000), "someuser/x", "community", "allow"),
            "", Event("bob", "someuser/x", "community", "allow"), Event("bob", "someuser/x", "community", "allow")[..40]);

        var replay = await ReplayAsync();

        Assert.Equal(12, replay.GetProperty("malformed").GetInt64());
        Assert.Equal(1, replay.GetProperty("requests").GetInt64());
        Assert.Equal(["allow deny community bob someuser/x 1"], Changes(replay));
    }

    [Fact]
    public async Task Writes_and_other_events_are_no_pulls()
    {
        Trail(
            Event("bob", "someuser/x", "community", "allow", method: "PUT"), Event("bob", "someuser/x", "community", "allow", method: "POST"),
            Event("bob", "someuser/x", "community", "allow", method: "HEAD"),
            Event("bob", "bitnami/redis", "verified-publisher", "deny", method: "POST", reference: null),
            """{"id":"1","time":"2026-11-01T00:00:00.000Z","event":"policy","policyVersion":"a","previousVersion":"b","opens":["x"]}""");

        var replay = await ReplayAsync();

        Assert.Equal(2, replay.GetProperty("requests").GetInt64());
        Assert.Equal(0, replay.GetProperty("malformed").GetInt64());
    }

    [Fact]
    public async Task The_rotated_predecessor_is_read_and_a_file_that_was_just_rotated_is_read_once()
    {
        Trail(Event("bob", "someuser/x", "community", "allow"));
        File.WriteAllText(_directory["audit.jsonl.1"], Event("bob", "someuser/x", "community", "allow", time: "2026-10-01T00:00:00.000Z") + "\n");
        Assert.Equal(["allow deny community bob someuser/x 2"], Changes(await ReplayAsync()));

        File.Copy(_directory["audit.jsonl"], _directory["audit.jsonl.1"], overwrite: true);
        Assert.Equal(["allow deny community bob someuser/x 1"], Changes(await ReplayAsync()));
    }

    [Fact]
    public async Task All_rotated_files_are_read_with_a_gap_among_them_and_no_others()
    {
        Trail(Event("bob", "someuser/now", "community", "allow"));
        foreach (var suffix in new[] { "1", "2", "5", "17", "2.gz", "03", "x" })
            Write($"audit.jsonl.{suffix}", Event("bob", $"someuser/in-{suffix}", "community", "allow") + "\n");
        Write("audit.jsonl.18", Event("bob", "someuser/in-17", "community", "allow") + "\n"); // just moved there

        Assert.Equal(
            ["in-1", "in-17", "in-2", "in-5", "now"],
            Changes(await ReplayAsync()).Select(change => change.Split(' ')[4]["someuser/".Length..]));
    }

    [Fact]
    public async Task Since_leaves_earlier_events_out()
    {
        var now = TimeProvider.System.GetUtcNow();
        Trail(Event("bob", "someuser/old", "community", "allow", time: Text(now.AddDays(-31))), Event("bob", "someuser/new", "community", "allow", time: Text(now.AddDays(-29))));

        Assert.Equal(["allow deny community bob someuser/new 1"], Changes(await ReplayAsync(Draft, "--since", "30d")));

        static string Text(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task A_predecessor_that_ended_before_is_not_read()
    {
        var now = TimeProvider.System.GetUtcNow();
        var line = Event("bob", "someuser/x", "community", "allow", time: now.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        Trail(line);
        foreach (var (number, days) in new[] { (1, 29), (2, 31) })
            File.SetLastWriteTimeUtc(Write($"audit.jsonl.{number}", line.Replace("\"id\":\"0\"", $"\"id\":\"{number}\"", StringComparison.Ordinal) + "\n"), now.UtcDateTime.AddDays(-days));
        Assert.Equal(["allow deny community bob someuser/x 2"], Changes(await ReplayAsync(Draft, "--since", "30d")));
        Assert.Equal(["allow deny community bob someuser/x 3"], Changes(await ReplayAsync()));
    }

    [Fact]
    public async Task Beyond_so_many_kinds_requests_are_counted_alone()
    {
        Trail(
            Event("bob", "someuser/a", "community", "allow"), Event("bob", "someuser/b", "community", "allow"), Event("bob", "someuser/c", "community", "allow"),
            Event("bob", "someuser/a", "community", "allow"), Event("bob", "someuser/d", "community", "allow"));
        var pulls = await AuditPulls.ReadAsync(_directory["audit.jsonl"], since: null, TextWriter.Null, CancellationToken.None, maximum: 2);
        Assert.Equal([("someuser/a", 2L), ("someuser/b", 1L)], pulls.Requests.Select(pair => (pair.Key.Repository, pair.Value)).Order());
        Assert.Equal(2, pulls.Beyond);
    }

    [Theory]
    [InlineData("30")]
    [InlineData("d")]
    [InlineData("-1d")]
    [InlineData("0d")]
    [InlineData("99999999d")]
    [InlineData("1 week")]
    public async Task A_duration_that_is_none_is_refused(string since)
    {
        Trail(Event("bob", "someuser/x", "community", "allow"));
        var replay = await CommandLine.RunAsync("policy", "replay", Write("draft.json", Draft), "--audit", _directory["audit.jsonl"], $"--since={since}");
        Assert.Equal(2, replay.ExitCode);
        Assert.Contains("is not a duration", replay.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_trail_has_no_pull()
    {
        Trail();
        var replay = await CommandLine.RunAsync("policy", "replay", Write("draft.json", Draft), "--audit", _directory["audit.jsonl"]);
        Assert.Equal(0, replay.ExitCode);
        Assert.Contains("\nno pull\n", replay.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_trail_keeps_each_distinct_pull_once_and_tells_how_far_it_is()
    {
        var line = Encoding.UTF8.GetBytes(Event("bob", "someuser/x", "community", "allow") + "\n");
        await using (var file = File.Create(_directory["audit.jsonl"]))
        {
            for (var written = 0; written < 40 * 1024 * 1024; written += line.Length)
                await file.WriteAsync(line);
        }

        var progress = new StringWriter();
        var pulls = await AuditPulls.ReadAsync(_directory["audit.jsonl"], since: null, progress, CancellationToken.None);

        Assert.Single(pulls.Requests);
        Assert.Equal(new FileInfo(_directory["audit.jsonl"]).Length / line.Length, pulls.Requests.Values.Single());
        Assert.Contains("read 50 % of 40 MiB", progress.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_proxy_itself_wrote_can_be_replayed()
    {
        await using var surroundings = await Surroundings.StartAsync(
            Surroundings.Policy.Replace("\"enabled\": true", "\"enabled\": false", StringComparison.Ordinal));
        foreach (var (user, repository) in new[] { ("bob", "library/nginx"), ("bob", "someuser/custom-image"), ("carol", "library/nginx") })
            Assert.Equal(200, (await surroundings.AskAsync("GET", $"/v2/{repository}/manifests/latest", await surroundings.PullTokenAsync(user, repository))).Status);
        await surroundings.AuditAsync(3);

        var replay = await CommandLine.RunAsync("policy", "replay", Write("draft.json", Draft), "--audit", surroundings.AuditFile, "--json");

        Assert.Equal(["allow deny outsider carol library/nginx 1", "allow unknown unknown bob someuser/custom-image 1"], Changes(replay.Json));
        Assert.Equal(0, replay.Json.GetProperty("malformed").GetInt64());
    }

    [Fact]
    public async Task Two_policies_differ_for_a_trails_pulls()
    {
        Trail(
            Event("bob", "bitnami/redis", "verified-publisher", "allow"), Event("bob", "bitnami/redis", "verified-publisher", "deny"),
            Event("bob", "library/nginx", "official", "allow"));
        var before = Write("before.json", """{ "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "official": true } } ] }""");

        var diff = (await CommandLine.RunAsync("policy", "diff", before, Write("draft.json", Draft), "--audit", _directory["audit.jsonl"], "--json")).Json;

        var change = Assert.Single(diff.GetProperty("changes").EnumerateArray());
        Assert.Equal(
            ("deny", "allow", "bob", "bitnami/redis", 2L),
            (change.GetProperty("from").GetString(), change.GetProperty("to").GetString(), change.GetProperty("caller").GetString(),
                change.GetProperty("image").GetString(), change.GetProperty("requests").GetInt64()));
        Assert.Equal(["outsiders are no longer denied"], diff.GetProperty("takesBack").EnumerateArray().Select(line => line.GetString()));
    }

    [Fact]
    public async Task A_membership_in_what_no_policy_can_name_is_none()
    {
        Trail(Event("erin", "library/nginx", "official", "allow", memberships: """["member of x, y","member of acme"]"""));
        var replay = await ReplayAsync();
        Assert.Empty(Changes(replay));
        Assert.Equal(1, replay.GetProperty("requests").GetInt64());
    }

    /// <summary>Those for some images of a repository leave what they decided: the pulls are not counted by tag and digest.</summary>
    [Fact]
    public async Task The_exceptions_of_the_installation_count()
    {
        Directory.CreateDirectory(_directory["data"]);
        var granted = new Core.Policies.Exceptions([ExceptionProcess.Grant("bitnami/redis") with { Id = 1 }, ExceptionProcess.Grant("someuser/x:1") with { Id = 2 }], 2);
        await File.WriteAllBytesAsync(_directory["data/exceptions.accepted.json"], new ExceptionsCopy(new SequencePoint(2, "2"), granted).ToBytes());
        Write("data/audit.jsonl", string.Concat(new[]
        {
            Event("bob", "bitnami/redis", "verified-publisher", "deny"),
            Event("bob", "someuser/x", "community", "allow", rule: "exception"), Event("bob", "someuser/x", "community", "deny", rule: "exception"),
            Event("bob", "someuser/x", "community", "allow"), Event("bob", "someuser/y", "community", "allow", rule: "exception"),
        }.Select(line => line + "\n")));
        var draft = Write("draft.json", Draft.Replace(", \"verifiedPublisher\": true", "", StringComparison.Ordinal));
        var configuration = Write("imageaccess.json", """{ "Data": { "Directory": "data" } }""");

        var replay = await CommandLine.RunAsync("policy", "replay", draft, "--json", "--config", configuration);
        Assert.Equal(["allow deny community bob someuser/x 1", "allow deny community bob someuser/y 1", "deny allow exception bob bitnami/redis 1"], Changes(replay.Json));
        var another = await CommandLine.RunAsync("policy", "replay", draft, "--json", "--audit", _directory["data/audit.jsonl"]);
        Assert.DoesNotContain("deny allow exception bob bitnami/redis 1", Changes(another.Json));
    }

    [Theory]
    [InlineData("\"alice\"", "")]
    [InlineData("{ \"name\": \"alice\", \"external\": true }", "deny allow owner alice someuser/x 1")]
    public async Task An_owner_whom_the_member_list_did_not_name_is_judged_as_one(string owner, string changes)
    {
        Trail(
            Event("alice", "someuser/x", "community", "deny", memberships: """["absent from acme"]"""),
            Event("alice", "someuser/x", "community", "allow"));
        var draft = Draft.Replace("\"members\"", $"\"owners\": [ {owner} ], \"members\"", StringComparison.Ordinal);
        Assert.Equal(changes, string.Join("; ", Changes(await ReplayAsync(draft))));
    }

    [Fact]
    public void A_pull_names_its_caller_as_the_policy_knows_one()
    {
        Assert.True(new Pull("anonymous", "", "library/nginx", "allow").ToCaller().IsAnonymous);
        var caller = new Pull("carol", "member of acme, owner of beta, absent from gamma", "library/nginx", "allow").ToCaller();
        Assert.Equal("carol", caller.Name);
        Assert.Equal(
            [new Membership("acme", OrganizationRole.Member), new Membership("beta", OrganizationRole.Owner), new Membership("gamma", OrganizationRole.None)],
            caller.Memberships);
    }

    public void Dispose() => _directory.Dispose();

    private static string Event(
        string caller, string repository, string category, string outcome, string? memberships = null, string time = "2026-11-01T00:00:00.000Z",
        string method = "GET", string? reference = "latest", string rule = "community") =>
        $$"""{"id":"0","time":"{{time}}","caller":"{{caller}}","organizations":["acme"],{{(memberships is null ? "" : $"\"memberships\":{memberships},")}}"client":null,"userAgent":null,"method":"{{method}}","repository":"{{repository}}","reference":{{(reference is null ? "null" : $"\"{reference}\"")}},"category":"{{category}}","categorySource":null,"categoryAgeSeconds":null,"rule":"{{rule}}","outcome":"{{outcome}}","policyVersion":"0","upstreamStatus":200,"durationMs":1}""";

    private static IEnumerable<string> Changes(JsonElement replay) => replay.GetProperty("changes").EnumerateArray()
        .Select(change => string.Join(' ', new[] { "from", "to", "rule", "caller", "repository", "requests" }.Select(name => change.GetProperty(name).ToString())))
        .Order(StringComparer.Ordinal);

    private void Trail(params string[] lines) => Write("audit.jsonl", string.Concat(lines.Select(line => line + "\n")));

    private async Task<JsonElement> ReplayAsync(string draft = Draft, params string[] options) => (await CommandLine.RunAsync(
        ["policy", "replay", Write("draft.json", draft), "--audit", _directory["audit.jsonl"], "--json", .. options])).Json;

    private string Write(string name, string text)
    {
        File.WriteAllText(_directory[name], text);
        return _directory[name];
    }
}
