using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Administration.Usage;
using ImageAccess.Proxy.Tests.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Administration.Incidents;

/// <summary>Who pulled an image, by the API, on both databases.</summary>
public abstract class IncidentConformance : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());

    private static readonly string[] Digests = [.. "abcd".Select(digit => $"sha256:{new string(digit, 64)}")];

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.StartAsync(await SettingsAsync());
        await Eventually.TrueAsync(() => _room.Service<SessionTokens>().AreReady);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    internal abstract Task<(string Key, string Value)[]> SettingsAsync();

    [Fact]
    public async Task A_group_tells_who_from_which_machine_how_often_and_when_and_an_index_counts_for_its_images()
    {
        await ImportAsync(
            Line(1, -50, "bob", digest: Digests[0], index: Digests[1]),
            Line(2, -40, "bob", digest: Digests[0], index: Digests[1]),
            Line(3, -30, "bob", digest: Digests[0], index: Digests[1], pull: UsageRoom.Id(2)), // the same pull
            Line(4, -20, "dora", reference: Digests[1], outcome: "deny", count: 5),
            Line(5, -10, "dora", digest: Digests[1], index: Digests[1]), // once, though both are it
            Line(6, -9, "dora", digest: Digests[2]));
        var answer = await AskAsync([Digests[1]]);
        Assert.Equal(
            [
                $"dora 192.0.2.7 docker mirror library/nginx latest {Digests[1]} {Digests[1]} allow 1 1 {Text(-10)} {Text(-10)}",
                $"dora 192.0.2.7 docker mirror library/nginx {Digests[1]} {Digests[1]}  deny 5 5 {Text(-20)} {Text(-20)}",
                $"bob 192.0.2.7 docker mirror library/nginx latest {Digests[0]} {Digests[1]} allow 3 2 {Text(-50)} {Text(-30)}",
            ],
            Pulls(answer));
        var image = Assert.Single(answer.GetProperty("images").EnumerateArray());
        Assert.Equal(
            (Digests[1], false, 9, 3, 5, 2, 1, Text(-50), Text(-10)),
            (image.GetProperty("image").GetString(), image.GetProperty("blocked").GetBoolean(), Number(image, "decisions"), Number(image, "pulls"), Number(image, "denied"), Number(image, "callers"),
                Number(image, "machines"), Time(image, "first"), Time(image, "last")));
        Assert.Equal("""{"contents":0,"bytes":0}""", image.GetProperty("kept").GetRawText());
    }

    /// <summary>An underscore, a percent sign and a name that begins with another one are themselves alone.</summary>
    [Theory]
    [InlineData("nginx", "1 2 3")]
    [InlineData("docker.io/library/nginx:latest", "1")]
    [InlineData("nginx:1.27", "2")]
    [InlineData("library/*", "1 2 3 4")]
    [InlineData("a_c/*", "5")]
    [InlineData("abc/*", "6")]
    [InlineData("abc/tool", "6")]
    [InlineData("DIGEST", "3 7")]
    [InlineData("nginx@DIGEST", "3")]
    [InlineData("nobody/*", "")]
    public async Task An_image_is_what_a_block_of_the_same_words_names(string image, string expected)
    {
        await ImportAsync(
            Line(1, -50, "c1"),
            Line(2, -49, "c2", reference: "1.27"),
            Line(3, -48, "c3", reference: "3", digest: Digests[0]),
            Line(4, -47, "c4", repository: "library/nginx2"),
            Line(5, -46, "c5", repository: "a_c/tool"),
            Line(6, -45, "c6", repository: "abc/tool"),
            Line(7, -44, "c7", repository: "abcd/tool", digest: Digests[1], index: Digests[0]),
            Line(8, -43, "c8", repository: "library/nginx", reference: "9", method: "PUT")); // no pull
        var answer = await AskAsync([image.Replace("DIGEST", Digests[0], StringComparison.Ordinal)]);
        Assert.Equal(expected, string.Join(' ', answer.GetProperty("pulls").EnumerateArray().Select(pull => pull.GetProperty("caller").GetString()![1..]).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task Each_sees_the_pulls_of_the_own_organization_and_that_alone_is_recorded_as_a_look()
    {
        await ImportAsync(
            Line(1, -9, "bob"),
            Line(2, -8, "dora", organizations: ["acme", "globex"]),
            Line(3, -7, "hank", organizations: ["globex"]),
            Line(4, -6, "ida", organizations: ["acme2"]),
            Line(5, -5, "anonymous", organizations: []));
        foreach (var (token, expected) in new[]
                 {
                     (await _room.TokenAsync("auditor"), "bob acme;dora acme"),
                     (await _room.TokenAsync("administrator", "globex"), "dora globex;hank globex"),
                     (await _room.TokenAsync("company-owner", null), "anonymous ;bob acme;dora acme,globex;hank globex;ida acme2"),
                 })
        {
            var answer = await AskAsync(["nginx"], token);
            Assert.Equal(expected, string.Join(';', answer.GetProperty("pulls").EnumerateArray().Select(pull =>
                $"{pull.GetProperty("caller").GetString()} {string.Join(',', pull.GetProperty("organizations").EnumerateArray().Select(name => name.GetString()))}").Order(StringComparer.Ordinal)));
        }

        var of = await AskAsync(["nginx"], await _room.TokenAsync("company-owner", null), ", \"organization\": \"globex\"");
        Assert.Equal(2, Number(of, "rows"));
        var theirs = await SendAsync("""{ "images": [ "nginx" ], "organization": "globex" }""", await _room.TokenAsync("auditor"));
        Assert.Equal((404, "there is no organization globex"), (theirs.Status, theirs.Detail));

        List<JsonElement> trail = [];
        await Eventually.TrueAsync(() => (trail = _room.Here.AuditAsync(1).GetAwaiter().GetResult()
            .Where(line => line.TryGetProperty("event", out var kind) && kind.GetString() == "decisions-read").ToList()).Count >= 4);
        Assert.Equal(
            [" incident: nginx", "acme incident: nginx", "globex incident: nginx", "globex incident: nginx"],
            trail.Select(line => $"{line.GetProperty("organization").GetString()} {line.GetProperty("operation").GetString()}: {line.GetProperty("question").GetString()}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_table_has_every_group_and_no_cell_that_a_spreadsheet_would_run()
    {
        await ImportAsync(Line(1, -9, "=cmd|' /C calc'!A0"), Line(2, -8, "@sum(1)"), Line(3, -7, "a, \"b\""), Line(4, -6, "-1+1"));
        var answer = await SendAsync("""{ "images": [ "nginx" ], "limit": 1 }""", await _room.TokenAsync("auditor"), "text/csv");
        Assert.Equal((200, "text/csv"), (answer.Status, answer.MediaType));
        const string Rest = "acme,192.0.2.7,docker,mirror,library/nginx,latest,,,allow,1,1";
        Assert.Equal(
            "image,caller,organizations,client,clientFamily,wayIn,repository,reference,digest,index,outcome,decisions,pulls,first,last\r\n"
            + $"nginx,'-1+1,{Rest},{Text(-6)},{Text(-6)}\r\n"
            + $"nginx,\"a, \"\"b\"\"\",{Rest},{Text(-7)},{Text(-7)}\r\n"
            + $"nginx,'@sum(1),{Rest},{Text(-8)},{Text(-8)}\r\n"
            + $"nginx,'=cmd|' /C calc'!A0,{Rest},{Text(-9)},{Text(-9)}\r\n",
            answer.Text);
        var listed = (await SendAsync("""{ "images": [ "nginx" ], "limit": 1 }""", await _room.TokenAsync("auditor"), "application/json, text/csv;q=0")).Json;
        Assert.Equal((4, "-1+1"), (Number(listed, "rows"), Assert.Single(listed.GetProperty("pulls").EnumerateArray()).GetProperty("caller").GetString()));
    }

    [Fact]
    public async Task A_window_has_what_is_in_it()
    {
        await ImportAsync(Line(1, -3 * 60 * 24 * 60, "old"), Line(2, -120, "bob"), Line(3, -60, "dora"));
        Assert.Equal(2, Number(await AskAsync(["nginx"]), "rows"));
        Assert.Equal(3, Number(await AskAsync(["nginx"], more: ", \"since\": \"180d\""), "rows"));
        Assert.Equal(1, Number(await AskAsync(["nginx"], more: $", \"from\": \"{Text(-120)}\", \"to\": \"{Text(-60)}\""), "rows"));
        Assert.Equal("2", (await AskAsync(["nginx"], more: ", \"since\": \"365d\"")).GetProperty("keptSince").GetString()![..1]);
    }

    [Theory]
    [InlineData("""{ "images": [] }""", "images must name 1 to 50")]
    [InlineData("""{ "images": [ "nginx", "Bad Name", null ] }""", "images[1] 'Bad Name' has upper-case letters; a repository's name has none, images[2] '' is empty")]
    [InlineData("""{ "images": [ "sha256:abc" ] }""", "images[0] 'sha256:abc' has a digest that is none: sha256: and 64 hexadecimal digits in lower case")]
    [InlineData("""{ "images": [ "nginx" ], "limit": 5001 }""", "limit must be 1 to 5000")]
    [InlineData("""{ "images": [ "nginx" ], "since": "30" }""", "since is '30': choose a time as 12h or 30d")]
    [InlineData("""{ "images": [ "nginx" ], "since": "30d", "to": "2026-01-01T00:00:00Z" }""", "since does not go with from or to")]
    [InlineData("""{ "images": [ "nginx" ], "from": "yesterday" }""", "from 'yesterday' is no time, as 2027-01-31T12:00:00Z")]
    public async Task A_question_that_cannot_be_answered_is_a_problem(string body, string detail)
    {
        var answer = await SendAsync(body, await _room.TokenAsync("auditor"));
        Assert.Equal((400, "application/problem+json", detail), (answer.Status, answer.MediaType, answer.Detail));
    }

    [Fact]
    public async Task Fifty_images_are_answered_together_and_one_more_is_too_many()
    {
        await ImportAsync(Line(1, -9, "bob"));
        var fifty = Enumerable.Range(1, 49).Select(number => $"some/t{number}").Append("nginx").ToArray();
        Assert.Equal((1, 50), (Number(await AskAsync(fifty), "rows"), (await AskAsync(fifty)).GetProperty("images").GetArrayLength()));
        var answer = await SendAsync(JsonSerializer.Serialize(new { images = fifty.Append("one/more") }), await _room.TokenAsync("auditor"));
        Assert.Equal((400, "images must name 1 to 50"), (answer.Status, answer.Detail));
    }

    private static string Line(
        int number, int minutes, string caller, string repository = "library/nginx", string reference = "latest", string? digest = null, string? index = null, string outcome = "allow",
        string[]? organizations = null, string? pull = null, int? count = null, string method = "GET") => UsageRoom.Line(
            UsageRoom.Id(number), Now.AddMinutes(minutes), caller, repository, outcome, organizations, pull: pull, count: count, reference: reference, digest: digest, index: index)
        .Replace("\"GET\"", $"\"{method}\"", StringComparison.Ordinal);

    private static string Text(int minutes) => Now.AddMinutes(minutes).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static string Time(JsonElement one, string name) => one.GetProperty(name).GetDateTimeOffset().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static int Number(JsonElement one, string name) => one.GetProperty(name).GetInt32();

    private static IEnumerable<string> Pulls(JsonElement answer) => answer.GetProperty("pulls").EnumerateArray().Select(pull => string.Join(
        ' ',
        [
            .. new[] { "caller", "client", "clientFamily", "wayIn", "repository", "reference", "digest", "index", "outcome" }.Select(name => pull.TryGetProperty(name, out var text) ? text.GetString() : ""),
            Number(pull, "decisions").ToString(CultureInfo.InvariantCulture), Number(pull, "pulls").ToString(CultureInfo.InvariantCulture), Time(pull, "first"), Time(pull, "last"),
        ]));

    private async Task<JsonElement> AskAsync(string[] images, string? token = null, string more = "")
    {
        var answer = await SendAsync($$"""{ "images": {{JsonSerializer.Serialize(images)}}{{more}} }""", token ?? await _room.TokenAsync("auditor"));
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json;
    }

    private Task<ApiAnswer> SendAsync(string body, string token, string? accept = null) => _room.SendAsync("POST", "/api/v1/incidents/pulls", token, body, accept: accept);

    private async Task ImportAsync(params string[] lines)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllLinesAsync(directory["trail.jsonl"], lines);
        var imported = await UsageImport.ReadAsync(
            directory["trail.jsonl"], _room.Service<UsageStore>(), () => UsageDays.At(TimeProvider.System.GetUtcNow(), new UsageOptions()), (_, _, _) => { }, default);
        Assert.Equal(imported.Lines, imported.Added);
    }
}

public sealed class SqliteIncidentTests : IncidentConformance
{
    internal override Task<(string Key, string Value)[]> SettingsAsync() => Task.FromResult<(string, string)[]>([]);
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresIncidentTests(PostgresServer server) : IncidentConformance
{
    internal override async Task<(string Key, string Value)[]> SettingsAsync() => [("Database:ConnectionString", await server.CreateDatabaseAsync())];
}
