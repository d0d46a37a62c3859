using System.Globalization;
using System.Runtime.Versioning;
using ImageAccess.Proxy.Tests.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>Access is asked for, and the answer comes, by the API and by the verbs that use it: over the whole program.</summary>
[SupportedOSPlatform("linux")]
public sealed class RequestTests : IAsyncLifetime, IDisposable
{
    private const string Image = "someuser/custom-image";

    private const string Wish = """{ "image": "someuser/custom-image", "reason": "for the build", "days": 20 }""";

    private readonly ApiRoom _room = new();
    private readonly TemporaryDirectory _directory = new();
    private readonly Dictionary<string, string> _tokens = [];

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await UseAsync(approvals: 1);
        foreach (var (person, role, organization) in new[]
        {
            ("bob", "member", "acme"), ("cleo", "member", "acme"), ("dora", "member", "acme"), ("hank", "member", "globex"),
            ("kim", "approver", "acme"), ("alice", "owner", "acme"), ("gail", "owner", "globex"),
        })
        {
            _tokens[person] = await _room.TokenAsync(role, organization, person);
        }
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_member_asks_others_join_and_the_organization_answers()
    {
        var asked = await AskAsync("bob", Wish);
        Assert.Equal((201, "/api/v1/requests/1"), (asked.Status, asked.Location));
        Assert.Equal((1, Image, "open", 1), (asked.Json.GetProperty("id").GetInt64(), Text(asked, "image"), Text(asked, "state"), asked.Json.GetProperty("asking").GetInt32()));
        Assert.Equal("acme open", Answers(asked));
        var joined = await AskAsync("cleo", Wish);
        Assert.Equal((200, 2, "cleo"), (joined.Status, joined.Json.GetProperty("asking").GetInt32(), Voices(joined))); // and not who else
        Assert.Equal("bob cleo", Voices(await GetAsync("kim", "/requests/1")));
        Assert.Equal("bob", Voices(await GetAsync("bob", "/requests/1")));

        var hidden = await GetAsync("hank", "/requests/1");
        var missing = await GetAsync("hank", "/requests/2");
        Assert.Equal((404, missing.Text.Replace("request 2", "request 1", StringComparison.Ordinal)), (hidden.Status, hidden.Text));
        Assert.Equal(404, (await PostAsync("gail", "/requests/1/approve", "{}")).Status);
        Assert.Equal(404, (await PostAsync("hank", "/requests/1/withdraw", "{}")).Status);
        Assert.Equal(403, (await PostAsync("bob", "/requests/1/approve", "{}")).Status);

        var approved = await PostAsync("kim", "/requests/1/approve", """{ "days": 5, "comment": "for the release" }""");
        Assert.Equal((200, "approved"), (approved.Status, Text(approved, "state")));
        var answer = (await GetAsync("bob", "/requests/1")).Json.GetProperty("answers")[0];
        Assert.Equal(("approved", "kim", "for the release", Image), (answer.GetProperty("state").GetString(), answer.GetProperty("by").GetString(), answer.GetProperty("comment").GetString(), answer.GetProperty("image").GetString()));
        Assert.Equal("bob, cleo", (await GetAsync("kim", $"/exceptions/{answer.GetProperty("exception").GetInt64()}")).Json.GetProperty("askedBy").GetString());
        await VerdictAsync("bob", "allow");
        Assert.Equal(409, (await PostAsync("kim", "/requests/1/approve", "{}")).Status);
        var again = await AskAsync("bob", Wish);
        Assert.Equal((409, "someuser/custom-image is allowed to bob already, by the rule exception"), (again.Status, again.Detail));
        await Eventually.TrueAsync(async () => await ToldAsync() is ["asked by bob for bob", "joined by cleo for cleo", "approved by kim for bob, cleo"]);
    }

