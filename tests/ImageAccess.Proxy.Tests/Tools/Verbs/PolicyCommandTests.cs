namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess policy validate</c>, <c>test</c> and <c>diff</c>.</summary>
public sealed class PolicyCommandTests : IDisposable
{
    private const string Strict = """
        { "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true } } ] }
        """;

    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task Every_problem_is_named_with_its_place()
    {
        var file = Write("policy.json", """{ "organizations": [ { "name": "ACME", "enabled": "yes", "colour": 1 }, { "mode": "watch" } ] }""");

        var validate = await CommandLine.RunAsync("policy", "validate", file);

        Assert.Equal(1, validate.ExitCode);
        var lines = validate.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines[..^1], line => Assert.StartsWith($"{file}: organizations[", line, StringComparison.Ordinal));
        Assert.All(
            ["organizations[0].name", "organizations[0].enabled", "organizations[0].colour", "organizations[1].mode", "organizations[1]: an organization needs a name"],
            place => Assert.Contains(place, validate.Output, StringComparison.Ordinal));
        Assert.Equal($"{lines.Length - 1} problems", lines[^1]);

        var json = (await CommandLine.RunAsync("policy", "validate", file, "--json")).Json;
        Assert.False(json.GetProperty("valid").GetBoolean());
        Assert.Equal(lines.Length - 1, json.GetProperty("problems").GetArrayLength());
    }

    [Fact]
    public async Task What_a_document_holds_reaches_no_terminal_as_a_command()
    {
        var file = Write("policy.json", """{ "\u001b[31m\nred": 1 }""");
        var validate = await CommandLine.RunAsync("policy", "validate", file);
        Assert.Contains("?[31m?red: unknown member", validate.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_valid_one_is_told_in_words()
    {
        var file = Write("policy.json", """
            { "callers": { "anonymous": "deny", "organizationTokens": "member" },
              "organizations": [
                { "name": "acme", "enabled": true, "mode": "observe", "observeUntil": "2020-01-01", "allow": { "official": true, "community": true },
                  "allowlist": [ { "repository": "a/b", "expires": "2020-01-01" } ] },
                { "name": "beta" } ] }
            """);

        var validate = await CommandLine.RunAsync("policy", "validate", file);

        Assert.Equal(0, validate.ExitCode);
        Assert.All(
            [
                "image access is on", "anonymous callers    denied", "outsiders            judged as members", "organization tokens  judged as members", "owners               exempt",
                "acme enforces", "allows             its own, official, community images", "denies             verified publisher images",
                "a/b through 2020-01-01", "beta is off", "note: acme: observing ended on 2020-01-01; it enforces",
                "note: acme: the allowlist entry a/b ended on 2020-01-01",
            ],
            words => Assert.Contains(words, validate.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Owners_whom_the_member_lists_do_not_name_are_noted()
    {
        var policy = Write("policy.json", """
            { "organizations": [ { "name": "acme", "owners": [ "alice", "carol", { "name": "dora", "external": true } ], "enabled": true },
                                 { "name": "beta", "owners": [ "erin" ], "enabled": true } ] }
            """);
        var members = Write("members.json", """
            { "lists": [ { "organization": "acme", "readAt": "2026-11-22T10:00:00+00:00", "members": [ { "id": "0ab7", "username": "alice", "role": "member" } ] } ],
              "former": [], "takeovers": [] }
            """);
        const string Note = "acme: owners whom the member list of 2026-11-22 does not name count as members: carol";

        var validate = await CommandLine.RunAsync("policy", "validate", policy, "--members", members);

        Assert.Equal(0, validate.ExitCode);
        Assert.EndsWith($"\nnote: {Note}\n", validate.Output, StringComparison.Ordinal);
        Assert.Contains("  external           dora: owners also where the member list does not name them\n", validate.Output, StringComparison.Ordinal);
        var notes = (await CommandLine.RunAsync("policy", "validate", policy, "--members", members, "--json")).Json.GetProperty("notes");
        Assert.Equal([Note], notes.EnumerateArray().Select(note => note.GetString()));
        Assert.DoesNotContain("note:", (await CommandLine.RunAsync("policy", "validate", policy)).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "cannot be used: it is not what was written")]
    [InlineData("""{ "lists": null, "former": [], "takeovers": [] }""", "cannot be used: it is not what was written")]
    [InlineData(null, "does not exist")]
    public async Task Member_lists_that_cannot_be_read_are_wrong_usage(string? content, string why)
    {
        var members = content is null ? _directory["members.json"] : Write("members.json", content);
        var validate = await CommandLine.RunAsync("policy", "validate", Write("policy.json", Strict), "--members", members);
        Assert.Equal((2, $"imageaccess: {members} {why}\n", ""), (validate.ExitCode, validate.Error, validate.Output));
    }

    [Theory]
    [InlineData("policy", "validate", "missing.json")]
    [InlineData("policy", "test", "missing.json", "cases")]
    [InlineData("policy", "test", "policy.json", "missing")]
    [InlineData("policy", "diff", "policy.json", "missing.json")]
    [InlineData("policy", "diff", "policy.json", "policy.json", "--images", "missing")]
    [InlineData("policy", "diff", "policy.json", "policy.json", "--audit", "missing")]
    [InlineData("policy", "replay", "policy.json", "--audit", "missing")]
    public async Task What_cannot_be_read_is_wrong_usage_and_named(params string[] arguments)
    {
        Write("policy.json", Strict);
        Write("cases", "caller | image | answer\nbob | nginx | allow official\n");
        var run = await CommandLine.RunAsync([.. arguments.Select((argument, index) =>
            index > 1 && !argument.StartsWith('-') ? _directory[argument] : argument)]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("missing", run.Error, StringComparison.Ordinal);
        Assert.Contains("does not exist", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData("bob | nginx | | | allow official", null)]
    [InlineData("bob | x/y | no badge | | deny community", null)]
    [InlineData("bob | x/y | no badge | | deny community \"image access denied: community images not allowed\" as community", null)]
    [InlineData("bob | x/y | verified publisher | | deny verified-publisher as verified-publisher", null)]
    [InlineData("bob | x/y | open source | | deny community", null)]
    [InlineData("bob | x/y | | | deny unknown", null)]
    [InlineData("carol (owner of acme) | x/y | | | allow owner", null)]
    [InlineData("alice (absent from acme) | x/y | no badge | | deny community", null)]
    [InlineData("alice (absent from acme) | x/y | no badge | | allow owner", "deny community \"image access denied: community images not allowed\"")]
    [InlineData("carol (absent from other, owner of acme) | x/y | | | allow owner", null)]
    [InlineData("carol (member of other, member of acme) | acme/app | | | allow organization", null)]
    [InlineData("anonymous | ghcr.io/x/y | | | outside", null)]
    [InlineData("bob | t/r | no badge | 2027-06-30 | allow allowlist", null)]
    [InlineData("bob | t/r | no badge | 2027-07-01 | deny community", null)]
    [InlineData("bob | nginx | | | deny official", "allow official")]
    [InlineData("bob | x/y | no badge | | allow community", "deny community \"image access denied: community images not allowed\"")]
    [InlineData("bob | x/y | no badge | | deny community \"another text\"", "deny community \"image access denied: community images not allowed\"")]
    [InlineData("bob | x/y | no badge | | deny community as official", "deny community as community")]
    [InlineData("bob | x/y | no badge | | deny community help \"ask\"", "deny community help \"\"")]
    [InlineData("bob | ghcr.io/x/y | | | allow official", "outside")]
    [InlineData("alice | x/y | | | allow official", "allow owner")]
    public async Task A_case_is_asked_and_a_mismatch_shown(string row, string? actual)
    {
        var policy = Write("policy.json", Strict.Replace(
            "\"enabled\"", "\"allowlist\": [ { \"repository\": \"t/r\", \"expires\": \"2027-06-30\" } ], \"enabled\"", StringComparison.Ordinal));
        var cases = Write("cases.txt", $"# remark\n\ncaller | image | publisher | today | answer\n{row}\n");

        var test = await CommandLine.RunAsync("policy", "test", policy, cases);

        Assert.Equal(actual is null ? 0 : 1, test.ExitCode);
        Assert.EndsWith(actual is null ? "1 case, 1 as expected, 0 not\n" : "1 case, 0 as expected, 1 not\n", test.Output, StringComparison.Ordinal);
        if (actual is not null)
        {
            Assert.StartsWith($"{cases}:4: ", test.Output, StringComparison.Ordinal);
            Assert.Contains($"\n  expected  {row[(row.LastIndexOf('|') + 2)..]}\n  actual    {actual}\n", test.Output, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("caller | image\nbob | nginx", "at least caller, image and answer")]
    [InlineData("caller | image | colour\n", "not 'colour'")]
    [InlineData("caller | image | answer\nbob | nginx", "2 columns and not 3")]
    [InlineData("caller | image | answer\nbob | Nginx | allow official", "upper-case")]
    [InlineData("caller | image | answer\nbob | nginx | perhaps", "'perhaps' is no answer")]
    [InlineData("caller | image | answer\nbob | nginx | allow offical", "no rule is named offical")]
    [InlineData("caller | image | answer\nbob | nginx | allow official as offical", "no category is named offical")]
    [InlineData("caller | image | answer\nbob (friend of acme) | nginx | allow official", "is no caller")]
    [InlineData("caller | image | answer\nbob (absent of acme) | nginx | allow official", "is no caller")]
    [InlineData("caller | image | publisher | answer\nbob | x/y | famous | deny community", "'famous' is no publisher")]
    [InlineData("caller | image | today | answer\nbob | x/y | tomorrow | deny community", "'tomorrow' is no day")]
    [InlineData("caller | image | answer\n# nothing", "holds no case")]
    public async Task A_table_that_cannot_be_read_is_wrong_usage(string table, string why)
    {
        var test = await CommandLine.RunAsync("policy", "test", Write("policy.json", Strict), Write("cases.txt", table));
        Assert.Equal(2, test.ExitCode);
        Assert.Contains(why, test.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_tests_of_an_invalid_policy_are_not_run()
    {
        var test = await CommandLine.RunAsync("policy", "test", Write("policy.json", "{ \"colour\": 1 }"), Write("cases.txt", "caller | image | answer\nbob | nginx | allow off"));
        Assert.Equal(2, test.ExitCode);
        Assert.Contains("colour: unknown member", test.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_policies_differ_for_images_and_callers()
    {
        var lax = Write("lax.json", Strict.Replace("\"official\": true", "\"official\": true, \"verifiedPublisher\": true", StringComparison.Ordinal));
        var images = Write("images.txt", "# remark\nnginx\nbitnami/redis | verified publisher\nsomeuser/x | no badge\ngrafana/grafana\nghcr.io/x/y\n");

        var diff = (await CommandLine.RunAsync("policy", "diff", Write("strict.json", Strict), lax, "--images", images, "--as", "bob", "--as", "alice", "--json")).Json;

        Assert.Equal(["organization acme: verified publisher images allowed"], diff.GetProperty("opens").EnumerateArray().Select(line => line.GetString()));
        Assert.Empty(diff.GetProperty("takesBack").EnumerateArray());
        var changes = diff.GetProperty("changes").EnumerateArray()
            .Select(change => $"{change.GetProperty("caller")}: {change.GetProperty("image")}"
                + (change.TryGetProperty("if", out var assumption) ? $" if {assumption}" : "") + $" {change.GetProperty("from")} {change.GetProperty("to")}")
            .Order(StringComparer.Ordinal);
        Assert.Equal(
            [
                "anonymous: bitnami/redis deny allow", "anonymous: grafana/grafana if verified publisher deny allow",
                "bob: bitnami/redis deny allow", "bob: grafana/grafana if verified publisher deny allow",
                "member of acme: bitnami/redis deny allow", "member of acme: grafana/grafana if verified publisher deny allow",
            ],
            changes);
    }

    [Fact]
    public async Task The_same_policy_twice_differs_in_nothing()
    {
        var (policy, images) = (Write("policy.json", Strict), Write("images.txt", "nginx\nsomeuser/x\n"));
        var diff = await CommandLine.RunAsync("policy", "diff", policy, policy, "--images", images);
        Assert.Equal(0, diff.ExitCode);
        Assert.Contains("nothing is opened or taken back", diff.Output, StringComparison.Ordinal);
        Assert.Contains("2 images as 3 callers: 0 verdicts would change", diff.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Choose --images or --audit.", "--images", "x", "--audit", "y")]
    [InlineData("--as goes with --images", "--as", "bob")]
    public async Task Options_that_do_not_go_together_are_refused(string why, params string[] options)
    {
        var policy = Write("policy.json", Strict);
        var diff = await CommandLine.RunAsync(["policy", "diff", policy, policy, .. options]);
        Assert.NotEqual(0, diff.ExitCode);
        Assert.Contains(why, diff.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("validate")]
    [InlineData("test")]
    [InlineData("diff")]
    [InlineData("replay")]
    public async Task Each_verb_has_help_and_JSON(string verb)
    {
        var help = await CommandLine.RunAsync("policy", verb, "--help");
        Assert.Equal(0, help.ExitCode);
        Assert.Contains("--json", help.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_program_itself_answers_by_its_exit_code()
    {
        var (valid, invalid) = (Write("valid.json", Strict), Write("invalid.json", "{"));
        Assert.Equal(0, (await CommandLine.StartAsync(["policy", "validate", valid])).ExitCode);
        Assert.Equal(1, (await CommandLine.StartAsync(["policy", "validate", invalid])).ExitCode);
        Assert.Equal(2, (await CommandLine.StartAsync(["policy", "validate", _directory["missing"]])).ExitCode);
        Assert.Equal(2, (await CommandLine.StartAsync(["policy", "validate"])).ExitCode);
        Assert.Equal(2, (await CommandLine.StartAsync(["policy", "diff", valid, valid, "--as", "bob"])).ExitCode);
    }

    public void Dispose() => _directory.Dispose();

    private string Write(string name, string text)
    {
        File.WriteAllText(_directory[name], text);
        return _directory[name];
    }
}
