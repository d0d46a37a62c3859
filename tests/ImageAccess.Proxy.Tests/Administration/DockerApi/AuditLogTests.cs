using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.DockerApi;

/// <summary>What collects Docker Hub's audit logs collects what administrators did here: all of it, once.</summary>
public sealed class AuditLogTests : IAsyncLifetime
{
    private readonly ApiRoom _room = new();
    private string _owner = "";

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.ImportAsync(ApiRoom.Policy);
        _owner = await _room.TokenAsync("owner");
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_collector_that_polls_while_changes_happen_gets_each_entry_once()
    {
        var done = false;
        var changes = Task.Run(async () =>
        {
            for (var i = 0; i < 40; i++)
                await _room.ExceptionAsync();
            done = true;
        });
        var (collected, from, last) = (new List<string>(), "2000-01-01T00:00:00Z", false);
        while (!last)
        {
            last = done;
            var to = Time(DateTimeOffset.UtcNow);
            for (var (page, isFull) = (1, true); isFull; page++)
            {
                var logs = await LogsAsync($"from={from}&to={to}&page={page}&page_size=7&action=exception.grant");
                Assert.Equal(logs.Select(Stamp).OrderDescending(), logs.Select(Stamp));
                collected.AddRange(logs.Select(log => log.GetProperty("name").GetString()!));
                isFull = logs.Count == 7;
            }

            from = to;
        }

        await changes;
        collected.AddRange((await LogsAsync($"from={from}&page_size=100&action=exception.grant")).Select(log => log.GetProperty("name").GetString()!));
        var made = await _room.Database.ReadAsync(context => context.Exceptions.Select(row => row.Image).ToListAsync(), default);
        Assert.Equal(made.Order(), collected.Order());
    }

    /// <summary>A replica whose clock is behind, and a block that the database learns of late: what was told already does not change.</summary>
    [Fact]
    public async Task What_is_entered_late_comes_after_what_was_told()
    {
        var before = await LogsAsync("page_size=100");
        var to = Stamp(before[0]).AddHours(-1);
        await _room.Database.WriteAsync(
            async context =>
            {
                var sequence = await SequenceRow.RaiseAsync(context, "blocks", default);
                context.Blocks.Add(new BlockRow { Key = "late", Image = "evil/late", Reason = "malware", By = "root", AtTicks = to.UtcTicks, Version = sequence.Value + 1000 });
                await context.SaveChangesAsync();
            },
            default);
        var now = DateTimeOffset.UtcNow;
        var late = Assert.Single(await LogsAsync("page_size=100&action=block.add"));
        Assert.True(Stamp(late) >= Stamp(before[0]));
        var slow = new ActivityLog(_room.Database, new ManualTime(now.AddMinutes(-4)));
        Assert.Equal(before.Count, (await slow.ReadAsync(new ActivityQuery("acme", 1, 100) { Before = Stamp(late) }, default)).Count);
    }

    [Fact]
    public async Task Each_organization_sees_its_own_part_with_who_what_and_why()
    {
        await _room.SendAsync("PUT", "/v2/orgs/acme/settings?reason=a+trial", _owner, DockerClient.Images(true, true, true));
        await _room.SendAsync("POST", "/api/v1/blocks", _owner, """{ "image": "evil/tool", "reason": "malware" }""");
        await _room.ExceptionAsync("globex");
        await _room.RequestAsync();
        var waited = false;
        await Eventually.TrueAsync(async () => waited = (await LogsAsync("page_size=100")).Any(log => log.GetProperty("action").GetString() == "block.add"));
        Assert.True(waited);

        var acme = await LogsAsync("page_size=100");
        Assert.DoesNotContain(acme, log => log.GetRawText().Contains("globex", StringComparison.Ordinal));
        Assert.Equal(
            ["block.add", "policy.change", "request.asked", "token.create"],
            acme.Select(log => Text(log, "action")).Distinct().Order(StringComparer.Ordinal));
        var change = Assert.Single(await LogsAsync("action=policy.change&actor=token%201"));
        Assert.Equal(
            ("acme", "changed the organization's section of the policy", "token 1", "acme", "a trial", "organization acme: verified publisher images allowed"),
            (Text(change, "account"), Text(change, "action_description"), Text(change, "actor"), Text(change, "name"), Text(change.GetProperty("data"), "reason"), Text(change.GetProperty("data"), "opens")));
        Assert.Equal(["block.add"], (await LogsAsync("name=evil/tool")).Select(log => Text(log, "action")));
        Assert.Empty(await LogsAsync("actor=nobody"));
        Assert.Contains("exception.grant", (await LogsAsync("", "globex", await _room.TokenAsync("auditor", "globex"))).Select(log => Text(log, "action")));

        var actions = (await _room.SendAsync("GET", "/v2/auditlogs/acme/actions/", _owner)).Json.GetProperty("actions");
        var named = actions.EnumerateObject().SelectMany(group => group.Value.GetProperty("actions").EnumerateArray()).Select(action => Text(action, "name")).ToList();
        Assert.All(acme, log => Assert.Contains(Text(log, "action"), named));
    }