    [Fact]
    public async Task Two_organizations_that_deny_answer_each_for_itself()
    {
        Assert.Equal("acme open, globex open", Answers(await AskAsync("dora", Wish)));
        Assert.Equal("acme approved, globex open", Answers(await PostAsync("kim", "/requests/1/approve", "{}")));
        await VerdictAsync("bob", "allow");
        await VerdictAsync("dora", "deny");
        var done = await PostAsync("gail", "/requests/1/approve", "{}");
        Assert.Equal(("approved", "acme approved, globex approved"), (Text(done, "state"), Answers(done)));
        await VerdictAsync("dora", "allow");
    }

    [Fact]
    public async Task Where_two_have_to_approve_it_waits()
    {
        await UseAsync(approvals: 2);
        await AskAsync("bob", Wish);
        var waiting = await PostAsync("kim", "/requests/1/approve", "{}");
        Assert.Equal((202, "/api/v1/changes/1", "acme waiting"), (waiting.Status, waiting.Location, Answers(waiting)));
        Assert.Equal(403, (await PostAsync("kim", "/changes/1/approve", null)).Status);
        await VerdictAsync("bob", "deny");
        Assert.Equal(200, (await PostAsync("alice", "/changes/1/approve", null)).Status);
        Assert.Equal(("approved", "acme approved"), (Text(await GetAsync("bob", "/requests/1"), "state"), Answers(await GetAsync("bob", "/requests/1"))));
        await VerdictAsync("bob", "allow");
    }

    [Fact]
    public async Task By_the_id_of_a_denial_who_signed_in_later_asks_and_pulls()
    {
        var here = _room.Here;
        var anonymous = await here.AskAsync("GET", $"/v2/{Image}/manifests/latest", await here.PullTokenAsync(null, Image));
        var id = anonymous.Header("X-ImageAccess-Decision");
        Assert.Equal(403, anonymous.Status);
        ApiAnswer asked;
        do
        {
            asked = await AskAsync("bob", $$"""{ "denial": "{{id}}", "reason": "for the build", "days": 20 }""");
        }
        while (asked.Status == 404); // it is written within seconds
        Assert.Equal((201, $"{Image}:latest", id), (asked.Status, Text(asked, "image"), asked.Json.GetProperty("voices")[0].GetProperty("denial").GetString()));
        var bob = await here.PullTokenAsync("bob", Image);
        Assert.Equal(403, (await here.AskAsync("GET", $"/v2/{Image}/manifests/latest", bob)).Status);
        Assert.Equal(400, (await PostAsync("kim", "/requests/1/approve", "{}")).Status);
        Assert.Equal(200, (await PostAsync("kim", "/requests/1/approve", """{ "follow": true }""")).Status);
        await VerdictAsync("bob", "allow", $"{Image}:latest");
        Assert.Equal(200, (await here.AskAsync("GET", $"/v2/{Image}/manifests/latest", bob)).Status);
    }

    [Theory]
    [InlineData("""{ "image": "someuser/custom-image", "reason": "r" }""", 400, "the body lacks a member: 'days'.")]
    [InlineData("""{ "image": "someuser/custom-image", "days": 3 }""", 400, "the body lacks a member: 'reason'.")]
    [InlineData("""{ "image": "someuser/custom-image", "reason": "r", "days": "many" }""", 400, "the body has a wrong value at days")]
    [InlineData("""{ "image": "someuser/custom-image", "reason": "r", "days": 3, "organization": "acme" }""", 400, "the body has a member that is not known: organization")]
    [InlineData("""{ "image": "someuser/custom-image", "reason": "r", "days": 91 }""", 400, "days must be 1 to 90 (exceptions.maximumDays)")]
    [InlineData("""{ "image": "ghcr.io/x/y", "reason": "r", "days": 3 }""", 400, "image 'ghcr.io/x/y' is an image of ghcr.io, and not of Docker Hub")]
    [InlineData("""{ "image": "nginx", "reason": "r", "days": 3 }""", 409, "nginx is allowed to bob already, by the rule official")]
    [InlineData("""{ "image": "x/y", "reason": "a\u0007b", "days": 3 }""", 400, "reason has characters that cannot be seen, as line ends or marks of direction")]
    [InlineData("""{ "denial": "nothing", "reason": "r", "days": 3 }""", 404, "there is no denial nothing of bob: denials are kept for 30 days, from a few seconds after they happen")]
    [InlineData("""{ "image": """, 400, null)]
    public async Task What_is_wrong_is_a_problem_that_says_so(string body, int status, string? detail)
    {
        var answer = await AskAsync("bob", body);
        Assert.Equal((status, "application/problem+json"), (answer.Status, answer.MediaType));
        if (detail is not null)
            Assert.Equal(detail, answer.Detail);
    }

