using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>The policy document of the database, where two persons are demanded: what opens waits by whichever way it comes, and what closes does not.</summary>
public sealed class PolicyChangeTests : IAsyncLifetime, IDisposable
{
    private const string Beta = """{ "name": "beta", "enabled": true, "owners": [ "nina", "olga" ] }""";

    private readonly ChangeRoom _room = new();

    private static string Document { get; } = ChangeRoom.DocumentWith();

    private static string Open { get; } = Document.Replace("\"beta\", \"enabled\": true", "\"beta\", \"enabled\": true, \"allow\": { \"community\": true }", StringComparison.Ordinal);

    public async Task InitializeAsync()
    {
        await _room.Database.MigrateAsync(default);
        await _room.ImportAsync(Document);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task A_document_that_opens_waits_for_a_second_company_owner()
    {
        var asked = await _room.ApplyAsync("zoe", Open, ticket: "OPS-7");
        Assert.Null(asked.Done);
        Assert.Equal(("policy", null, "organization beta: community images allowed"), (asked.Waiting!.Kind, asked.Waiting.Organization, Assert.Single(asked.Waiting.Opens)));
        Assert.Single(await _room.VersionsAsync());

        await ForbiddenAsync("zoe asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("zoe"), default));
        await UnknownAsync("there is no change 1; imageaccess changes list names those that wait", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("dan"), default));
        Assert.Single(await _room.VersionsAsync());

        await _room.Desk.ApproveAsync(1, Actor.Server("root"), default);
        var version = (await _room.VersionsAsync())[0];
        Assert.Equal(("zoe and root", "because", "OPS-7", "organization beta: community images allowed"), (version.Who, version.Why, version.Ticket, Assert.Single(version.Opens)));
    }

    [Theory]
    [InlineData("\"approvals\": 2", "\"approvals\": 1")]
    [InlineData("\"companyOwners\": [ \"zoe\" ]", "\"companyOwners\": [ \"zoe\", \"yan\" ]")]
    [InlineData("\"administrators\": [ \"dan\", \"eve\" ]", "\"administrators\": [ \"dan\", \"eve\", \"yan\" ]")]
    [InlineData("\"name\": \"beta\", \"enabled\": true", "\"name\": \"beta\", \"enabled\": false")]
    [InlineData("\"exceptions\": {}", "\"exceptions\": {}, \"company\": true")]
    public async Task Each_way_to_open_waits_lowering_the_demand_itself_included(string before, string after)
    {
        Assert.NotNull((await _room.ApplyAsync("zoe", Document.Replace(before, after, StringComparison.Ordinal))).Waiting);
        Assert.Single(await _room.VersionsAsync());
    }

    [Fact]
    public async Task A_section_that_opens_waits_and_its_own_administrator_approves_it()
    {
        var asked = await _room.ApplyAsync("nina", Beta.Replace("true", "true, \"mode\": \"observe\"", StringComparison.Ordinal), "beta");
        Assert.Equal(("beta", "organization beta: observes instead of enforcing"), (asked.Waiting!.Organization, Assert.Single(asked.Waiting.Opens)));
        await UnknownAsync("there is no change 1; imageaccess changes list names those that wait", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("dan"), default));
        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("olga"), default);
        Assert.Equal("nina and olga", (await _room.VersionsAsync())[0].Who);
    }

    [Fact]
    public async Task Who_may_not_change_it_asks_for_nothing()
    {
        await ForbiddenAsync("dan may not do this", () => _room.ApplyAsync("dan", Open));
        await ForbiddenAsync("dan may not do this in beta", () => _room.ApplyAsync("dan", Beta, "beta"));
        await ForbiddenAsync("gus may not do this in acme", () => _room.ApplyAsync("gus", """{ "name": "acme" }""", "acme"));
        Assert.Empty(await _room.Desk.ListWaitingAsync(null, default));
    }

    [Fact]
    public async Task What_closes_is_done_at_once()
    {
        var open = await Opened();
        var done = await _room.ApplyAsync("nina", Beta, "beta");
        Assert.Equal((open, "nina"), (done.Done!.PreviousVersion, done.Done.Who));
    }

    [Fact]
    public async Task Going_back_to_what_was_more_open_waits_too()
    {
        var open = await Opened();
        await _room.ApplyAsync("nina", Beta, "beta");
        var asked = await _room.ApplyAsync(ChangeRoom.Person("zoe"), new PolicyEdit { Version = open });
        Assert.Equal("organization beta: community images allowed", Assert.Single(asked.Waiting!.Opens));
        await _room.Desk.ApproveAsync(asked.Waiting.Id, Actor.Server("root"), default);
        Assert.Equal(open, (await _room.VersionsAsync())[0].Version);
    }

    /// <summary>Joined with what came since it would be a change that nobody has seen.</summary>
    [Fact]
    public async Task What_somebody_else_has_changed_since_ends_a_change_that_waits()
    {
        await _room.ApplyAsync("zoe", Open);
        await _room.ApplyAsync("nina", Beta.Replace("\"olga\" ]", "\"olga\" ], \"help\": \"ask\"", StringComparison.Ordinal), "beta");
        var refused = await Assert.ThrowsAsync<OutdatedChangeException>(() => _room.Desk.ApproveAsync(1, Actor.Server("root"), default));
        Assert.Contains("nina changed it", refused.Message, StringComparison.Ordinal);
        Assert.Equal(PendingChangeRow.Ended, (await _room.ChangeAsync(1)).State);
        Assert.Equal(2, (await _room.VersionsAsync()).Count);
    }

    /// <summary>When it was planned it opened nothing.</summary>
    [Fact]
    public async Task What_opens_by_what_somebody_else_has_changed_just_now_is_not_done_alone()
    {
        await Opened();
        var open = Beta.Replace("true", "true, \"allow\": { \"community\": true }, \"help\": \"ask\"", StringComparison.Ordinal);
        var desk = new ChangeDesk(
            _room.Database,
            new PolicyStoreOptions { Source = "database", DataDirectory = _room.Data },
            () => _room.Policy,
            new InterruptedTime(_room.Time, () => _room.ApplyAsync("olga", Beta, "beta").GetAwaiter().GetResult()));
        var edit = new PolicyEdit { Content = System.Text.Encoding.UTF8.GetBytes(open), Organization = "beta" };
        var refused = await Assert.ThrowsAsync<RefusedChangeException>(() => desk.ChangePolicyAsync(edit, new ChangeRequest(Actor.Server("root"), "because"), default));
        Assert.Equal("somebody else has changed the policy just now, and the change opens something by that: try again", refused.Message);
        Assert.Equal("olga", (await _room.VersionsAsync())[0].Who);
        Assert.NotNull((await desk.ChangePolicyAsync(edit, new ChangeRequest(Actor.Server("root"), "because"), default)).Waiting);
    }

    [Fact]
    public async Task A_ticket_is_demanded_where_one_person_is_enough()
    {
        using var room = new ChangeRoom();
        await room.Database.MigrateAsync(default);
        await room.ImportAsync(ChangeRoom.DocumentWith(approvals: 1, ticket: true));
        var open = """{ "name": "beta", "enabled": true, "owners": [ "nina", "olga" ], "allow": { "community": true } }""";
        await Assert.ThrowsAsync<FaultyChangeException>(() => room.ApplyAsync("nina", open, "beta"));
        Assert.Equal("OPS-1", (await room.ApplyAsync("nina", open, "beta", "OPS-1")).Done!.Ticket);
    }

    [Fact]
    public async Task A_ticket_is_demanded_of_what_opens_alone()
    {
        await _room.ApplyAsync("zoe", Document.Replace("\"ticket\": false", "\"ticket\": true", StringComparison.Ordinal));
        var faulty = await Assert.ThrowsAsync<FaultyChangeException>(() => _room.ApplyAsync("zoe", Open.Replace("\"ticket\": false", "\"ticket\": true", StringComparison.Ordinal)));
        Assert.Equal("ticket is missing: the policy demands one for whatever opens (changes.ticket)", faulty.Message);
        Assert.Equal("OPS-1", (await _room.ApplyAsync("zoe", Open.Replace("\"ticket\": false", "\"ticket\": true", StringComparison.Ordinal), ticket: "OPS-1")).Waiting!.Ticket);
    }

    [Fact]
    public async Task A_reason_of_5000_characters_and_a_document_with_problems_ask_for_nothing()
    {
        await Assert.ThrowsAsync<FaultyChangeException>(() => _room.Desk.ChangePolicyAsync(
            new PolicyEdit { Version = _room.Policy.Version }, new ChangeRequest(ChangeRoom.Person("zoe"), new string('x', 5000)), default));
        var refused = await Assert.ThrowsAsync<MalformedPolicyException>(() => _room.ApplyAsync("zoe", """{ "organisations": [] }"""));
        Assert.StartsWith("organisations: unknown member", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await _room.Desk.ListWaitingAsync(null, default));
    }

    [Fact]
    public async Task An_import_opens_nothing_that_takes_two()
    {
        var edits = new PolicyEdits(_room.Database, new PolicyStoreOptions { Source = "database", DataDirectory = _room.Data }, _room.Time);
        var refused = await Assert.ThrowsAsync<RefusedChangeException>(() => edits.ImportAsync(
            System.Text.Encoding.UTF8.GetBytes(Open), _room.Policy, new PolicyAuthor("root", "moved"), default));
        Assert.Equal(
            "the document opens something, which takes two persons (changes.approvals): import the policy as it is, then change it with imageaccess policy apply", refused.Message);
    }

    [Fact]
    public async Task A_token_that_does_more_than_read_is_good_once_it_is_approved()
    {
        var grant = new TokenGrant { Role = "administrator", Organization = "acme", Person = "dan", Label = "ci" };
        var made = await _room.Desk.CreateTokenAsync(grant, new ChangeRequest(ChangeRoom.Person("dan"), "for the pipeline"), default);
        Assert.True((await TokenAsync(made.Row.Id)).Waits);
        Assert.Equal("a token 'ci' with the role administrator of acme for dan", Assert.Single(made.Waiting!.Opens));
        Assert.DoesNotContain(made.Secret, made.Waiting.Payload, StringComparison.Ordinal);
        await ForbiddenAsync("dan asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("dan"), default));
        await ForbiddenAsync("fay may not do this in acme", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("fay"), default));
        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default);
        Assert.False((await TokenAsync(made.Row.Id)).Waits);

        var reader = await _room.Desk.CreateTokenAsync(grant with { Role = "auditor" }, new ChangeRequest(ChangeRoom.Person("dan"), ""), default);
        Assert.Null(reader.Waiting);
        Assert.False((await TokenAsync(reader.Row.Id)).Waits);
    }

    private Task<ApiTokenRow> TokenAsync(long id) => _room.Database.ReadAsync(context => context.ApiTokens.SingleAsync(row => row.Id == id), default);

    /// <summary>The version that allows community images in beta, approved by two.</summary>
    private async Task<string> Opened()
    {
        var asked = await _room.ApplyAsync("zoe", Open);
        await _room.Desk.ApproveAsync(asked.Waiting!.Id, Actor.Server("root"), default);
        return (await _room.VersionsAsync())[0].Version;
    }

    private static async Task ForbiddenAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<ForbiddenChangeException>(act)).Message);

    private static async Task UnknownAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<UnknownChangeException>(act)).Message);

    /// <summary>A clock whose first look is interrupted.</summary>
    private sealed class InterruptedTime(TimeProvider time, Action act) : TimeProvider
    {
        private Action? _act = act;

        public override DateTimeOffset GetUtcNow()
        {
            Interlocked.Exchange(ref _act, null)?.Invoke();
            return time.GetUtcNow();
        }
    }
}
