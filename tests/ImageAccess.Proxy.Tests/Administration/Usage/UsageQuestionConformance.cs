using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>Questions by the API, on both databases: each answer is that of a plain reading of the trail's lines, and each token is told its own part.</summary>
public abstract class UsageQuestionConformance : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());

    private static readonly string[] Digests = [.. "abc".Select(digit => $"sha256:{new string(digit, 64)}")];

    private static readonly Dictionary<string, string> Families = new() { ["docker/29.0"] = "docker", ["containerd/2.1"] = "containerd", ["curl/8"] = "other" };

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.StartAsync(await SettingsAsync());
        await Eventually.TrueAsync(() => _room.Service<SessionTokens>().AreReady);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    internal abstract Task<(string Key, string Value)[]> SettingsAsync();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Each_answer_is_that_of_a_plain_reading_of_the_trail(int seed)
    {
        var random = new Random(seed);
        T Of<T>(params T[] values) => values[random.Next(values.Length)];
        var lines = Enumerable.Range(1, 1500).Select(number => UsageRoom.Line(
            UsageRoom.Id(number),
            Now.AddMilliseconds(-random.NextInt64(40L * 86_400_000)),
            Of("alice", "bob", "hank", "o'hara", "100%", "_ob", "名前", "=1+1"),
            Of("library/nginx", "library/redis", "someone/tool", "bitnami/kafka"),
            Of("allow", "deny", "observe"),
            Of<string[]>([], ["acme"], ["globex"], ["globex", "acme"], ["acme2"]),
            Of("official", "community", "unknown"),
            Of("official", "community", "allowlist"),
            random.Next(2) == 0 ? UsageRoom.Id(1) : null,
            random.Next(9) == 0 ? random.Next(1, 50) : null,
            Of("latest", "1.27", Digests[0]),
            Of(null, null, Digests[0], Digests[1]),
            Of(null, null, Digests[2]),
            Of("mirror", "gateway", "forward-proxy"),
            Of([.. Families.Keys]))).ToList();
        await ImportAsync(lines);
        var plain = lines.ConvertAll(Plain.Of);

        (string Token, Func<Plain, bool> Sees)[] viewers =
        [
            (await _room.TokenAsync("company-owner", null), _ => true),
            (await _room.TokenAsync("auditor"), one => one.Organizations.Contains("acme")),
            (await _room.TokenAsync("administrator", "globex"), one => one.Organizations.Contains("globex")),
            (await _room.TokenAsync("member", person: "bob"), one => one.Organizations.Contains("acme") && one["caller"] == "bob"),
            (await _room.TokenAsync("approver"), _ => false), // it is nobody's
        ];
        var isEmpty = 0;
        for (var number = 0; number < 60; number++)
        {
            var (viewer, asked) = (viewers[number % viewers.Length], new Dictionary<string, string>());
            foreach (var (name, values) in new Dictionary<string, string[]>
            {
                ["caller"] = ["bob", "o'hara", "100%", "%", "_ob", "名前", "' OR 1=1 --"],
                ["repository"] = ["library/nginx", "someone/tool"],
                ["type"] = ["official", "community"],
                ["rule"] = ["allowlist", "official"],
                ["outcome"] = ["allow", "deny", "observe"],
                ["wayIn"] = ["mirror", "gateway"],
                ["clientFamily"] = ["docker", "other"],
                ["reference"] = ["latest", Digests[0]],
                ["digest"] = Digests,
            })
            {
                if (random.Next(7) == 0)
                    asked[name] = Of(values);
            }

            var (from, to) = (Now.AddMilliseconds(-random.NextInt64(30L * 86_400_000)), Now.AddMilliseconds(-random.NextInt64(5L * 86_400_000)));
            if (random.Next(2) == 0)
                (from, to) = (Midnight(from), Midnight(to));
            if (from >= to)
                continue;
            (asked["from"], asked["to"]) = (Text(from), Text(to));
            var found = plain.FindAll(one => viewer.Sees(one) && from <= one.Time && one.Time < to && asked.All(word => one.Fits(word.Key, word.Value)));
            isEmpty += found.Count == 0 ? 1 : 0;

            var by = Of("repository", "digest", "caller", "type", "rule", "client", "day", "outcome");
            var expected = found.Where(one => one[by].Length > 0).GroupBy(one => one[by]).Select(group => (group.Key, group.Sum(one => one.Decisions), group.Sum(one => one.Pulls))).ToList();
            var answer = await JsonAsync($"/api/v1/usage?by={by}&limit=1000&{Query(asked)}", viewer.Token);
            var counted = answer.GetProperty("items").EnumerateArray().Select(one => (one.GetProperty("value").GetString()!, one.GetProperty("decisions").GetInt64(), one.GetProperty("pulls").GetInt64())).ToList();
            Assert.Equal(expected.OrderBy(one => one.Key, StringComparer.Ordinal), counted.OrderBy(one => one.Item1, StringComparer.Ordinal));
            Assert.Equal((expected.Sum(one => one.Item2), expected.Sum(one => one.Item3)), (answer.GetProperty("decisions").GetInt64(), answer.GetProperty("pulls").GetInt64()));

            var listed = await ListAsync(viewer.Token, $"limit={random.Next(20, 201)}&{Query(asked)}");
            Assert.Equal(found.OrderByDescending(one => one.Time).ThenByDescending(one => one["id"], StringComparer.Ordinal).Select(one => one["id"]), listed);
        }

        Assert.InRange(isEmpty, 0, 55);
    }

    [Fact]
    public async Task Parts_of_a_list_follow_each_other_while_decisions_come_in()
    {
        var before = Enumerable.Range(1000, 90).Select(number => UsageRoom.Line(UsageRoom.Id(number), Now.AddMinutes(-5), caller: "bob")).ToList(); // all at one moment
        await ImportAsync(before);
        var (token, number) = (await _room.TokenAsync("auditor"), 0);
        var listed = await ListAsync(token, "limit=7", async () => await ImportAsync([UsageRoom.Line(UsageRoom.Id(5000 + number++), Now.AddMinutes(-1)), UsageRoom.Line(UsageRoom.Id(6000 + number), Now)]));
        Assert.Equal(Enumerable.Range(1000, 90).Select(UsageRoom.Id).Reverse(), listed);
    }

    [Fact]
    public async Task A_cursor_is_of_its_question_and_nobody_can_make_one()
    {
        await ImportAsync(Enumerable.Range(1, 9).Select(number => UsageRoom.Line(UsageRoom.Id(number), Now)));
        var token = await _room.TokenAsync("auditor");
        var cursor = (await JsonAsync("/api/v1/decisions?limit=2&outcome=allow", token)).GetProperty("next").GetString()!;
        Assert.Equal(200, (await _room.SendAsync("GET", $"/api/v1/decisions?outcome=allow&cursor={cursor}", token)).Status);
        var denials = (await _room.SendAsync("GET", $"/api/v1/decisions?outcome=allow&cursor={cursor}", token)).Json;
        Assert.Equal(7, denials.GetProperty("items").GetArrayLength());
        foreach (var (question, wrong) in new[]
                 {
                     ("", cursor), ("outcome=deny", cursor), ("outcome=allow&caller=bob", cursor), ("outcome=allow&from=2026-01-01T00:00:00Z", cursor), ("outcome=allow", cursor[..^1]),
                     ("outcome=allow", cursor[..40] + (cursor[40] == 'A' ? 'B' : 'A') + cursor[41..]), ("outcome=allow", "AAAA"), ("outcome=allow", "!"), ("outcome=allow", ""),
                     ("outcome=allow", new string('A', 5000)), ("outcome=allow", "eyJUaW1lIjoxfQ"),
                 })
        {
            var answer = await _room.SendAsync("GET", $"/api/v1/decisions?{question}&cursor={wrong}", token);
            Assert.Equal((400, "application/problem+json", "cursor is none that this question was given"), (answer.Status, answer.MediaType, answer.Detail));
        }
    }

    [Theory]
    [InlineData("usage?by=owner", "by is 'owner': choose repository, digest, caller, type, rule, client, day, outcome")]
    [InlineData("usage?by=0", "by is '0': choose repository, digest, caller, type, rule, client, day, outcome")]
    [InlineData("usage?by=Caller", "by is 'Caller': choose repository, digest, caller, type, rule, client, day, outcome")]
    [InlineData("usage?by=caller&by=day", "the parameter by comes twice")]
    [InlineData("usage?limit=0", "limit must be 1 to 1000")]
    [InlineData("usage?limit=1001", "limit must be 1 to 1000")]
    [InlineData("usage?since=30", "since is '30': choose a time as 12h or 30d")]
    [InlineData("usage?since=-1d", "since is '-1d': choose a time as 12h or 30d")]
    [InlineData("usage?since=36500d", "since must be at most 3660d")]
    [InlineData("usage?since=30d&from=2026-01-01T00:00:00Z", "since does not go with from or to")]
    [InlineData("usage?denied=perhaps", "denied is 'perhaps': write true or false")]
    [InlineData("usage?denied&outcome=allow", "denied does not go with outcome")]
    [InlineData("usage?to=2026-01-01", "to '2026-01-01' is no time, as 2027-01-31T12:00:00Z")]
    [InlineData("usage/new?since=12h", "since is '12h': choose days, as 30d")]
    [InlineData("usage/moved?since=36500d", "since must be at most 3660d")]
    [InlineData("usage/community?limit=0", "limit must be 1 to 1000")]
    [InlineData("usage/community?limit=1001", "limit must be 1 to 1000")]
    [InlineData("usage/denied-again?denials=0", "denials must be 1 to 1000000")]
    [InlineData("usage/denied-again?days=3661", "days must be 1 to 3660")]
    [InlineData("usage/denied-again?caller=bob", "unknown parameter caller; known are: organization, since, denials, days, limit")]
    [InlineData("organizations/acme/policy/switch?type=organization&allowed=true", "type is 'organization': choose official, verified-publisher, community")]
    [InlineData("organizations/acme/policy/switch?allowed=true", "type is '': choose official, verified-publisher, community")]
    [InlineData("organizations/acme/policy/switch?type=official&allowed=yes", "allowed is 'yes': write true or false")]
    [InlineData("organizations/acme/policy/switch?type=official&allowed=true&days=91", "days must be 1 to 90")]
    [InlineData("decisions?limit=201", "limit must be 1 to 200")]
    [InlineData("decisions?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to must be after from")]
    [InlineData("decisions?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to must be after from")]
    [InlineData("decisions?from=1926-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from must be at most 3660 days before to")]
    [InlineData("decisions?from=0001-01-01T00:00:00Z", "from must be at most 3660 days before to")]
    [InlineData("decisions?from=9999-12-31T23:59:59Z", "from is a time that has not come")]
    [InlineData("decisions?from=yesterday", "from 'yesterday' is no time, as 2027-01-31T12:00:00Z")]
    [InlineData("decisions?from=2026-02-30T00:00:00Z", "from '2026-02-30T00:00:00Z' is no time, as 2027-01-31T12:00:00Z")]
    [InlineData("decisions?repository=%25", "repository is '%': name one in full, as library/nginx")]
    [InlineData("decisions?repository=library/nginx'%20OR%201=1", "repository is 'library/nginx' OR 1=1': name one in full, as library/nginx")]
    [InlineData("decisions?digest=sha256:abc", "digest is 'sha256:abc': name one in full, as sha256: and 64 hexadecimal digits")]
    [InlineData("decisions?caller=", "caller must have 1 to 200 characters")]
    [InlineData("decisions?caller=a%00b", "caller has characters that cannot be seen, as line ends or marks of direction")]
    [InlineData("decisions?type=kind", "type is 'kind': choose unknown, official, verified-publisher, organization, community")]
    [InlineData("decisions?outcome=perhaps&wayIn=door", "outcome is 'perhaps': choose allow, observe, deny, wayIn is 'door': choose mirror, gateway, forward-proxy")]
    [InlineData("decisions?clientFamily=x", "clientFamily is 'x': choose docker, other, containerd, containers, go-containerregistry")]
    public async Task A_question_that_cannot_be_answered_is_a_problem(string target, string detail)
    {
        var answer = await _room.SendAsync("GET", $"/api/v1/{target}", await _room.TokenAsync("auditor"));
        Assert.Equal((400, "application/problem+json", detail), (answer.Status, answer.MediaType, answer.Detail));
    }

    [Fact]
    public async Task Another_organizations_pulls_are_not_there_and_nobody_learns_whose_they_are_too()
    {
        await ImportAsync([UsageRoom.Line("a1", Now, caller: "dora", organizations: ["acme", "globex"]), UsageRoom.Line("a2", Now, caller: "hank", organizations: ["globex"])]);
        var token = await _room.TokenAsync("auditor");
        var one = Assert.Single((await JsonAsync("/api/v1/decisions", token)).GetProperty("items").EnumerateArray());
        Assert.Equal(("a1", "dora", "192.0.2.7", """["acme"]"""), (one.GetProperty("id").GetString(), one.GetProperty("caller").GetString(), one.GetProperty("client").GetString(), one.GetProperty("organizations").GetRawText()));
        foreach (var operation in new[] { "decisions", "usage" })
        {
            var theirs = await _room.SendAsync("GET", $"/api/v1/{operation}?organization=globex", token);
            var nobodys = await _room.SendAsync("GET", $"/api/v1/{operation}?organization=nobody", token);
            Assert.Equal((404, "there is no organization globex"), (theirs.Status, theirs.Detail));
            Assert.Equal(nobodys.Text, theirs.Text.Replace("globex", "nobody", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Who_looks_at_named_pulls_of_others_is_recorded_once_for_each_question()
    {
        await ImportAsync([UsageRoom.Line("a1", Now, caller: "bob"), UsageRoom.Line("a2", Now, caller: "dora")]);
        var (auditor, member, owner) = (await _room.TokenAsync("auditor", person: "alice"), await _room.TokenAsync("member", person: "bob"), await _room.TokenAsync("owner"));
        for (var i = 0; i < 3; i++)
        {
            await JsonAsync("/api/v1/decisions?limit=1", auditor);
            await JsonAsync($"/api/v1/decisions?caller=dora&from={Text(Now.AddDays(-2 - i))}", auditor); // the time is no other question
            await JsonAsync("/api/v1/usage?by=caller", auditor);
            await JsonAsync("/api/v1/usage?by=repository", auditor); // names nobody
            await JsonAsync("/api/v1/decisions?caller=alice", auditor); // their own
            await JsonAsync("/api/v1/decisions", member);
            await JsonAsync("/api/v1/usage?by=caller", member);
        }

        string[] expected = ["decisions: all", "decisions: caller dora", "usage: all"];
        List<JsonElement> trail = [];
        await Eventually.TrueAsync(async () => (trail = (await _room.Here.AuditAsync(1))
            .Where(line => line.TryGetProperty("event", out var kind) && kind.GetString() == "decisions-read").ToList()).Count >= 3);
        Assert.Equal(expected, trail.Select(line => $"{line.GetProperty("operation").GetString()}: {line.GetProperty("question").GetString()}").Order(StringComparer.Ordinal));
        Assert.All(trail, line => Assert.Equal("acme", line.GetProperty("organization").GetString()));
        var logs = (await JsonAsync("/v2/auditlogs/acme?action=decisions.read", owner)).GetProperty("logs").EnumerateArray().ToList();
        Assert.Equal(expected, logs.Select(log => $"{log.GetProperty("name").GetString()}: {log.GetProperty("data").GetProperty("question").GetString()}").Order(StringComparer.Ordinal));

        for (var i = 0; i < LookRecorder.MaximumQuestions + 10; i++)
            await JsonAsync($"/api/v1/decisions?caller=c{i}", auditor);
        Assert.InRange((await JsonAsync("/v2/auditlogs/acme?action=decisions.read&page_size=100", owner)).GetProperty("logs").GetArrayLength(), 3, LookRecorder.MaximumQuestions + 1);
        await Eventually.TrueAsync(async () => (await _room.Here.AuditAsync(1)).Any(line => line.TryGetProperty("question", out var question) && question.GetString() == "many questions"));
    }

    [Fact]
    public async Task Findings_of_a_review_are_told_to_each_as_far_as_they_are_theirs_and_looking_at_people_is_recorded()
    {
        await ImportAsync(Enumerable.Range(1, 12).Select(number => UsageRoom.Line(
            $"r{number}", Now.AddDays(-number % 3), caller: number % 2 == 0 ? "bob" : "dora", repository: number > 8 ? "someone/new" : "someone/tool", outcome: number % 4 == 3 ? "allow" : "deny", type: "community", rule: "community",
            organizations: ["acme"], digest: number % 4 == 3 ? Digests[number % 3] : null)).Append(UsageRoom.Line("r99", Now.AddDays(-1), caller: "hank", organizations: ["globex"], outcome: "deny")));
        var (auditor, member, globex) = (await _room.TokenAsync("auditor", person: "alice"), await _room.TokenAsync("member", person: "bob"), await _room.TokenAsync("auditor", "globex"));
        Assert.Equal(["bob someone/tool 4 3", "dora someone/tool 2 2"], await AgainAsync(auditor));
        Assert.Equal(["bob someone/tool 4 3"], await AgainAsync(member));
        Assert.Equal([], await AgainAsync(globex));
        var community = await JsonAsync("/api/v1/usage/community", auditor);
        Assert.Equal(["someone/tool 1 2", "someone/new 1 1"], community.GetProperty("items").EnumerateArray().Select(one => $"{one.GetProperty("repository")} {one.GetProperty("people")} {one.GetProperty("decisions")}"));
        Assert.Equal(1, (await JsonAsync("/api/v1/usage/community?limit=1", auditor)).GetProperty("items").GetArrayLength());
        Assert.Equal(2, (await JsonAsync("/api/v1/usage/new", auditor)).GetProperty("found").GetInt32());
        await JsonAsync("/api/v1/usage/moved", auditor);
        await JsonAsync("/api/v1/usage/anonymous", auditor);
        Assert.Equal(404, (await _room.SendAsync("GET", "/api/v1/usage/new?organization=globex", auditor)).Status);

        string[] expected = ["usage anonymous", "usage denied-again"];
        await Eventually.TrueAsync(() => _room.Here.AuditAsync(1).GetAwaiter().GetResult()
            .Where(line => line.TryGetProperty("event", out var kind) && kind.GetString() == "decisions-read" && line.GetProperty("organization").GetString() == "acme")
            .Select(line => line.GetProperty("operation").GetString()!).Order(StringComparer.Ordinal).SequenceEqual(expected));

        async Task<IEnumerable<string>> AgainAsync(string token) => (await JsonAsync("/api/v1/usage/denied-again?denials=2&days=2&organization=" + (token == globex ? "globex" : "acme"), token))
            .GetProperty("items").EnumerateArray().Select(one => $"{one.GetProperty("caller")} {one.GetProperty("repository")} {one.GetProperty("denials")} {one.GetProperty("days")}").Where(one => !one.EndsWith(" 1", StringComparison.Ordinal) && one.Contains("tool", StringComparison.Ordinal));
    }

    /// <summary>The database is read where it has taken the trail in, and the answer says so.</summary>
    [Fact]
    public async Task A_switch_of_an_image_type_is_judged_by_the_database()
    {
        await ImportAsync(
        [
            UsageRoom.Line("s1", Now.AddDays(-2), caller: "bob", repository: "library/nginx"), UsageRoom.Line("s2", Now.AddDays(-3), caller: "bob", repository: "library/nginx"),
            UsageRoom.Line("s3", Now.AddDays(-3), caller: "eve", repository: "library/redis", memberships: ["member of acme"]), UsageRoom.Line("s4", Now.AddDays(-4), caller: "bob", repository: "someone/tool", outcome: "deny", type: "community", rule: "community"),
            UsageRoom.Line("s5", Now.AddDays(-4), caller: "hank", repository: "library/nginx", organizations: ["globex"]),
        ]);
        var token = await _room.TokenAsync("auditor");
        JsonElement closed = default;
        await Eventually.TrueAsync(() => (closed = JsonAsync("/api/v1/organizations/acme/policy/switch?type=official&allowed=false", token).GetAwaiter().GetResult()).GetProperty("source").GetString() == "database");
        Assert.Equal((false, 4), (closed.GetProperty("same").GetBoolean(), closed.GetProperty("pulls").GetInt64()));
        Assert.Equal("""{"repositories":2,"people":2,"pulls":3,"items":[{"repository":"library/nginx","people":1,"pulls":2},{"repository":"library/redis","people":1,"pulls":1}]}""", closed.GetProperty("newlyDenied").GetRawText());
        Assert.Equal("""{"repositories":0,"people":0,"pulls":0,"items":[]}""", closed.GetProperty("newlyAllowed").GetRawText());
        var opened = await JsonAsync("/api/v1/organizations/acme/policy/switch?type=community&allowed=true", token);
        Assert.Equal("""{"repositories":1,"people":1,"pulls":1,"items":[{"repository":"someone/tool","people":1,"pulls":1}]}""", opened.GetProperty("newlyAllowed").GetRawText());
        Assert.True((await JsonAsync("/api/v1/organizations/acme/policy/switch?type=community&allowed=false", token)).GetProperty("same").GetBoolean());
    }

    [Fact]
    public async Task Chosen_repositories_come_into_the_allowlist_with_a_reason_and_wait_where_two_must_approve()
    {
        const string Allow = "/api/v1/organizations/acme/policy/allowlist";
        await _room.ImportAsync(ApiRoom.Policy);
        var alice = await _room.TokenAsync("owner", person: "alice");
        foreach (var (body, detail) in new[]
                 {
                     ("""{ "repositories": [ "bitnami/redis", "%" ], "reason": "because" }""", "repositories has '%': name each in full, as bitnami/redis"),
                     ("""{ "repositories": [ ], "reason": "because" }""", "repositories must have 1 to 200 names"),
                     ($$"""{ "repositories": [ {{string.Join(", ", Enumerable.Range(0, 201).Select(number => $"\"a/b{number}\""))}} ], "reason": "because" }""", "repositories must have 1 to 200 names"),
                     ("""{ "repositories": [ "bitnami/redis" ], "reason": "" }""", "reason must have 1 to 1000 characters"),
                 })
        {
            var refused = await _room.SendAsync("POST", Allow, alice, body);
            Assert.Equal((400, detail), (refused.Status, refused.Detail));
        }

        var done = await _room.SendAsync("POST", Allow, alice, """{ "repositories": [ "bitnami/redis", "someone/tool", "bitnami/redis" ], "reason": "used by many" }""");
        Assert.True(done.Status == 200, done.Text);
        Assert.Equal(
            ["organization acme: bitnami/redis approved", "organization acme: someone/tool approved"], done.Json.GetProperty("done").GetProperty("opens").EnumerateArray().Select(one => one.GetString()!.Split(',')[0]));
        Assert.True((await _room.SendAsync("POST", Allow, alice, """{ "repositories": [ "someone/tool" ], "reason": "again" }""")).Json.TryGetProperty("unchanged", out _));
        Assert.Equal(404, (await _room.SendAsync("POST", "/api/v1/organizations/globex/policy/allowlist", alice, """{ "repositories": [ "a/b" ], "reason": "because" }""")).Status);

        var (carol, whole) = (await _room.TokenAsync("company-owner", null, "carol"), await _room.SendAsync("GET", "/api/v1/policy", await _room.TokenAsync("company-owner", null, "carol")));
        var two = whole.Text.Replace("\"companyOwners\": [", "\"changes\": { \"approvals\": 2 }, \"companyOwners\": [ \"cyd\",", StringComparison.Ordinal)
            .Replace("\"alice\"", "\"alice\", \"ann\"", StringComparison.Ordinal).Replace("\"gail\"", "\"gail\", \"gil\"", StringComparison.Ordinal);
        var applied = await _room.SendAsync("PUT", "/api/v1/policy?reason=because", carol, two, whole.Tag);
        Assert.True(applied.Status == 200, applied.Text);
        var waiting = await _room.SendAsync("POST", Allow, alice, """{ "repositories": [ "a/b" ], "reason": "because" }""");
        Assert.True(waiting.Status == 202, waiting.Text);
    }

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static DateTimeOffset Midnight(DateTimeOffset time) => new(time.UtcDateTime.Date, TimeSpan.Zero);

    private static string Query(Dictionary<string, string> words) => string.Join('&', words.Select(word => $"{word.Key}={Uri.EscapeDataString(word.Value)}"));

    private async Task<JsonElement> JsonAsync(string target, string token)
    {
        var answer = await _room.SendAsync("GET", target, token);
        Assert.True(answer.Status == 200, $"{target}: {answer.Status} {answer.Text}");
        return answer.Json;
    }

    private async Task<List<string>> ListAsync(string token, string query, Func<Task>? between = null)
    {
        var ids = new List<string>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = await JsonAsync($"/api/v1/decisions?{query}{(cursor.Length == 0 ? "" : "&cursor=" + cursor)}", token);
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(one => one.GetProperty("id").GetString()!));
            cursor = page.TryGetProperty("next", out var next) ? next.GetString() : null;
            if (between is not null)
                await between();
        }

        return ids;
    }

    private async Task ImportAsync(IEnumerable<string> lines)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllLinesAsync(directory["trail.jsonl"], lines);
        var imported = await UsageImport.ReadAsync(
            directory["trail.jsonl"], _room.Service<UsageStore>(), () => UsageDays.At(TimeProvider.System.GetUtcNow(), new UsageOptions()), (_, _, _) => { }, default);
        Assert.Equal(imported.Lines, imported.Added);
    }

    /// <summary>A line as somebody with nothing but a reader of JSON understands it.</summary>
    private sealed record Plain(Dictionary<string, string> Words, string[] Organizations, DateTimeOffset Time, long Decisions, long Pulls)
    {
        public string this[string word] => Words.GetValueOrDefault(word) ?? "";

        public static Plain Of(string line)
        {
            var json = JsonSerializer.Deserialize<JsonElement>(line);
            string? Text(string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
            var (time, reference, count) = (json.GetProperty("time").GetDateTimeOffset(), Text("reference")!, json.TryGetProperty("count", out var merged) ? merged.GetInt64() : (long?)null);
            var words = new[] { "id", "caller", "repository", "rule", "outcome", "wayIn", "reference" }.ToDictionary(name => name, name => Text(name)!);
            words["type"] = Text("category")!;
            words["client"] = words["clientFamily"] = Families[Text("userAgent")!];
            words["day"] = time.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
            words["digest"] = Text("digest") ?? (reference.StartsWith("sha256:", StringComparison.Ordinal) ? reference : "");
            words["index"] = Text("index") ?? "";
            return new Plain(
                words, [.. json.GetProperty("organizations").EnumerateArray().Select(name => name.GetString()!)], time, count ?? 1,
                count ?? (Text("pull") is { } pull && pull != Text("id") ? 0 : 1));
        }

        public bool Fits(string word, string value) => word is "from" or "to" || this[word] == value || (word == "digest" && this["index"] == value);
    }
}

public sealed class SqliteUsageQuestionTests : UsageQuestionConformance
{
    internal override Task<(string Key, string Value)[]> SettingsAsync() => Task.FromResult<(string, string)[]>([]);
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresUsageQuestionTests(PostgresServer server) : UsageQuestionConformance
{
    internal override async Task<(string Key, string Value)[]> SettingsAsync() => [("Database:ConnectionString", await server.CreateDatabaseAsync())];
}
