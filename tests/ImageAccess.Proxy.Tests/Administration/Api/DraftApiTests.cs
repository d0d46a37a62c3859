using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>What a draft of the policy would open, take back, and change in the pulls of the last days. It changes nothing.</summary>
public sealed class DraftApiTests(DraftApiTests.FilesRoom files) : IClassFixture<DraftApiTests.FilesRoom>
{
    private const string Whole = "/api/v1/policy/drafts";

    private const string Section = "/api/v1/organizations/acme/policy/drafts";

    /// <summary>acme may have what the community publishes.</summary>
    private const string Draft = """{ "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true, "community": true } }""";

    private static readonly string WholeDraft = ApiRoom.Policy.Replace(
        "\"members\": [ \"bob\" ], \"enabled\": true, \"allow\": { \"official\": true }", "\"members\": [ \"bob\" ], \"enabled\": true, \"allow\": { \"official\": false }", StringComparison.Ordinal);

    private readonly ApiRoom _room = files.Room;

    [Fact]
    public async Task A_document_is_judged_by_the_pulls_of_all_and_nothing_is_changed()
    {
        var version = _room.Service<IPolicyStore>().Current.Version;
        Trail(
            Event("bob", "library/nginx", "official", "allow"), Event("bob", "library/nginx", "official", "allow"), Event("eve", "library/nginx", "official", "allow", memberships: "member of acme"),
            Event("hank", "library/nginx", "official", "allow"), Event("bob", "library/redis", "official", "allow", days: 40));
        var answer = await DraftAsync(Whole, WholeDraft, await _room.TokenAsync("company-owner", null));
        Assert.Equal((false, false, 0), (Flag(answer, "same"), Flag(answer, "waits"), answer.GetProperty("opens").GetArrayLength()));
        Assert.Equal(["organization acme: official images allowed"], Texts(answer, "takesBack"));
        var effect = answer.GetProperty("effect");
        Assert.Equal((4, 3, 1, 0), (Number(effect, "requests"), Number(effect, "changed"), Number(effect, "rows"), Number(effect, "malformed")));
        Assert.Equal(["allow deny official library/nginx 3 2 bob,eve"], Rows(answer));
        Assert.Contains("draft", await _room.Database.ReadAsync(context => context.Activity.Where(row => row.Action == "decisions.read").Select(row => row.Name).ToListAsync(), default));
        Assert.Equal(("audit files", "it keeps fewer days (Usage:Keep)"), (effect.GetProperty("source").GetString(), effect.GetProperty("notInDatabase").GetString()));
        Assert.Equal(2, Number((await DraftAsync($"{Whole}?days=60", WholeDraft, await _room.TokenAsync("company-owner", null))).GetProperty("effect"), "rows"));
        Assert.Equal(version, _room.Service<IPolicyStore>().Current.Version);
        Assert.Equal(ApiRoom.Policy, await File.ReadAllTextAsync(_room.Here.PolicyFile));

        var same = await DraftAsync(Whole, ApiRoom.Policy, await _room.TokenAsync("company-owner", null));
        Assert.Equal((true, version, 0), (Flag(same, "same"), same.GetProperty("version").GetString(), Number(same.GetProperty("effect"), "rows")));
        Assert.Equal(200, (await _room.SendAsync("POST", Whole, await _room.TokenAsync("auditor", null), ApiRoom.Policy)).Status); // a pipeline need not be able to change anything
    }