    [Fact]
    public async Task They_are_listed_in_parts()
    {
        for (var i = 0; i < 3; i++)
            Assert.Equal(201, (await AskAsync("bob", string.Create(CultureInfo.InvariantCulture, $$"""{ "image": "someuser/t{{i}}", "reason": "r", "days": 1 }"""))).Status);
        await AskAsync("hank", Wish);
        await PostAsync("bob", "/requests/2/withdraw", "{}");
        Assert.Equal([3, 2, 1], Ids(await GetAsync("bob", "/requests")));
        Assert.Equal([3, 2, 1], Ids(await GetAsync("kim", "/requests")));
        Assert.Equal([4], Ids(await GetAsync("hank", "/requests")));
        Assert.Empty(Ids(await GetAsync("cleo", "/requests")));
        Assert.Equal([3, 1], Ids(await GetAsync("bob", "/requests?state=open")));
        var first = await GetAsync("kim", "/requests?organization=acme&limit=2");
        Assert.Equal([3, 2], Ids(first));
        Assert.Equal([1], Ids(await GetAsync("kim", $"/requests?organization=acme&limit=2&cursor={first.Json.GetProperty("next").GetString()}")));
        Assert.Equal(404, (await GetAsync("kim", "/requests?organization=globex")).Status);
        Assert.Equal("state must be one of open, approved, declined, withdrawn, ended", (await GetAsync("kim", "/requests?state=new")).Detail);
    }

    [Fact]
    public async Task The_verbs_do_the_same_from_another_machine()
    {
        var (bob, kim) = (await TokenFileAsync("bob"), await TokenFileAsync("kim"));
        var asked = await RunAsync(bob, "requests", "create", Image, "--reason", "for the build", "--days", "20", "--ticket", "OPS-1");
        Assert.Equal((0, ""), (asked.ExitCode, asked.Error));
        Assert.Matches("^the request 1 asks acme for someuser/custom-image, until [-0-9]{10} [:0-9]{5}Z\n$", asked.Output);
        var again = await RunAsync(bob, "requests", "create", Image, "--reason", "for the build", "--days", "20");
        Assert.Equal((2, $"imageaccess: the proxy at {Server}: bob asks for someuser/custom-image already: request 1\n"), (again.ExitCode, again.Error));
        Assert.Equal(2, (await RunAsync(bob, "requests", "create", Image, "--reason", "r", "--days", "2", "--as", "bob")).ExitCode);
        var listed = await RunAsync(kim, "requests", "list");
        Assert.Matches("REQUEST +STATE +ASKED +UNTIL +ORGANIZATIONS +IMAGE\n +1  open +.* acme +someuser/custom-image\n    bob, for 20 days: for the build \\(OPS-1\\)\n", listed.Output);
        Assert.Equal(1, (await RunAsync(kim, "requests", "list", "--json")).Json.GetProperty("requests")[0].GetProperty("id").GetInt64());
        var approved = await RunAsync(kim, "requests", "approve", "1", "--days", "5");
        Assert.Matches("^the request 1 is approved: acme opens someuser/custom-image until .* \\(exception 1\\)\n$", approved.Output);
        Assert.Equal("no request is open\n", (await RunAsync(kim, "requests", "list")).Output);

        await RunAsync(bob, "requests", "create", "someuser/brief", "--reason", "r", "--days", "2");
        Assert.Equal("imageaccess: --days and --for exclude each other: choose one of them\n", (await RunAsync(kim, "requests", "approve", "2", "--for", "90s", "--days", "1")).Error);
        Assert.Equal("imageaccess: --for 'soon' is not a duration, as 30s, 5m, 12h or 7d\n", (await RunAsync(kim, "requests", "approve", "2", "--for", "soon")).Error);
        var noTime = await PostAsync("kim", "/requests/2/approve", """{ "until": "tomorrow" }""");
        Assert.Equal((400, "until 'tomorrow' is no time, as 2027-01-31T12:00:00Z"), (noTime.Status, noTime.Detail));
        var tooLong = await PostAsync("kim", "/requests/2/approve", """{ "until": "2999-01-01T00:00:00Z" }""");
        Assert.Equal((400, "until must be within 2 days from now: it was asked for no longer"), (tooLong.Status, tooLong.Detail));
        var before = TimeProvider.System.GetUtcNow();
        Assert.Equal(0, (await RunAsync(kim, "requests", "approve", "2", "--for", "90s")).ExitCode);
        Assert.InRange((await GetAsync("kim", "/exceptions/2")).Json.GetProperty("until").GetDateTimeOffset() - before, TimeSpan.FromSeconds(88), TimeProvider.System.GetUtcNow() - before + TimeSpan.FromSeconds(90));

        await RunAsync(bob, "requests", "create", "someuser/other", "--reason", "r", "--days", "2");
        Assert.Equal("the request 3 for someuser/other is declined\n", (await RunAsync(kim, "requests", "decline", "3", "--comment", "use valkey")).Output);
        Assert.Contains("    acme: declined by kim: use valkey\n", (await RunAsync(bob, "requests", "list", "--all")).Output, StringComparison.Ordinal);
        await RunAsync(bob, "requests", "create", "someuser/third", "--reason", "r", "--days", "2");
        Assert.Equal("the request 4 for someuser/third is withdrawn\n", (await RunAsync(bob, "requests", "withdraw", "4")).Output);
    }

