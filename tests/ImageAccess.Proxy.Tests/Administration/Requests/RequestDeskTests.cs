using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Administration.Changes;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Requests;

/// <summary>Who asks for access, who answers, and what becomes of it.</summary>
[Collection(PostgresRoom.Name)]
public sealed class RequestDeskTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private RequestRoom _room = new();

    public Task InitializeAsync() => _room.Database.MigrateAsync(default);

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_asked_for_is_approved_and_comes(bool isPostgres)
    {
        await UseAsync(isPostgres);
        Assert.Equal("deny", await _room.VerdictAsync("bob", "bitnami/redis"));
        var asked = await _room.AskAsync("bob", "docker.io/bitnami/redis", days: 20, ticket: "OPS-1");
        Assert.True(asked.IsNew);
        Assert.Equal((1, "bitnami/redis", "open"), (asked.Request.Id, asked.Request.Row.Image, asked.Request.Row.State));
        var voice = Assert.Single(asked.Request.Voices);
        Assert.Equal(("bob", "for the build", 20, "OPS-1"), (voice.Person, voice.Reason, voice.Days, voice.Ticket));
        Assert.Equal("open: acme open", await _room.StateAsync(1));

        _room.Time.Advance(TimeSpan.FromHours(1));
        Assert.Null((await _room.ApproveAsync(1, "kim", comment: "for a while")).Waiting);
        Assert.Equal("approved: acme approved", await _room.StateAsync(1));
        var granted = Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal(
            ("acme", "bitnami/redis", "for a while", "bob", "kim", "OPS-1"),
            (granted.Organization, granted.Image, granted.Reason, granted.AskedBy, granted.ApprovedBy, granted.Ticket));
        Assert.Equal(new DateTimeOffset(2026, 6, 21, 13, 0, 0, TimeSpan.Zero), granted.Until);
        var answer = Assert.Single((await _room.FindAsync(1)).Answers);
        Assert.Equal(("kim", "for a while", "bitnami/redis", granted.Id, granted.Until), (answer.By, answer.Comment, answer.Image, answer.Exception, answer.Until));
        Assert.Equal("allow", await _room.VerdictAsync("bob", "bitnami/redis"));
        _room.Time.Advance(TimeSpan.FromDays(20));
        Assert.Equal("deny", await _room.VerdictAsync("bob", "bitnami/redis"));

        await RefusedAsync("the request 1 is over: approved, 2026-06-01 13:00Z", () => _room.ApproveAsync(1, "dan"));
        await RefusedAsync("the request 1 is over: approved, 2026-06-01 13:00Z", () => _room.DeclineAsync(1, "dan"));
        await RefusedAsync("the request 1 is over: approved, 2026-06-01 13:00Z", () => _room.WithdrawAsync(1, "bob"));
        Assert.Equal(["1 asked - by bob for bob: open", "1 approved acme by kim for bob: approved"], await _room.StepsAsync());
        Assert.Equal(2, (await _room.AskAsync("bob")).Request.Id); // and may be asked for again
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_two_organizations_that_deny_each_has_to_approve(bool isPostgres)
    {
        await UseAsync(isPostgres);
        Assert.Equal(["acme", "beta"], (await _room.AskAsync("dora")).Request.Row.Organizations); // gamma only observes
        await FaultyAsync("organization is missing: say for which, acme or beta", () => _room.ApproveAsync(1, "zoe"));
        await ForbiddenAsync("fay may not do this in beta", () => _room.ApproveAsync(1, "fay", new RequestApproval { Organization = "beta" }));
        await FaultyAsync("organization 'gamma' does not deny it: acme, beta", () => _room.ApproveAsync(1, "zoe", new RequestApproval { Organization = "gamma" }));

        await _room.ApproveAsync(1, "fay");
        Assert.Equal("open: acme approved, beta open", await _room.StateAsync(1));
        Assert.Equal("deny", await _room.VerdictAsync("dora", "bitnami/redis"));
        Assert.Equal("allow", await _room.VerdictAsync("bob", "bitnami/redis")); // for whom beta says nothing
        await RefusedAsync("fay has approved the request 1 for acme already", () => _room.ApproveAsync(1, "kim"));

        await _room.ApproveAsync(1, "zoe"); // the one that is left
        Assert.Equal("approved: acme approved, beta approved", await _room.StateAsync(1));
        Assert.Equal(["acme by fay", "beta by zoe"], (await _room.Changes.ExceptionsAsync()).Select(row => $"{row.Organization} by {row.ApprovedBy}"));
        Assert.Equal("observe", await _room.VerdictAsync("dora", "bitnami/redis")); // gamma would deny it, and only observes
        Assert.Equal(
            ["1 asked - by dora for dora: open", "1 approved acme by fay for dora: open", "1 approved beta by zoe for dora: approved"], await _room.StepsAsync());
    }

    [Fact]
    public async Task An_approval_may_end_at_a_moment_within_what_was_asked_for()
    {
        await _room.AskAsync("bob", days: 2);
        var now = _room.Time.GetUtcNow();
        await FaultyAsync("until must be within 2 days from now: it was asked for no longer", () => _room.ApproveAsync(1, "kim", new RequestApproval { Until = now.AddDays(2).AddSeconds(1) }));
        await FaultyAsync("until and days exclude each other: choose one of them", () => _room.ApproveAsync(1, "kim", new RequestApproval { Until = now.AddHours(1), Days = 1 }));
        await FaultyAsync("it would end 2026-06-01 12:00Z, which is in the past", () => _room.ApproveAsync(1, "kim", new RequestApproval { Until = now }));
        await _room.ApproveAsync(1, "kim", new RequestApproval { Until = now.AddSeconds(90) });
        Assert.Equal(now.AddSeconds(90), Assert.Single(await _room.Changes.ExceptionsAsync()).Until);
        Assert.Equal("allow", await _room.VerdictAsync("bob", "bitnami/redis"));
        _room.Time.Advance(TimeSpan.FromSeconds(89.999));
        Assert.Equal("allow", await _room.VerdictAsync("bob", "bitnami/redis"));
        _room.Time.Advance(TimeSpan.FromSeconds(0.001));
        Assert.Equal("deny", await _room.VerdictAsync("bob", "bitnami/redis"));
    }

    /// <summary>An exception is for the organization's members: one that nobody of them wants is none.</summary>
    [Fact]
    public async Task Who_has_left_since_gets_no_exception_and_counts_no_more()
    {
        await _room.AskAsync("bob", days: 90, reason: "mine", ticket: "OPS-1");
        await _room.AskAsync("bob", "bitnami/kafka");
        await _room.AskAsync("cleo", days: 10, reason: "ours");
        _room.Use(members: """ "cleo", "fay" """);
        await RefusedAsync("nobody who asks for bitnami/kafka by the request 2 belongs to acme any more: decline it", () => _room.ApproveAsync(2, "kim"));
        await FaultyAsync("days must be 1 to 10: it was asked for no longer", () => _room.ApproveAsync(1, "kim", new RequestApproval { Days = 11 }));
        await _room.ApproveAsync(1, "kim");
        var granted = Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal(("cleo", "ours", null, _room.Time.GetUtcNow().AddDays(10)), (granted.AskedBy, granted.Reason, granted.Ticket, granted.Until));
        await _room.DeclineAsync(2, "kim");
        Assert.Equal("declined: acme declined", await _room.StateAsync(2));
    }

    [Fact]
    public async Task Who_leaves_between_two_approvals_gets_no_exception()
    {
        _room.Use(approvals: 2);
        await _room.AskAsync("bob");
        await _room.ApproveAsync(1, "kim");
        _room.Use(approvals: 2, members: """ "cleo", "fay" """);
        await RefusedAsync("nobody who asks for bitnami/redis by the request 1 belongs to acme any more: decline it", () => DecideAsync(1, "dan"));
        Assert.Empty(await _room.Changes.ExceptionsAsync());
        Assert.Equal("open: acme waiting", await _room.StateAsync(1));
    }

    [Fact]
    public async Task One_organization_that_declines_ends_it_and_the_other_ones_exception_stays()
    {
        await _room.AskAsync("dora");
        await _room.ApproveAsync(1, "fay");
        await _room.DeclineAsync(1, "ned");
        Assert.Equal("declined: acme approved, beta declined", await _room.StateAsync(1));
        Assert.Equal(("ned", "use valkey"), ((await _room.FindAsync(1)).Answers[1].By, (await _room.FindAsync(1)).Answers[1].Comment));
        Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal(["beta"], (await _room.AskAsync("dora")).Request.Row.Organizations); // acme denies it no longer
    }

    [Fact]
    public async Task The_same_image_asked_for_by_several_is_one_request_with_several_voices()
    {
        await _room.AskAsync("bob", days: 10);
        var joined = await _room.AskAsync("cleo", "index.docker.io/bitnami/redis", days: 25, reason: "for the tests", ticket: "OPS-2");
        Assert.Equal((1, false), (joined.Request.Id, joined.IsNew));
        await RefusedAsync("bob asks for bitnami/redis already: request 1", () => _room.AskAsync("bob"));
        await RefusedAsync("bob asks for bitnami/redis already: request 1", () => _room.AskAsync("Bob"));
        Assert.Equal(2, (await _room.AskAsync("hank")).Request.Id); // beta's; neither is told of the other
        Assert.Equal(3, (await _room.AskAsync("dora")).Request.Id);
        Assert.Equal(4, (await _room.AskAsync("cleo", "bitnami/redis:7")).Request.Id);

        await _room.ApproveAsync(1, "kim");
        var granted = Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal(("bob, cleo", "for the tests", "OPS-2"), (granted.AskedBy, granted.Reason, granted.Ticket)); // of the longest
        Assert.Equal(_room.Time.GetUtcNow().AddDays(25), granted.Until);
        Assert.Equal("1 approved acme by kim for bob+cleo: approved", (await _room.StepsAsync())[^1]);
    }

    [Fact]
    public async Task Where_two_have_to_approve_it_waits_and_nobody_who_asked_is_one_of_them()
    {
        _room.Use(approvals: 2);
        await _room.AskAsync("bob");
        await _room.AskAsync("fay");
        await ForbiddenAsync("fay has asked for the request 1: another person has to approve it", () => _room.ApproveAsync(1, "fay"));
        var outcome = await _room.ApproveAsync(1, "kim", comment: "fine");
        Assert.Equal(("exception", "kim", "fine", "waiting"), (outcome.Waiting!.Kind, outcome.Waiting.By, outcome.Waiting.Reason, outcome.Waiting.State));
        Assert.Equal("open: acme waiting", await _room.StateAsync(1));
        Assert.Empty(await _room.Changes.ExceptionsAsync());
        await RefusedAsync("kim has approved the request 1 for acme already, and it waits for a second person: change 1", () => _room.ApproveAsync(1, "dan"));

        await ForbiddenAsync("kim asked for the change 1: another person has to approve it", () => DecideAsync(1, "kim"));
        await ForbiddenAsync("fay has asked for the request 1: another person has to approve the change 1", () => DecideAsync(1, "fay"));
        await ForbiddenAsync(
            "fay has asked for the request 1: another person has to approve the change 1",
            () => _room.Changes.Desk.ApproveAsync(1, RequestRoom.Token(Core.Policies.Roles.Approver, person: "fay"), default));
        await _room.WithdrawAsync(1, "fay"); // and is no stranger by that
        await ForbiddenAsync("fay has asked for the request 1: another person has to approve the change 1", () => DecideAsync(1, "fay"));
        await DecideAsync(1, "dan");
        Assert.Equal("approved: acme approved", await _room.StateAsync(1));
        var granted = Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal(("kim and dan", "bob, fay"), (granted.ApprovedBy, granted.AskedBy));
        Assert.Equal((granted.Id, "kim and dan"), ((await _room.FindAsync(1)).Answers[0].Exception!.Value, (await _room.FindAsync(1)).Answers[0].By));
        Assert.Equal(
            [
                "1 asked - by bob for bob: open", "1 joined - by fay for fay: open", "1 waiting acme by kim for bob+fay: open", "1 withdrawn - by fay for fay: open",
                "1 approved acme by kim and dan for bob: approved",
            ],
            await _room.StepsAsync());
    }

    [Fact]
    public async Task A_second_person_who_declines_declines_it_and_a_first_one_who_withdraws_opens_it_again()
    {
        _room.Use(approvals: 2);
        await _room.AskAsync("bob");
        await _room.ApproveAsync(1, "kim");
        await _room.Changes.Desk.DeclineAsync(1, "a mistake", RequestRoom.Person("kim"), default);
        Assert.Equal("open: acme open", await _room.StateAsync(1));
        await _room.ApproveAsync(1, "dan");
        await _room.Changes.Desk.DeclineAsync(2, "too old", RequestRoom.Person("kim"), default);
        Assert.Equal("declined: acme declined", await _room.StateAsync(1));
        Assert.Equal(("kim", "too old"), ((await _room.FindAsync(1)).Answers[0].By, (await _room.FindAsync(1)).Answers[0].Comment));
        Assert.Equal(["1 reopened acme by kim for bob: open", "1 waiting acme by dan for bob: open", "1 declined acme by kim for bob: declined"], (await _room.StepsAsync())[^3..]);
    }

    [Fact]
    public async Task A_change_that_cannot_be_done_opens_the_request_again()
    {
        _room.Use(approvals: 2);
        await _room.AskAsync("bob");
        await _room.ApproveAsync(1, "kim");
        _room.Use(approvals: 2, exceptions: """{ "allowed": false }""");
        await Assert.ThrowsAnyAsync<RefusedChangeException>(() => DecideAsync(1, "dan"));
        Assert.Equal("open: acme open", await _room.StateAsync(1));
        await FaultyAsync("the policy allows no exceptions (exceptions.allowed)", () => _room.ApproveAsync(1, "kim"));
    }

    [Theory]
    [InlineData("withdrawn", "the request 1 is over (withdrawn)")]
    [InlineData("declined", "the request 1 is over (declined)")]
    [InlineData("ended", "nobody approved it within 30 days")]
    public async Task What_waits_for_a_request_that_is_over_is_never_done(string how, string reason)
    {
        _room.Use(approvals: 2);
        await _room.AskAsync("bob");
        _room.Time.Advance(TimeSpan.FromMinutes(how == "ended" ? 0 : 1));
        await _room.ApproveAsync(1, "kim");
        switch (how)
        {
            case "withdrawn":
                await _room.WithdrawAsync(1, "bob", "not needed");
                break;
            case "declined":
                await _room.DeclineAsync(1, "dan");
                break;
            default:
                _room.Time.Advance(RequestDesk.Lifetime);
                await RefusedAsync("the request 1 is over: ended, 2026-07-01 12:00Z", () => _room.ApproveAsync(1, "dan"));
                break;
        }

        await RefusedAsync($"the change 1 ended, {(how == "ended" ? "2026-07-01 12:00Z" : "2026-06-01 12:01Z")}: {reason}", () => DecideAsync(1, "dan"));
        Assert.Equal($"{how}: acme {(how == "declined" ? "declined" : "open")}", await _room.StateAsync(1));
        Assert.Empty(await _room.Changes.ExceptionsAsync());
    }

    [Fact]
    public async Task Nobody_approves_what_they_ask_for_by_whichever_hand()
    {
        await _room.AskAsync("cleo");
        await _room.AskAsync("fay");
        Actor[] fays = [RequestRoom.Person("fay"), RequestRoom.Person("Fay"), Actor.Server("fay"), RequestRoom.Token(Core.Policies.Roles.Approver, person: "fay")];
        foreach (var actor in fays)
            await ForbiddenAsync($"{actor.Name} has asked for the request 1: another person has to approve it", () => _room.ApproveAsync(1, actor));
        await _room.WithdrawAsync(1, "fay");
        await ForbiddenAsync("fay has asked for the request 1: another person has to approve it", () => _room.ApproveAsync(1, "fay"));
        await ForbiddenAsync("a request is approved by a person, and this token is nobody's", () => _room.ApproveAsync(1, RequestRoom.Token(Core.Policies.Roles.Administrator)));
        Assert.Empty(await _room.Changes.ExceptionsAsync());
        await _room.ApproveAsync(1, Actor.Server("root"));
        Assert.Equal("root", Assert.Single(await _room.Changes.ExceptionsAsync()).ApprovedBy);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_those_who_answer_at_once_one_does(bool isPostgres)
    {
        await UseAsync(isPostgres);
        await _room.AskAsync("bob");
        var attempts = await Task.WhenAll(
            ((string[])["fay", "kim", "dan", "alice"]).Select(name => Record.ExceptionAsync(() => _room.ApproveAsync(1, name)))
                .Append(Record.ExceptionAsync(() => _room.DeclineAsync(1, "zoe"))));
        Assert.Single(attempts, failure => failure is null);
        Assert.All(attempts.OfType<Exception>(), failure => Assert.StartsWith("the request 1 is over: ", Assert.IsType<RefusedChangeException>(failure).Message, StringComparison.Ordinal));
        Assert.Equal(2, (await _room.StepsAsync()).Count);
        Assert.Equal((await _room.FindAsync(1)).Row.State == "approved" ? 1 : 0, (await _room.Changes.ExceptionsAsync()).Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_those_who_ask_at_once_all_are_voices_of_one(bool isPostgres)
    {
        await UseAsync(isPostgres);
        await Task.WhenAll(((string[])["bob", "cleo", "fay"]).Select(name => _room.AskAsync(name)));
        Assert.Equal(["bob", "cleo", "fay"], (await _room.FindAsync(1)).Voices.Select(voice => voice.Person).Order());
        Assert.Null(await _room.Database.ReadAsync(context => new RequestTable(context).FindAsync(2, default), default));
    }

    [Theory]
    [InlineData("bob", "nginx", "nginx is allowed to bob already, by the rule official")]
    [InlineData("bob", "vendor/tool:1", "vendor/tool:1 is allowed to bob already, by the rule verified-publisher")]
    [InlineData("bob", "listed/tool", "listed/tool is allowed to bob already, by the rule allowlist")]
    [InlineData("bob", "acme/tool", "acme/tool is allowed to bob already, by the rule organization")]
    [InlineData("alice", "bitnami/redis", "bitnami/redis is allowed to alice already, by the rule owner")]
    [InlineData("bob", "evil/miner", "evil/miner is blocked: nobody may have it, and no request can open it, until the block is lifted")]
    [InlineData("alice", "evil/miner:1", "evil/miner:1 is blocked: nobody may have it, and no request can open it, until the block is lifted")]
    [InlineData("bob", "ghost/tool", "image access unavailable: the publisher of ghost could not be verified, try again")]
    public async Task What_needs_no_request_is_refused(string person, string image, string why)
    {
        Assert.True(ImagePattern.TryParse("evil/miner", out var pattern, out _));
        await _room.Changes.Desk.BlockAsync(pattern, new ChangeRequest(Actor.Server("root"), "a miner"), default);
        await RefusedAsync(why, () => _room.AskAsync(person, image));
        await NothingAsync();
    }

    [Theory]
    [InlineData("ghcr.io/acme/app", "'ghcr.io/acme/app' is an image of ghcr.io, and not of Docker Hub")]
    [InlineData("localhost:5000/app", "'localhost:5000/app' is an image of localhost:5000, and not of Docker Hub")]
    [InlineData("bitnami/*", "'bitnami/*' is a whole namespace: ask for a repository, a tag or a digest")]
    [InlineData(ChangeRoom.Digest, "'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' names no repository: write REPOSITORY@DIGEST")]
    [InlineData("Bitnami/Redis", "'Bitnami/Redis' has upper-case letters; a repository's name has none")]
    [InlineData("", "'' is empty")]
    [InlineData("a\u202eb", "'a?b' is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    public async Task What_is_no_image_of_Docker_Hub_is_refused(string image, string why)
    {
        await FaultyAsync(why, () => _room.AskAsync("bob", image));
        Assert.Equal(0, _room.Judged);
        await NothingAsync();
    }

    [Theory]
    [InlineData(0, "days must be 1 to 90 (exceptions.maximumDays)")]
    [InlineData(-1, "days must be 1 to 90 (exceptions.maximumDays)")]
    [InlineData(91, "days must be 1 to 90 (exceptions.maximumDays)")]
    [InlineData(int.MaxValue, "days must be 1 to 90 (exceptions.maximumDays)")]
    public async Task A_length_is_within_the_policys(int days, string why)
    {
        await FaultyAsync(why, () => _room.AskAsync("bob", days: days));
        _room.Use(exceptions: "{}");
        await FaultyAsync("days must be 1 to 3650", () => _room.AskAsync("bob", days: days is > 0 and < 3650 ? 3651 : days));
        await NothingAsync();
    }

    [Theory]
    [MemberData(nameof(ChangeDeskTests.Reasons), MemberType = typeof(ChangeDeskTests))]
    public async Task A_reason_is_text_that_can_be_read(string reason, string fault)
    {
        await FaultyAsync(fault, () => _room.AskAsync("bob", reason: reason));
        await NothingAsync();
        await _room.AskAsync("bob", reason: new string('x', 1000));
        await FaultyAsync(fault, () => _room.DeclineAsync(1, "kim", reason));
        if (reason.Length > 0)
        {
            await FaultyAsync(fault, () => _room.ApproveAsync(1, "kim", comment: reason));
            await FaultyAsync(fault, () => _room.WithdrawAsync(1, "bob", reason));
        }

        Assert.Equal("open: acme open", await _room.StateAsync(1));
    }

    [Theory]
    [MemberData(nameof(ChangeDeskTests.Tickets), MemberType = typeof(ChangeDeskTests))]
    public async Task A_ticket_is_a_word(string ticket) =>
        await FaultyAsync("ticket must have 1 to 64 printable ASCII characters without spaces, as OPS-1234", () => _room.AskAsync("bob", ticket: ticket));

    [Fact]
    public async Task Where_a_ticket_is_demanded_the_asker_or_the_approver_names_it()
    {
        _room.Use(ticket: true);
        await _room.AskAsync("bob");
        await FaultyAsync("ticket is missing: the policy demands one for whatever opens (changes.ticket)", () => _room.ApproveAsync(1, "kim"));
        await _room.ApproveAsync(1, "kim", ticket: "OPS-9");
        await _room.AskAsync("bob", "bitnami/kafka", ticket: "OPS-1");
        await _room.ApproveAsync(2, "kim");
        Assert.Equal(["OPS-9", "OPS-1"], (await _room.Changes.ExceptionsAsync()).Select(row => row.Ticket));
    }

    [Fact]
    public async Task Where_the_policy_allows_no_exceptions_nothing_is_asked_for()
    {
        _room.Use(exceptions: """{ "allowed": false }""");
        await RefusedAsync("the policy allows no exceptions (exceptions.allowed): no request can be approved", () => _room.AskAsync("bob"));
        Assert.Equal(0, _room.Judged);
    }

    [Fact]
    public async Task Only_a_member_asks()
    {
        await ForbiddenAsync("mallory is not a member of an organization of the policy", () => _room.AskAsync("mallory"));
        await ForbiddenAsync("kim is not a member of an organization of the policy", () => _room.AskAsync("kim")); // an approver, by name alone
        await ForbiddenAsync("mallory is not a member of an organization of the policy", () => _room.AskAsync(Actor.Server("mallory")));
        await ForbiddenAsync("access is asked for by a person, and this token is nobody's", () => _room.AskAsync(RequestRoom.Token(Core.Policies.Roles.Member)));
        await FaultyAsync("as 'Not a name' is no user name of Docker Hub".Replace("Not a name", "not a name", StringComparison.Ordinal), () => _room.AskAsync(Actor.Server("Not a name")));
        await RefusedAsync("beta does not deny vendor/x, and the token is for beta alone".Replace("vendor/x", "bitnami/redis", StringComparison.Ordinal), async () =>
        {
            await _room.AskAsync("dora");
            await _room.ApproveAsync(1, "nina");
            await _room.AskAsync(RequestRoom.Token(Core.Policies.Roles.Member, "beta", "dora"));
        });
        Assert.Equal(2, (await _room.AskAsync(RequestRoom.Token(Core.Policies.Roles.Member, "acme", "bob"))).Request.Id);
        Assert.Equal("bob", (await _room.FindAsync(2)).Voices[0].Person);
        Assert.Equal(2, (await _room.AskAsync(Actor.Server("cleo"))).Request.Id);
    }

    [Fact]
    public async Task An_image_or_a_denial_is_named_and_not_both()
    {
        await FaultyAsync("name the image, or the id of its denial: one of them", () => _room.AskAsync("bob", image: null));
        await FaultyAsync("name the image, or the id of its denial: one of them", () => _room.AskAsync("bob", "bitnami/redis", denial: "d1"));
    }

    [Theory]
    [InlineData("bob", "7.2", "bitnami/redis:7.2")]
    [InlineData("Bob", ChangeRoom.Digest, "bitnami/redis@" + ChangeRoom.Digest)]
    [InlineData(null, "7.2", "bitnami/redis:7.2")]
    [InlineData(null, null, "bitnami/redis")]
    [InlineData("bob", "tags/list", "bitnami/redis")]
    [InlineData("bob", "no tag!", "bitnami/redis")]
    public async Task By_the_id_of_a_denial_its_image_is_asked_for(string? caller, string? reference, string image)
    {
        await DeniedAsync(caller, reference);
        var asked = await _room.AskAsync("bob", image: null, denial: "d1");
        Assert.Equal((image, "d1"), (asked.Request.Row.Image, asked.Request.Voices[0].Denial));
    }

    [Fact]
    public async Task A_denial_of_somebody_else_is_as_one_that_is_not_there()
    {
        await DeniedAsync("cleo", "7");
        const string Unknown = "there is no denial {0} of bob: denials are kept for 30 days, from a few seconds after they happen";
        await UnknownAsync(string.Format(CultureInfo.InvariantCulture, Unknown, "d1"), () => _room.AskAsync("bob", image: null, denial: "d1"));
        await UnknownAsync(string.Format(CultureInfo.InvariantCulture, Unknown, "d2"), () => _room.AskAsync("bob", image: null, denial: "d2"));
        await UnknownAsync(string.Format(CultureInfo.InvariantCulture, Unknown, "d?2"), () => _room.AskAsync("bob", image: null, denial: "d\n2"));
        Assert.Equal(0, _room.Judged);
    }

    [Fact]
    public async Task A_thousand_requests_by_one_are_twenty_and_the_policy_is_asked_no_more_often()
    {
        var refused = 0;
        for (var i = 0; i < 1000; i++)
        {
            if (await Record.ExceptionAsync(() => _room.AskAsync("bob", string.Create(CultureInfo.InvariantCulture, $"bitnami/t{i}"))) is { } failure)
            {
                Assert.Equal("bob has 20 open requests, and can have no more: wait for answers, or withdraw some", Assert.IsType<RefusedChangeException>(failure).Message);
                refused++;
            }
        }

        Assert.Equal((980, 20), (refused, _room.Judged));
        Assert.Equal(20, (await _room.StepsAsync()).Count);
        await _room.AskAsync("cleo");
    }

    [Fact]
    public async Task Who_asks_and_withdraws_again_and_again_comes_to_an_end()
    {
        for (var i = 1; i <= RequestDesk.MaximumOfOneDay; i++)
            await _room.WithdrawAsync((await _room.AskAsync("bob")).Request.Id, "bob");
        const string Refusal = "bob has asked 50 times within 24 hours, and can ask no more for now: try again tomorrow";
        await RefusedAsync(Refusal, () => _room.AskAsync("bob"));
        _room.Time.Advance(TimeSpan.FromDays(1) - TimeSpan.FromMilliseconds(1));
        await RefusedAsync(Refusal, () => _room.AskAsync("bob"));
        _room.Time.Advance(TimeSpan.FromMilliseconds(1));
        await _room.AskAsync("bob");
    }

    [Fact]
    public async Task Only_so_many_are_open_and_only_so_many_voices_ask_for_one()
    {
        await _room.WriteAsync(context =>
        {
            context.AccessRequests.AddRange(Enumerable.Range(0, RequestTable.MaximumOpen - 1).Select(i => new AccessRequestRow
            {
                Image = string.Create(CultureInfo.InvariantCulture, $"others/t{i}"),
                Organizations = ["acme"],
                At = _room.Time.GetUtcNow(),
                UntilMilliseconds = (_room.Time.GetUtcNow() + RequestDesk.Lifetime).ToUnixTimeMilliseconds(),
                State = AccessRequestRow.Open,
            }));
            return Task.CompletedTask;
        });
        var last = (await _room.AskAsync("bob")).Request.Id;
        await RefusedAsync("5,000 requests are open, and there can be no more: approve or decline some", () => _room.AskAsync("bob", "bitnami/kafka"));
        Assert.Equal(last, (await _room.AskAsync("cleo")).Request.Id); // whoever joins makes none
        await _room.WriteAsync(context =>
        {
            context.RequestVoices.AddRange(Enumerable.Range(2, RequestDesk.MaximumVoices - 2).Select(i => new RequestVoiceRow { Request = last, Person = string.Create(CultureInfo.InvariantCulture, $"p{i}"), Reason = "r", Days = 1 }));
            return Task.CompletedTask;
        });
        await RefusedAsync($"100 have asked for bitnami/redis already, by the request {last}: wait for its answer", () => _room.AskAsync("fay"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_nobody_answers_ends_after_thirty_days_once(bool isPostgres)
    {
        await UseAsync(isPostgres);
        await _room.AskAsync("bob");
        using var upkeep = Recorder();
        _room.Time.Advance(RequestDesk.Lifetime - TimeSpan.FromMilliseconds(1));
        await upkeep.WriteAsync(_room.Database, default);
        Assert.Equal("open: acme open", await _room.StateAsync(1));
        _room.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal("ended: acme open", await _room.StateAsync(1)); // before it is written, too
        await RefusedAsync("the request 1 is over: ended, 2026-07-01 12:00Z", () => _room.ApproveAsync(1, "kim"));
        Assert.False(upkeep.IsWaiting);
        _room.Time.Advance(RequestRecorder.Upkeep);
        Assert.True(upkeep.IsWaiting);
        await upkeep.WriteAsync(_room.Database, default);
        await upkeep.WriteAsync(_room.Database, default);
        using var other = Recorder();
        await other.WriteAsync(_room.Database, default);
        Assert.Equal("1 ended - by nobody for bob: ended", Assert.Single((await _room.StepsAsync())[1..]));
        Assert.Equal(new DateTimeOffset(2026, 7, 1, 12, 0, 0, TimeSpan.Zero), (await _room.FindAsync(1)).Row.Closed);
        Assert.Equal(2, (await _room.AskAsync("bob")).Request.Id);
    }

    [Fact]
    public async Task With_the_last_voice_that_is_withdrawn_it_is_over()
    {
        await _room.AskAsync("bob");
        await _room.AskAsync("cleo");
        await RefusedAsync("fay does not ask for bitnami/redis, and cannot withdraw the request 1", () => _room.WithdrawAsync(1, "fay"));
        await UnknownAsync("there is no request 1; imageaccess requests list names them", () => _room.WithdrawAsync(1, "hank"));
        await _room.WithdrawAsync(1, "bob", "moved");
        Assert.Equal("open: acme open", await _room.StateAsync(1));
        await RefusedAsync("bob does not ask for bitnami/redis, and cannot withdraw the request 1", () => _room.WithdrawAsync(1, "bob"));
        await _room.AskAsync("bob");
        await _room.WithdrawAsync(1, "bob");
        await _room.WithdrawAsync(1, "cleo");
        Assert.Equal("withdrawn: acme open", await _room.StateAsync(1));
        await RefusedAsync("the request 1 is over: withdrawn, 2026-06-01 12:00Z", () => _room.ApproveAsync(1, "kim"));
    }

    /// <summary>What is asked for, what the approver says, and what is granted, or why it is not.</summary>
    public static TheoryData<string, string, string> Narrowings => new()
    {
        { "bitnami/redis", "", "bitnami/redis" },
        { "bitnami/redis", "image=bitnami/redis", "bitnami/redis" },
        { "bitnami/redis", "image=bitnami/redis:7 digest", "bitnami/redis:7 as the digest" },
        { "bitnami/redis", "image=bitnami/redis:7 follow", "bitnami/redis:7 followed" },
        { "bitnami/redis", "image=bitnami/redis@", "bitnami/redis@" },
        { "bitnami/redis", "days=5", "bitnami/redis for 5" },
        { "bitnami/redis:7", "digest", "bitnami/redis:7 as the digest" },
        { "bitnami/redis:7", "follow", "bitnami/redis:7 followed" },
        { "bitnami/redis:7", "image=bitnami/redis@", "bitnami/redis@" },
        { "bitnami/redis@", "", "bitnami/redis@" },
        { "bitnami/redis:7", "", "!digest is missing: of a tag the image is approved that it is now. `docker buildx imagetools inspect bitnami/redis:7` tells its digest; follow approves whatever the tag comes to" },
        { "bitnami/redis", "image=bitnami/*", "!image 'bitnami/*' is no part of what was asked for, which is bitnami/redis" },
        { "bitnami/redis", "image=bitnami/kafka", "!image 'bitnami/kafka' is no part of what was asked for, which is bitnami/redis" },
        { "bitnami/redis:7", "image=bitnami/redis", "!image 'bitnami/redis' is no part of what was asked for, which is bitnami/redis:7" },
        { "bitnami/redis:7", "image=bitnami/redis:8 follow", "!image 'bitnami/redis:8' is no part of what was asked for, which is bitnami/redis:7" },
        { "bitnami/redis@", "image=bitnami/redis:7 follow", "!image 'bitnami/redis:7' is no part of what was asked for, which is bitnami/redis@" },
        { "bitnami/redis", "image=ghcr.io/x/y", "!image 'ghcr.io/x/y' is an image of ghcr.io, and not of Docker Hub" },
        { "bitnami/redis", "days=31", "!days must be 1 to 30: it was asked for no longer" },
        { "bitnami/redis", "days=0", "!days must be 1 to 30: it was asked for no longer" },
    };

    [Theory]
    [MemberData(nameof(Narrowings))]
    public async Task An_approval_is_no_more_than_what_was_asked_for(string asked, string says, string granted)
    {
        static string Whole(string text) => text.EndsWith('@') ? text + ChangeRoom.Digest : text;
        await _room.AskAsync("bob", Whole(asked));
        var words = says.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => word.Split('=')).ToDictionary(word => word[0], word => Whole(word[^1]));
        var approval = new RequestApproval
        {
            Image = words.GetValueOrDefault("image"),
            Digest = words.ContainsKey("digest") ? ChangeRoom.Digest : null,
            Follow = words.ContainsKey("follow"),
            Days = words.TryGetValue("days", out var days) ? int.Parse(days, CultureInfo.InvariantCulture) : null,
        };
        if (granted.StartsWith('!'))
        {
            await FaultyAsync(Whole(granted[1..]), () => _room.ApproveAsync(1, "kim", approval));
            Assert.Empty(await _room.Changes.ExceptionsAsync());
            return;
        }

        await _room.ApproveAsync(1, "kim", approval);
        var row = Assert.Single(await _room.Changes.ExceptionsAsync());
        var length = (row.Until!.Value - row.Since).Days;
        Assert.Equal(Whole(granted), row.Image + (row.Digest is null ? "" : " as the digest") + (row.Follow ? " followed" : "") + (length == 30 ? "" : $" for {length}"));
        Assert.Equal(row.Image, (await _room.FindAsync(1)).Answers[0].Image);
    }

    [Fact]
    public async Task A_policy_that_allows_less_by_now_shortens_it()
    {
        await _room.AskAsync("bob", days: 80);
        _room.Use(exceptions: """{ "maximumDays": 10 }""");
        await _room.ApproveAsync(1, "kim");
        Assert.Equal(_room.Time.GetUtcNow().AddDays(10), Assert.Single(await _room.Changes.ExceptionsAsync()).Until);
    }

    [Fact]
    public async Task An_exception_that_is_there_by_then_is_the_answer()
    {
        await _room.AskAsync("bob");
        await _room.Changes.GrantAsync("dan", length: TimeSpan.FromDays(3));
        Assert.Null((await _room.ApproveAsync(1, "kim")).Waiting);
        var granted = Assert.Single(await _room.Changes.ExceptionsAsync());
        Assert.Equal("approved: acme approved", await _room.StateAsync(1));
        Assert.Equal((granted.Id, granted.Until), ((await _room.FindAsync(1)).Answers[0].Exception!.Value, (await _room.FindAsync(1)).Answers[0].Until));
    }

    [Fact]
    public async Task Beside_an_exception_for_a_part_the_rest_can_be_asked_for()
    {
        await _room.Changes.GrantAsync("dan", $"bitnami/redis@{ChangeRoom.Digest}", length: TimeSpan.FromDays(3));
        await RefusedAsync(
            $"bitnami/redis@{ChangeRoom.Digest} is allowed to bob already, by the rule exception", () => _room.AskAsync("bob", $"bitnami/redis@{ChangeRoom.Digest}"));
        Assert.Equal(["acme"], (await _room.AskAsync("bob")).Request.Row.Organizations);
        Assert.Equal(["acme"], (await _room.AskAsync("bob", $"bitnami/redis@sha256:{new string('a', 64)}")).Request.Row.Organizations);

        await _room.Changes.GrantAsync("dan", "bitnami/kafka:7", length: TimeSpan.FromDays(3));
        await RefusedAsync("bitnami/kafka:7 is allowed to bob already, by the rule exception", () => _room.AskAsync("bob", "bitnami/kafka:7"));
        await DeniedAsync("bob", "7", "bitnami/kafka", PolicyRule.Exception);
        await RefusedAsync(
            "bitnami/kafka:7 has an exception, and has changed since: ask for the digest that it has now, or for the whole repository", () => _room.AskAsync("bob", image: null, denial: "d1"));
    }

    /// <summary>Who sees which requests: 1 of bob in acme, 2 of dora in acme and beta, 3 of hank in beta. In capitals: all who ask.</summary>
    public static TheoryData<string, string> Seen => new()
    {
        { "mallory", "---" },
        { "bob", "b--" },
        { "cleo", "---" },
        { "dora", "-d-" },
        { "hank", "--h" },
        { "fay", "BD-" },
        { "gus", "BD-" },
        { "alice", "BD-" },
        { "nina", "-DH" },
        { "gail", "---" },
        { "zoe", "BDH" },
        { "token member acme bob", "b--" },
        { "token member acme dora", "-d-" },
        { "token member beta dora", "-d-" },
        { "token member gamma dora", "---" },
        { "token member acme", "---" },
        { "token auditor acme", "BD-" },
        { "token approver beta", "-DH" },
        { "token companyowner", "BDH" },
        { "server", "BDH" },
    };

    [Theory]
    [MemberData(nameof(Seen))]
    public async Task Members_see_their_own_and_who_answers_their_organizations(string who, string sees)
    {
        foreach (var person in new[] { "bob", "dora", "hank" })
            await _room.AskAsync(person);
        var actor = who.Split(' ') switch
        {
            ["token", var role, .. var rest] => RequestRoom.Token(Enum.Parse<Core.Policies.Roles>(role, ignoreCase: true), rest.ElementAtOrDefault(0), rest.ElementAtOrDefault(1)),
            ["server"] => Actor.Server("root"),
            _ => RequestRoom.Person(who),
        };
        var listed = await _room.Desk.ListAsync(new RequestFilter { Count = 10 }, actor, default);
        Assert.Equal(listed.Select(request => request.Id).OrderDescending(), listed.Select(request => request.Id));
        var found = new char[3];
        foreach (var (id, letter) in new[] { (1, 'b'), (2, 'd'), (3, 'h') })
        {
            var one = listed.FirstOrDefault(request => request.Id == id);
            found[id - 1] = one is null ? '-' : _room.Desk.SeesAll(one, actor) ? char.ToUpperInvariant(letter) : letter;
            if (one is null)
                await UnknownAsync($"there is no request {id}; imageaccess requests list names them", () => _room.Desk.FindAsync(id, actor, default));
            else
                Assert.Equal(id, (await _room.Desk.FindAsync(id, actor, default)).Id);
        }

        Assert.Equal(sees, new string(found));
    }

    [Fact]
    public async Task They_are_listed_by_state_and_organization_and_in_parts()
    {
        for (var i = 0; i < 5; i++)
            await _room.AskAsync("bob", string.Create(CultureInfo.InvariantCulture, $"bitnami/t{i}"));
        await _room.AskAsync("hank");
        await _room.WithdrawAsync(2, "bob");
        await _room.DeclineAsync(3, "kim");
        await _room.ApproveAsync(4, "kim");
        Assert.Equal([6, 5, 4, 3, 2, 1], await ListAsync(new RequestFilter()));
        Assert.Equal([6, 5, 1], await ListAsync(new RequestFilter { State = "open" }));
        Assert.Equal([2], await ListAsync(new RequestFilter { State = "withdrawn" }));
        Assert.Equal([3], await ListAsync(new RequestFilter { State = "declined" }));
        Assert.Equal([4], await ListAsync(new RequestFilter { State = "approved" }));
        Assert.Equal([6], await ListAsync(new RequestFilter { Organization = "beta" }));
        Assert.Equal([4, 3], await ListAsync(new RequestFilter { Before = 5, Count = 2 }));
        _room.Time.Advance(RequestDesk.Lifetime);
        Assert.Equal([6, 5, 1], await ListAsync(new RequestFilter { State = "ended" }));
        Assert.Empty(await ListAsync(new RequestFilter { State = "open" }));

        async Task<IEnumerable<long>> ListAsync(RequestFilter filter) =>
            (await _room.Desk.ListAsync(filter with { Count = filter.Count == 0 ? 10 : filter.Count }, RequestRoom.Person("zoe"), default)).Select(request => request.Id);
    }

    [Fact]
    public async Task Who_may_not_answer_is_told_so_and_it_is_recorded()
    {
        await _room.AskAsync("bob");
        await ForbiddenAsync("bob may not do this in acme", () => _room.ApproveAsync(1, "bob"));
        await ForbiddenAsync("gus may not do this in acme", () => _room.DeclineAsync(1, "gus"));
        foreach (var stranger in new[] { "cleo", "hank", "nina", "mallory" })
        {
            await UnknownAsync("there is no request 1; imageaccess requests list names them", () => _room.ApproveAsync(1, stranger));
            await UnknownAsync("there is no request 1; imageaccess requests list names them", () => _room.DeclineAsync(1, stranger));
        }

        await UnknownAsync("there is no request 99; imageaccess requests list names them", () => _room.ApproveAsync(99, "kim"));
        Assert.Equal(["forbidden approve of acme by bob", "forbidden approve of acme by gus"], _room.Changes.Told());
        Assert.Equal("open: acme open", await _room.StateAsync(1));
    }

    [Fact]
    public async Task The_running_program_records_each_step_also_of_when_it_did_not_run()
    {
        await _room.AskAsync("cleo", "bitnami/old");
        var recorder = await RecordAsync();
        await _room.AskAsync("bob", reason: "for the build");
        await Eventually.TrueAsync(() => _room.Changes.Audit.Pending.Count == 1);
        await StopAsync(recorder);
        Assert.Equal(["2 asked bitnami/redis - by bob for bob: open: for the build"], _room.Told());

        await _room.AskAsync("cleo");
        await _room.DeclineAsync(2, "kim");
        recorder = await RecordAsync();
        await Eventually.TrueAsync(() => _room.Changes.Audit.Pending.Count == 2);
        await StopAsync(recorder);
        Assert.Equal(
            ["2 joined bitnami/redis - by cleo for cleo: open: for the build", "2 declined bitnami/redis acme by kim for bob+cleo: declined: use valkey"], _room.Told());

        recorder = await RecordAsync();
        await _room.WithdrawAsync(1, "cleo");
        await Eventually.TrueAsync(() => _room.Changes.Audit.Pending.Count > 0);
        await StopAsync(recorder);
        Assert.Equal(["1 withdrawn bitnami/old - by cleo for cleo: withdrawn: "], _room.Told()); // and nothing twice
    }

    [Fact]
    public async Task Those_that_are_over_are_forgotten_with_all_that_belongs_to_them()
    {
        await _room.AskAsync("bob");
        await _room.WithdrawAsync(1, "bob");
        await _room.WriteAsync(context =>
        {
            context.AccessRequests.AddRange(Enumerable.Range(0, RequestTable.MaximumHistory - 1).Select(i => new AccessRequestRow
            {
                Image = "others/tool",
                Organizations = ["acme"],
                State = AccessRequestRow.Declined,
                ClosedVersion = 100 + i,
            }));
            return Task.CompletedTask;
        });
        await _room.WriteAsync(context => context.Sequences.Where(row => row.Name == RequestTable.Sequence).ExecuteUpdateAsync(set => set.SetProperty(row => row.Value, 20_000)));
        var last = (await _room.AskAsync("bob")).Request.Id;
        Assert.NotNull(await _room.FindAsync(1));
        await _room.WithdrawAsync(last, "bob");
        Assert.Null(await _room.FindAsync(1));
        Assert.Equal(
            (0, 0, 0),
            await _room.Database.ReadAsync(
                async context => (await context.RequestVoices.CountAsync(row => row.Request == 1), await context.RequestAnswers.CountAsync(row => row.Request == 1), await context.RequestSteps.CountAsync(row => row.Request == 1)),
                default));
        Assert.Equal("withdrawn: acme open", await _room.StateAsync(last));
    }

    private Task<PendingChangeRow> DecideAsync(long change, string by) => _room.Changes.Desk.ApproveAsync(change, RequestRoom.Person(by), default);

    private Task DeniedAsync(string? caller, string? reference, string repository = "bitnami/redis", string rule = PolicyRule.Community) => _room.WriteAsync(context =>
    {
        context.Denials.Add(new DenialRow { Id = "d1", TimeMilliseconds = 1, Caller = caller, Repository = repository, Reference = reference, Rule = rule, Message = "denied" });
        return Task.CompletedTask;
    });

    private async Task NothingAsync() => Assert.Empty(await _room.StepsAsync());

    private RequestRecorder Recorder()
    {
        var state = new DatabaseState();
        state.BeReady();
        return new RequestRecorder(
            _room.Database, state, new DatabaseOptions { DataDirectory = _room.Changes.Data }, _room.Changes.Audit.Trail, _room.Time, new LogLines<RequestRecorder>());
    }

    private async Task<RequestRecorder> RecordAsync()
    {
        var state = new DatabaseState();
        state.BeReady();
        var recorder = new RequestRecorder(
            _room.Database, state, new DatabaseOptions { DataDirectory = _room.Changes.Data }, _room.Changes.Audit.Trail, TimeProvider.System, new LogLines<RequestRecorder>());
        await recorder.StartAsync(default);
        await Eventually.TrueAsync(() => File.Exists(Path.Combine(_room.Changes.Data, "requests.recorded.json")));
        return recorder;
    }

    private static async Task StopAsync(RequestRecorder recorder)
    {
        await recorder.StopAsync(default);
        recorder.Dispose();
    }

    private async Task UseAsync(bool isPostgres)
    {
        if (!isPostgres)
            return;
        _room.Dispose();
        _room = new RequestRoom(PostgresServer.Open(await server.CreateDatabaseAsync()));
        await _room.Database.MigrateAsync(default);
    }

    private static async Task RefusedAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<RefusedChangeException>(act)).Message);

    private static async Task ForbiddenAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<ForbiddenChangeException>(act)).Message);

    private static async Task UnknownAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<UnknownChangeException>(act)).Message);

    private static async Task FaultyAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<FaultyChangeException>(act)).Message);
}