    /// <summary>Whoever writes another's member into a draft would else read what that member pulls.</summary>
    [Fact]
    public async Task A_section_is_judged_by_the_pulls_of_the_own_organization_also_where_it_names_others()
    {
        Trail(
            Event("bob", "someuser/tool", "community", "deny"), Event("hank", "someuser/other", "community", "deny"), Event("hank", "library/nginx", "official", "allow"),
            Event("ida", "someuser/third", "community", "deny", memberships: "member of globex"), "no event");
        foreach (var members in new[] { "\"bob\"", "\"bob\", \"hank\", \"ida\"" })
        {
            var answer = await DraftAsync(Section, Draft.Replace("\"bob\"", members, StringComparison.Ordinal), await _room.TokenAsync("administrator"));
            Assert.Contains("organization acme: community images allowed", Texts(answer, "opens"));
            Assert.Equal(["deny allow community someuser/tool 1 1 bob"], Rows(answer));
            Assert.Equal(1, Number(answer.GetProperty("effect"), "requests"));
            Assert.False(answer.GetProperty("effect").TryGetProperty("malformed", out _));
            Assert.DoesNotContain("hank", answer.GetProperty("effect").GetRawText(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task More_rows_than_one_answer_has_are_counted()
    {
        Trail([.. Enumerable.Range(0, 1005).Select(i => Event("bob", $"someuser/tool{i}", "community", "deny"))]);
        var effect = (await DraftAsync(Section, Draft, await _room.TokenAsync("administrator"))).GetProperty("effect");
        Assert.Equal((1005, 1005, 1000, true), (Number(effect, "rows"), Number(effect, "changed"), effect.GetProperty("changes").GetArrayLength(), Flag(effect, "cut")));
    }

    [Theory]
    [InlineData(Section + "?days=0", "{ }", 400, "days must be 1 to 90")]
    [InlineData(Section + "?days=91", "{ }", 400, "days must be 1 to 90")]
    [InlineData(Section + "?days=many", "{ }", 400, "the request cannot be read: ")]
    [InlineData(Section + "?day=3", "{ }", 400, "unknown parameter day; known are: days")]
    [InlineData(Section, """{ "enabled": """, 400, "the section is refused: the section is refused: line 1")]
    [InlineData(Section, "[ ]", 400, "the section is refused: the section is no JSON object")]
    [InlineData(Section, """{ "enabeld": true }""", 400, "the section is refused: ")]
    [InlineData(Section, """{ "name": "globex" }""", 400, "the section is refused: the section is not named acme")]
    [InlineData("/api/v1/organizations/globex/policy/drafts", "{ }", 404, "there is no organization globex")]
    [InlineData("/api/v1/organizations/nobody/policy/drafts", "{ }", 404, "there is no organization nobody")]
    [InlineData(Whole, "{ }", 403, "the token is for acme alone")]
    public async Task What_is_wrong_with_a_draft_is_said_in_words(string target, string body, int status, string detail)
    {
        var answer = await _room.SendAsync("POST", target, await _room.TokenAsync("administrator"), body);
        Assert.True(answer.Status == status, answer.Text);
        Assert.StartsWith(detail, answer.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_problem_of_a_document_is_named_and_one_that_is_too_large_is_not_read()
    {
        var token = await _room.TokenAsync("company-owner", null);
        var faulty = await _room.SendAsync("POST", Whole, token, """{ "organizations": [ { "name": "acme", "enabled": "yes" }, { "name": "BIG NAME" } ], "extra": 1 }""");
        Assert.Equal(400, faulty.Status);
        Assert.All(faulty.Json.GetProperty("errors").EnumerateArray(), error => Assert.Equal("document", error.GetProperty("member").GetString()));
        Assert.NotEqual(0, faulty.Json.GetProperty("errors").GetArrayLength());

        var large = $$"""{ "organizations": [ ], "help": "{{new string('x', 10_000_000)}}" }""";
        Assert.Equal(413, (await _room.SendAsync("POST", Whole, token, large)).Status);
        var refused = await _room.SendAsync("POST", Whole, token, large.Replace(new string('x', 9_000_000), "", StringComparison.Ordinal) + new string(' ', 100_000));
        Assert.Equal((400, true), (refused.Status, refused.Detail!.StartsWith("the document is refused: the document is larger than", StringComparison.Ordinal)));
        Assert.Equal(415, (await _room.SendAsync("POST", Whole, token, ApiRoom.Policy, contentType: "text/plain")).Status);
    }

    [Fact]
    public async Task Without_a_trail_it_says_what_is_opened_and_why_there_is_no_effect()
    {
        var token = await _room.TokenAsync("administrator");
        JsonElement answer = default;
        await Eventually.TrueAsync(async () =>
        {
            File.Delete(_room.Here.AuditFile); // the proxy makes it again with the next event
            answer = await DraftAsync(Section, Draft, token);
            return answer.TryGetProperty("noEffect", out _);
        });
        await File.AppendAllTextAsync(_room.Here.AuditFile, "");
        Assert.Equal("the audit trail is not there", answer.GetProperty("noEffect").GetString());
        Assert.False(answer.TryGetProperty("effect", out _));
        Assert.Contains("organization acme: community images allowed", Texts(answer, "opens"));
    }

    [Fact]
    public async Task While_others_are_judged_and_enough_wait_it_is_refused_for_a_moment()
    {
        var turns = _room.Service<DraftTrials>().Turns;
        var token = await _room.TokenAsync("administrator");
        using (await turns.EnterAsync(ClientShare.OfUser("first"), default))
        {
            using var gone = new CancellationTokenSource();
            var waiting = Enumerable.Range(0, DraftTrials.MaximumWaiting).Select(i => turns.EnterAsync(ClientShare.OfUser($"next{i}"), gone.Token)).ToList();
            var answer = await _room.SendAsync("POST", Section, token, Draft);
            Assert.Equal((503, "other drafts are being judged, try again", "5"), (answer.Status, answer.Detail, answer.RetryAfter));
            await gone.CancelAsync();
            await Task.WhenAll(waiting.Select(one => Assert.ThrowsAnyAsync<OperationCanceledException>(() => one)));
        }

        Assert.Equal(200, (await _room.SendAsync("POST", Section, token, Draft)).Status);
    }

    internal static string Event(string caller, string repository, string category, string outcome, string? memberships = null, int days = 1) =>
        $$"""{"id":"0","time":"{{TimeProvider.System.GetUtcNow().AddDays(-days).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)}}","caller":"{{caller}}","organizations":["acme"],{{(memberships is null ? "" : $"\"memberships\":[\"{memberships}\"],")}}"client":null,"userAgent":null,"method":"GET","repository":"{{repository}}","reference":"latest","category":"{{category}}","categorySource":null,"categoryAgeSeconds":null,"rule":"{{category}}","outcome":"{{outcome}}","policyVersion":"0","upstreamStatus":200,"durationMs":1}""";

    /// <summary>Beside the trail that the proxy is writing.</summary>
    internal static void Trail(ApiRoom room, params string[] lines) => File.WriteAllLines(room.Here.AuditFile + ".1", lines);

    private void Trail(params string[] lines) => Trail(_room, lines);

    /// <summary>The database keeps a day: so the pulls of 30 days are read in the files of the trail.</summary>
    public sealed class FilesRoom : IAsyncLifetime
    {
        public ApiRoom Room { get; } = new();

        public Task InitializeAsync() => Room.StartAsync(("Usage:Keep", "1.00:00:00"));

        public Task DisposeAsync() => Room.DisposeAsync();
    }

    private static bool Flag(JsonElement one, string member) => one.GetProperty(member).GetBoolean();

    private static int Number(JsonElement one, string member) => one.GetProperty(member).GetInt32();

    private static IEnumerable<string?> Texts(JsonElement one, string member) => one.GetProperty(member).EnumerateArray().Select(text => text.GetString());

    private static IEnumerable<string> Rows(JsonElement answer) => answer.GetProperty("effect").GetProperty("changes").EnumerateArray()
        .Select(row => $"{string.Join(' ', new[] { "from", "to", "rule", "repository", "requests", "callers" }.Select(name => row.GetProperty(name).ToString()))} {string.Join(',', Texts(row, "names"))}");

    private async Task<JsonElement> DraftAsync(string target, string body, string token)
    {
        var answer = await _room.SendAsync("POST", target, token, body);
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json;
    }
}