    [Fact]
    public async Task And_on_the_server_in_the_name_of_whoever_is_said()
    {
        await UseAsync(approvals: 2);
        var file = _directory["imageaccess.json"];
        await File.WriteAllTextAsync(file, $$"""
            { "Data": { "Directory": "{{_room.Here.DataDirectory}}" }, "Policy": { "File": "{{_room.Here.PolicyFile}}" }, "Listen": { "Admin": "{{_room.Here.Admin.GetLeftPart(UriPartial.Authority)}}" } }
            """);
        Assert.Equal("imageaccess: --as is missing: say which member asks, by the Docker Hub user name\n", (await HereAsync("create", Image, "--reason", "r", "--days", "2")).Error);
        Assert.Equal("imageaccess: mallory is not a member of an organization of the policy\n", (await HereAsync("create", Image, "--reason", "r", "--days", "2", "--as", "mallory")).Error);
        Assert.Equal("imageaccess: --days must be 1 to 90 (exceptions.maximumDays)\n", (await HereAsync("create", Image, "--reason", "r", "--days", "0", "--as", "dora")).Error);
        Assert.Equal("imageaccess: name the image, or the id of its denial: one of them\n", (await HereAsync("create", "--reason", "r", "--days", "2", "--as", "dora")).Error);
        var asked = await HereAsync("create", Image, "--reason", "for the build", "--days", "2", "--as", "dora");
        Assert.Equal((0, ""), (asked.ExitCode, asked.Error));
        Assert.StartsWith("the request 1 asks acme and globex for someuser/custom-image, until ", asked.Output, StringComparison.Ordinal);
        Assert.Equal("imageaccess: dora has asked for the request 1: another person has to approve it\n", (await HereAsync("approve", "1", "--organization", "acme", "--by", "dora")).Error);
        Assert.Equal("imageaccess: --organization is missing: say for which, acme or globex\n", (await HereAsync("approve", "1", "--by", "root")).Error);
        Assert.Equal(
            "the request 1 is open: acme waits for a second person; imageaccess changes approve 1; globex has not answered\n", (await HereAsync("approve", "1", "--organization", "acme", "--by", "root")).Output);
        var second = await CommandLine.RunAsync("changes", "approve", "1", "--by", "dora", "--config", file);
        Assert.Equal((2, "imageaccess: dora has asked for the request 1: another person has to approve the change 1\n"), (second.ExitCode, second.Error));
        Assert.Equal(0, (await CommandLine.RunAsync("changes", "approve", "1", "--by", "eve", "--config", file)).ExitCode);
        Assert.Equal("acme approved, globex open", Answers(await GetAsync("dora", "/requests/1")));
        Assert.Contains("    acme: approved by root and eve\n", (await HereAsync("list")).Output, StringComparison.Ordinal);
        Assert.Equal("declined", (await HereAsync("decline", "1", "--comment", "no", "--json")).Json.GetProperty("request").GetProperty("state").GetString());
        Assert.Equal("imageaccess: there is no request 7; imageaccess requests list names them\n", (await HereAsync("withdraw", "7", "--as", "bob")).Error);

        Task<CommandLine> HereAsync(params string[] arguments) => CommandLine.RunAsync(["requests", .. arguments, "--config", file]);
    }