    /// <summary>They stand in a file, and their steps come to the log once each, also after a restart and from a database that was away.</summary>
    [Fact]
    public async Task Emergencies_are_in_the_log_of_their_organization()
    {
        var made = await _room.BreakGlassAsync();
        await _room.BreakGlassAsync("globex");
        var desk = _room.Service<ChangeDesk>();
        await desk.EndBreakGlassAsync(made.Id, new ChangeRequest(Actor.Server("eve"), "it is over"), default);
        await desk.ReviewBreakGlassAsync(made.Id, new ChangeRequest(Actor.Server("root"), "it was right"), default);
        string[] expected =
        [
            $"break-glass.begun eve {made.Words()} because", $"break-glass.ended eve {made.Words()} it is over", $"break-glass.reviewed root {made.Words()} it was right",
        ];
        await SeesAsync();
        await _room.Here.RestartAsync();
        _room.Reconnect();
        await _room.ReadyAsync();
        await Eventually.TrueAsync(() => !_room.Service<IEnumerable<IDatabaseWriter>>().OfType<EmergencyRecorder>().Single().IsWaiting);
        await SeesAsync();

        async Task SeesAsync()
        {
            IEnumerable<string> found = [];
            await Eventually.TrueAsync(async () =>
                (found = (await LogsAsync("page_size=100")).Where(log => Text(log, "action").StartsWith("break-glass", StringComparison.Ordinal))
                    .Select(log => $"{Text(log, "action")} {Text(log, "actor")} {Text(log, "name")} {Text(log.GetProperty("data"), "reason")}").Order(StringComparer.Ordinal).ToList()).Count() >= 3);
            Assert.Equal(expected, found);
        }
    }

    [Fact]
    public async Task Members_and_others_read_nothing_and_a_bad_filter_is_named()
    {
        Assert.Equal(403, (await _room.SendAsync("GET", "/v2/auditlogs/acme", await _room.TokenAsync("member"))).Status);
        Assert.Equal(404, (await _room.SendAsync("GET", "/v2/auditlogs/acme", await _room.TokenAsync("owner", "globex"))).Status);
        Assert.Equal(404, (await _room.SendAsync("GET", "/v2/auditlogs/umbrella", await _room.TokenAsync("company-owner", null))).Status);
        foreach (var (query, detail) in new[]
        {
            ("page=0", "page must be 1 to 10000"), ("page_size=101", "page_size must be 1 to 100"), ("from=yesterday", "from 'yesterday' is no time, as 2027-01-31T12:00:00Z"),
            ("pagesize=5", "unknown parameter pagesize; known are: action, name, actor, from, to, page, page_size"), ("actor=a&actor=b", "the parameter actor comes twice"),
        })
        {
            var answer = await _room.SendAsync("GET", $"/v2/auditlogs/acme?{query}", _owner);
            Assert.Equal((400, detail), (answer.Status, answer.Detail));
        }
    }

    private async Task<IReadOnlyList<JsonElement>> LogsAsync(string query, string organization = "acme", string? token = null)
    {
        var answer = await _room.SendAsync("GET", $"/v2/auditlogs/{organization}?{query}", token ?? _owner);
        Assert.True(answer.Status == 200, answer.Text);
        return [.. answer.Json.GetProperty("logs").EnumerateArray()];
    }

    private static DateTimeOffset Stamp(JsonElement log) => log.GetProperty("timestamp").GetDateTimeOffset();

    private static string Text(JsonElement element, string member) => element.GetProperty(member).GetString()!;

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
