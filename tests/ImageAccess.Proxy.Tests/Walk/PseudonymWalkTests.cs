using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Whole requests with <c>Audit:Callers</c> <c>pseudonyms</c>: what is kept of who pulled, and how two persons open it.</summary>
[Collection(PostgresRoom.Name)]
public sealed class PseudonymWalkTests(PostgresServer server) : IAsyncLifetime
{
    private const string Canary = "canarycaller";
    private const string Nginx = "library/nginx";
    private const string Community = "someuser/custom-image";

    private const string Policy =
        """
        {
          "callers": { "outsiders": "deny" },
          "companyOwners": [ "carol" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice", "ann" ], "members": [ "bob", "dora" ], "roles": { "auditors": [ "olga" ] }, "enabled": true, "allow": { "official": true } },
            { "name": "globex", "owners": [ "gail", "gil" ], "members": [ "hank" ], "enabled": true, "allow": { "official": true } }
          ]
        }
        """;

    private static readonly (string Key, string Value) On = ("Audit:Callers", "pseudonyms");

    private readonly ApiRoom _room = new();

    private Surroundings Here => _room.Here;

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _room.Here is null ? Task.CompletedTask : _room.DisposeAsync();

    [Theory]
    [InlineData("names", true)]
    [InlineData("pseudonyms", false)]
    public async Task A_callers_name_is_in_no_file_no_metric_and_no_line_of_the_log(string callers, bool isFound)
    {
        await _room.StartAsync(("Audit:Callers", callers));
        Here.Hub.Users.Add(Canary, "a-password", "dckr_pat_canary");
        Assert.Equal(200, await PullAsync(Canary, Nginx));
        Assert.Equal(403, await PullAsync(Canary, Community));
        Assert.Equal(403, await PullAsync(Canary, Community)); // and merged
        await Here.WritePolicyAsync(Policy);
        var outsider = await Here.AskAsync("GET", $"/v2/{Nginx}/manifests/latest", await Here.PullTokenAsync(Canary, Nginx), "curl/8");
        Assert.Equal($"image access denied: {Canary} is not a member of acme", outsider.Message); // the client is told as ever
        Assert.Equal(401, (await Here.SendRawAsync(
            $"GET /token?service=registry.docker.io&scope=repository:{Nginx}:pull HTTP/1.1\r\nHost: {Here.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes($"{Canary}:wrong"))}\r\n\r\n")).Status);

        await TakenInAsync(3);
        await Eventually.TrueAsync(async () => await DenialsAsync() == 2);
        await Eventually.TrueAsync(async () => (await Here.AuditAsync(1)).Any(line => Text(line, "event") == "sign-in"));
        using var admin = Surroundings.NewClient(Here.Admin);
        var metrics = await admin.GetStringAsync("/metrics");
        await Eventually.TrueAsync(IsIdle);
        var running = FilesWith(Canary);
        var database = FilesWith(isFound ? Canary : "is not a member of acme");
        await Here.Proxy.StopAsync();
        Assert.Equal((isFound, isFound), (running.Contains("audit.jsonl"), FilesWith(Canary).Any(file => file.StartsWith("usage/", StringComparison.Ordinal))));
        Assert.Contains(database, file => file.StartsWith("imageaccess.db", StringComparison.Ordinal)); // what is looked for would be found there
        if (!isFound)
        {
            Assert.Empty(running);
            Assert.Empty(FilesWith(Canary));
        }

        Assert.DoesNotContain(Canary, metrics, StringComparison.Ordinal);
        Assert.DoesNotContain(Canary, Here.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_has_the_same_pseudonym_after_a_restart_and_while_the_database_is_away()
    {
        await _room.StartAsync(On);
        Here.Hub.Users.Add(Canary, "a-password", "dckr_pat_canary");
        Assert.Equal(200, await PullAsync("bob", Nginx));
        var bob = (await CallersAsync(1))[^1];
        await Eventually.TrueAsync(IsIdle);

        await Here.RestartAsync(TakeDatabaseAway);
        Assert.Equal(200, await PullAsync("bob", Nginx));
        Assert.Equal(200, await PullAsync(Canary, Nginx)); // who is first seen
        var callers = await CallersAsync(3);
        Assert.Equal((bob, bob), (callers[0], callers[1]));
        Assert.NotEqual(bob, callers[2]);
        Assert.Empty(FilesWith(Canary));

        await Here.RestartAsync(() => Directory.Delete(Path.Combine(Here.DataDirectory, "imageaccess.db")));
        _room.Reconnect();
        await _room.ReadyAsync();
        Assert.Equal(200, await PullAsync(Canary, Nginx));
        Assert.Equal(callers[2], (await CallersAsync(4))[3]);
        await Eventually.TrueAsync(async () => await FindAsync(callers[2]) == Canary);
        Assert.Empty(FilesWith(Canary));
    }

    [Fact]
    public async Task A_replica_has_the_pseudonyms_of_the_other()
    {
        var connection = await server.CreateDatabaseAsync();
        using var keys = new TemporaryDirectory();
        await File.WriteAllTextAsync(keys["data.key"], Convert.ToBase64String([.. Enumerable.Repeat((byte)7, KeyFile.Size)]));
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(keys["data.key"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (string, string)[] settings = [On, ("Database:ConnectionString", connection), ("Data:KeyFile", keys["data.key"])];
        await using var one = await Surroundings.StartWithDatabaseAsync(settings);
        await Eventually.TrueAsync(() => HasSaltAsync(one));
        await using var two = await Surroundings.StartWithDatabaseAsync(settings);
        Assert.Equal((200, 200, 200), (await PullAsync(one, "bob"), await PullAsync(two, "bob"), await PullAsync(two, "alice")));
        Assert.Equal(200, await PullAsync(one, "alice"));
        var (first, second) = (await CallersAsync(one, 2), await CallersAsync(two, 2));
        Assert.Equal(first, second);
        Assert.NotEqual(first[0], first[1]);

        await Eventually.TrueAsync(() => IsIdle(one) && IsIdle(two));
        Assert.Equal(0, (await ForgetAsync(one, "bob", connection, keys["data.key"])).ExitCode);
        await Eventually.TrueAsync(async () => await PullAsync(two, "bob") == 200 && (await CallersAsync(two, 3))[^1] != first[0]);
        Assert.Equal(200, await PullAsync(two, "alice"));
        Assert.Equal(first[1], (await CallersAsync(two, 4))[^1]);
    }

    [Fact]
    public async Task Who_is_forgotten_is_nobody_any_more_and_has_another_pseudonym_the_next_time()
    {
        await StartAsync();
        Assert.Equal(200, await PullAsync("bob", Nginx));
        var bob = (await CallersAsync(1))[^1];
        await TakenInAsync(1);
        await Eventually.TrueAsync(async () => await FindAsync(bob) == "bob");
        var forget = await ForgetAsync(Here, "Bob", connection: null, key: null);
        Assert.Equal((0, ""), (forget.ExitCode, forget.Error));
        Assert.StartsWith(
            "forgotten: 0 decisions and the counts of 0 days, 0 denials Who the caller's pseudonym is nobody can say any more. Decisions, denials and audit files keep it, and a later pull has another one. The audit files (",
            forget.Output.ReplaceLineEndings(" "),
            StringComparison.Ordinal);
        Assert.Null(await FindAsync(bob));
        await Eventually.TrueAsync(async () => await PullAsync("bob", Nginx) == 200 && (await CallersAsync(2))[^1] != bob);
        var asked = await AskAsync("olga", bob);
        Assert.Equal((404, $"nobody can say who {bob} is"), (asked.Status, asked.Detail));
    }

    [Fact]
    public async Task Who_pulls_sees_and_asks_about_what_is_their_own()
    {
        await StartAsync();
        var denied = await Here.AskAsync("GET", $"/v2/{Community}/manifests/latest", await Here.PullTokenAsync("bob", Community), "curl/8");
        var id = denied.Header("X-ImageAccess-Decision")!;
        await TakenInAsync(1);
        await Eventually.TrueAsync(async () => await DenialsAsync() == 1);
        await Eventually.TrueAsync(IsIdle);
        var (bob, dora) = (await _room.TokenAsync("member", person: "bob"), await _room.TokenAsync("member", person: "dora"));
        foreach (var (token, count) in new[] { (bob, 1), (dora, 0) })
        {
            Assert.Equal(count, (await _room.SendAsync("GET", "/api/v1/decisions", token)).Json.GetProperty("items").GetArrayLength());
            Assert.Equal(count, (await _room.SendAsync("GET", "/api/v1/denials", token)).Json.GetProperty("items").GetArrayLength());
        }

        var body = $$"""{ "denial": "{{id}}", "reason": "for the build", "days": 3 }""";
        Assert.Equal(404, (await _room.SendAsync("POST", "/api/v1/requests", dora, body)).Status);
        Assert.Equal(201, (await _room.SendAsync("POST", "/api/v1/requests", bob, body)).Status);
    }

    [Fact]
    public async Task One_asks_another_approves_then_the_first_reads_the_name_for_an_hour()
    {
        var bob = await SeenAsync();
        var asked = await AskAsync("olga", bob);
        Assert.True(asked.Status == 202, asked.Text);
        var change = asked.Json.GetProperty("waiting");
        Assert.Equal(("caller", $"who {bob} is", "acme", "olga"), (Text(change, "kind"), change.GetProperty("opens")[0].GetString(), Text(change, "organization"), Text(change, "by")));
        await ForbiddenAsync("olga", bob); // as long as nobody has approved it
        Assert.Equal(200, (await ApproveAsync("alice", 1)).Status);
        await ForbiddenAsync("alice", bob); // who has not asked
        await ForbiddenAsync("ann", bob);
        var read = await ReadAsync("olga", bob);
        Assert.True(read.Status == 200, read.Text);
        Assert.Equal((bob, "bob"), (Text(read.Json, "pseudonym"), Text(read.Json, "name")));
        Assert.Equal(200, (await ReadAsync("olga", bob)).Status);

        var again = await ApproveAsync("ann", 1); // what was approved is not approved twice
        Assert.Equal(404, again.Status);
        await LaterAsync(TimeSpan.FromMinutes(61));
        await ForbiddenAsync("olga", bob);
        Assert.Equal(202, (await AskAsync("olga", bob)).Status); // and it takes another approval
        await ForbiddenAsync("olga", bob);

        IReadOnlyList<JsonElement> steps = [];
        await Eventually.TrueAsync(async () => (steps = [.. (await Here.AuditAsync(1)).Where(line => Text(line, "event") is "change" or "decisions-read")]).Count == 4);
        string[] expected =
            [
                $"change waiting user olga askedBy olga reason a leak opens who {bob} is",
                $"change done user alice askedBy olga reason a leak opens who {bob} is",
                $"decisions-read user olga operation caller question {bob}, change 1, approved by alice: a leak",
                $"change waiting user olga askedBy olga reason a leak opens who {bob} is",
            ];
        Assert.Equal(
            expected.Order(StringComparer.Ordinal), // changes are recorded in the background
            steps.Select(step => Text(step, "event") == "change"
                ? $"change {Text(step, "state")} user {Text(step, "user")} askedBy {Text(step, "askedBy")} reason {Text(step, "reason")} opens {step.GetProperty("opens")[0].GetString()}"
                : $"decisions-read user {Text(step, "user")} operation {Text(step, "operation")} question {Text(step, "question")}").Order(StringComparer.Ordinal));
        Assert.DoesNotContain(steps, step => step.GetRawText().Contains("bob", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Nobody_opens_it_alone_nor_without_the_right_nor_in_another_organization()
    {
        var bob = await SeenAsync();
        Assert.Equal(403, (await AskAsync("bob", bob, "member")).Status);
        Assert.Equal(404, (await AskAsync("gail", bob, "owner", "globex")).Status); // whose decisions do not have it
        Assert.Equal(404, (await AskAsync("gail", bob, "owner", "globex", """{ "reason": "a leak", "organization": "acme" }""")).Status);
        Assert.Equal(400, (await AskAsync("ann", bob, "owner", body: """{ "reason": "" }""")).Status);
        Assert.Equal(404, (await AskAsync("ann", "caller-0123456789abcdef01234567", "owner")).Status);
        Assert.Equal(404, (await AskAsync("ann", "bob", "owner")).Status);
        var nobodys = await _room.SendAsync("POST", $"/api/v1/usage/callers/{bob}/open", await _room.TokenAsync("owner"), """{ "reason": "a leak" }""");
        Assert.Equal((403, "who a caller is is told to a person, and this token is nobody's"), (nobodys.Status, nobodys.Detail));

        Assert.Equal(202, (await AskAsync("ann", bob, "owner")).Status);
        var twice = await AskAsync("ann", bob, "owner");
        Assert.Equal((409, "the change 1 of ann waits for the same already"), (twice.Status, twice.Detail));
        var own = await ApproveAsync("ann", 1);
        Assert.Equal((403, "ann asked for the change 1: another person has to approve it"), (own.Status, own.Detail));
        var otherHand = await _room.SendAsync("POST", "/api/v1/changes/1/approve", await _room.TokenAsync("administrator", person: "ann", label: "the other hand"));
        Assert.Equal((403, own.Detail), (otherHand.Status, otherHand.Detail));
        Assert.Equal(403, (await ApproveAsync("bob", 1, "member")).Status);
        Assert.Equal(403, (await ApproveAsync("olga", 1, "auditor")).Status); // who may ask
        Assert.Equal(404, (await ApproveAsync("gail", 1, "owner", "globex")).Status);
        await ForbiddenAsync("ann", bob);
        Assert.Equal(200, (await _room.SendAsync("POST", "/api/v1/changes/1/decline", await _room.TokenAsync("owner", person: "alice"), """{ "reason": "no" }""")).Status);
        await ForbiddenAsync("ann", bob);
        Assert.Equal(404, (await ApproveAsync("alice", 1)).Status);
    }

    /// <summary>Every organization's owner, where nobody has to be another organization's.</summary>
    [Fact]
    public async Task A_company_owner_opens_what_any_organization_has_with_another_company_owner_alone()
    {
        var bob = await SeenAsync();
        await _room.ImportAsync(Policy.Replace("[ \"carol\" ]", "[ \"carol\", \"cyd\" ]", StringComparison.Ordinal));
        Assert.Equal(202, (await AskAsync("carol", bob, "company-owner", null)).Status);
        Assert.Equal(404, (await ApproveAsync("alice", 1)).Status);
        Assert.Equal(200, (await ApproveAsync("cyd", 1, "company-owner", null)).Status);
        Assert.Equal("bob", Text((await ReadAsync("carol", bob, "company-owner", null)).Json, "name"));
    }

    private async Task StartAsync()
    {
        await _room.StartAsync(On);
        await Here.WritePolicyAsync(Policy);
    }

    /// <summary>The pseudonym of bob, who has pulled in acme, once everything knows it.</summary>
    private async Task<string> SeenAsync()
    {
        await StartAsync();
        Assert.Equal(200, await PullAsync("bob", Nginx));
        var bob = (await CallersAsync(1))[0];
        await TakenInAsync(1);
        await Eventually.TrueAsync(async () => await FindAsync(bob) == "bob");
        return bob;
    }

    private async Task<ApiAnswer> AskAsync(string person, string pseudonym, string role = "auditor", string? organization = "acme", string body = """{ "reason": "a leak" }""") =>
        await _room.SendAsync("POST", $"/api/v1/usage/callers/{pseudonym}/open", await _room.TokenAsync(role, organization, person), body);

    private async Task<ApiAnswer> ApproveAsync(string person, int change, string role = "owner", string? organization = "acme") =>
        await _room.SendAsync("POST", FormattableString.Invariant($"/api/v1/changes/{change}/approve"), await _room.TokenAsync(role, organization, person));

    private async Task<ApiAnswer> ReadAsync(string person, string pseudonym, string role = "auditor", string? organization = "acme") =>
        await _room.SendAsync("GET", $"/api/v1/usage/callers/{pseudonym}", await _room.TokenAsync(role, organization, person));

    private async Task ForbiddenAsync(string person, string pseudonym)
    {
        var answer = await ReadAsync(person, pseudonym, person == "olga" ? "auditor" : "owner");
        Assert.Equal(
            (403, $"{pseudonym} is not open to {person}: ask for it, and another person has to approve it; who has asked may then read the name for an hour"), (answer.Status, answer.Detail));
    }

    /// <summary>What was approved was so this much earlier.</summary>
    private Task LaterAsync(TimeSpan by) => _room.Database.WriteAsync(
        async context =>
        {
            foreach (var row in await context.PendingChanges.Where(row => row.State == PendingChangeRow.Done).ToListAsync())
                row.DecidedAt -= by;
            await context.SaveChangesAsync();
        },
        default);

    private Task<int> DenialsAsync() => _room.Database.ReadAsync(context => context.Denials.CountAsync(), default);

    private Task<string?> FindAsync(string pseudonym) => _room.Database.ReadAsync(context => new PseudonymTable(context, _room.Service<KeyFile>()).FindAsync(pseudonym, default), default);

    private Task TakenInAsync(int count) => Eventually.TrueAsync(async () => (await _room.Service<UsageStore>().ListAsync(new UsageFilter(), null, 100, default)).Count >= count);

    private bool IsIdle() => IsIdle(Here);

    private static bool IsIdle(Surroundings here) => here.Proxy.Services.GetServices<IDatabaseWriter>().All(writer => !writer.IsWaiting);

    private static Task<bool> HasSaltAsync(Surroundings here) => here.Proxy.Services.GetRequiredService<DatabaseState>().Ready.IsCompleted
        ? here.Proxy.Services.GetRequiredService<SqlDatabase>().ReadAsync(context => context.Pseudonyms.AnyAsync(row => row.Pseudonym == PseudonymRow.Salt), default)
        : Task.FromResult(false);

    private void TakeDatabaseAway()
    {
        foreach (var file in Directory.GetFiles(Here.DataDirectory, "imageaccess.db*"))
            File.Delete(file);
        Directory.CreateDirectory(Path.Combine(Here.DataDirectory, "imageaccess.db"));
    }

    private Task<int> PullAsync(string caller, string repository) => PullAsync(Here, caller, repository);

    private static async Task<int> PullAsync(Surroundings here, string caller, string repository = Nginx) =>
        (await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await here.PullTokenAsync(caller, repository), "curl/8")).Status;

    private Task<List<string>> CallersAsync(int count) => CallersAsync(Here, count);

    /// <summary>Who pulled, as the trail says it.</summary>
    private static async Task<List<string>> CallersAsync(Surroundings here, int count)
    {
        List<string> callers = [];
        await Eventually.TrueAsync(async () => (callers = [.. (await here.AuditAsync(1)).Where(line => line.TryGetProperty("repository", out _)).Select(line => Text(line, "caller")!)]).Count >= count);
        Assert.All(callers, caller => Assert.True(Pseudonyms.Is(caller), caller));
        return callers;
    }

    /// <summary>The files of the data directory that have the text, with their folders.</summary>
    private List<string> FilesWith(string text) =>
    [
        .. FilesThere.Of(Here.DataDirectory).Where(file => file.Content.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0)
            .Select(file => Path.GetRelativePath(Here.DataDirectory, file.Path).Replace('\\', '/')),
    ];

    /// <summary>The verb, while the proxy runs.</summary>
    private static async Task<CommandLine> ForgetAsync(Surroundings here, string caller, string? connection, string? key)
    {
        var data = new Dictionary<string, string> { ["Directory"] = here.DataDirectory };
        if (key is not null)
            data["KeyFile"] = key;
        var configuration = new Dictionary<string, object> { ["Data"] = data };
        using var directory = new TemporaryDirectory();
        if (connection is not null)
        {
            await File.WriteAllTextAsync(directory["connection"], connection);
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(directory["connection"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
            configuration["Database"] = new Dictionary<string, string> { ["ConnectionStringFile"] = directory["connection"] };
        }

        await File.WriteAllTextAsync(directory["imageaccess.json"], JsonSerializer.Serialize(configuration));
        return await CommandLine.RunAsync("usage", "forget", caller, "--reason", "ticket 7", "--config", directory["imageaccess.json"]);
    }

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
}