    private string Server => _room.Here.Further[^1].GetLeftPart(UriPartial.Authority);

    private static string? Text(ApiAnswer answer, string member) => answer.Json.GetProperty(member).GetString();

    private static string Answers(ApiAnswer answer) => string.Join(
        ", ", answer.Json.GetProperty("answers").EnumerateArray().Select(each => $"{each.GetProperty("organization").GetString()} {each.GetProperty("state").GetString()}"));

    private static string Voices(ApiAnswer answer) => string.Join(' ', answer.Json.GetProperty("voices").EnumerateArray().Select(voice => voice.GetProperty("person").GetString()));

    private static IEnumerable<long> Ids(ApiAnswer answer) => answer.Json.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("id").GetInt64());

    private Task UseAsync(int approvals) => _room.Here.WritePolicyAsync(
        $$"""
        {
          "changes": { "approvals": {{approvals}} },
          "exceptions": { "maximumDays": 90 },
          "companyOwners": [ "carol" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob", "cleo", "dora" ], "roles": { "approvers": [ "kim" ] }, "enabled": true, "allow": { "official": true } },
            { "name": "globex", "owners": [ "gail" ], "members": [ "dora", "hank" ], "enabled": true, "allow": { "official": true } }
          ]
        }
        """);

    private Task<ApiAnswer> GetAsync(string who, string target) => _room.SendAsync("GET", $"/api/v1{target}", _tokens[who]);

    private Task<ApiAnswer> PostAsync(string who, string target, string? body) => _room.SendAsync("POST", $"/api/v1{target}", _tokens[who], body);

    private Task<ApiAnswer> AskAsync(string who, string body) => PostAsync(who, "/requests", body);

    /// <summary>By the running proxy: an exception is in force within a second.</summary>
    private async Task VerdictAsync(string person, string verdict, string image = Image)
    {
        var token = await _room.TokenAsync("company-owner", null);
        await Eventually.TrueAsync(async () => Text(await _room.SendAsync("GET", $"/api/v1/images/{image}?as={person}", token), verdict), verdict);

        static bool Text(ApiAnswer answer, string verdict) => answer.Json.GetProperty("image").GetProperty("verdict").GetString() == verdict;
    }

    private async Task<List<string>> ToldAsync() =>
    [
        .. (await _room.Here.AuditAsync(1))
            .Where(line => line.TryGetProperty("event", out var kind) && kind.GetString() == "request")
            .Select(line => $"{line.GetProperty("step").GetString()} by {line.GetProperty("user").GetString()} for {line.GetProperty("askedBy").GetString()}"),
    ];

    private Task<CommandLine> RunAsync(string token, params string[] arguments) => CommandLine.RunAsync([.. arguments, "--server", Server, "--token-file", token]);

    private async Task<string> TokenFileAsync(string person)
    {
        var file = _directory[person];
        await File.WriteAllTextAsync(file, _tokens[person] + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }
}
