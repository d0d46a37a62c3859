using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>Who may change what; and that what opens waits for a second person, where the policy demands one.</summary>
[Collection(PostgresRoom.Name)]
public sealed class ChangeDeskTests(PostgresServer server) : IAsyncLifetime, IDisposable
{
    private ChangeRoom _room = new();

    public Task InitializeAsync() => _room.Database.MigrateAsync(default);

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_opens_waits_for_a_second_person_and_is_done_once(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var asked = await _room.GrantAsync("dan", "bitnami/redis:7", "OPS-1", TimeSpan.FromDays(30));
        Assert.Null(asked.Done);
        Assert.Equal(
            (1, "exception", "acme", $"bitnami/redis:7 as {ChangeRoom.Digest} to acme until 2026-07-01 12:00Z", "dan", "for the build", "OPS-1", "waiting"),
            (asked.Waiting!.Id, asked.Waiting.Kind, asked.Waiting.Organization, Assert.Single(asked.Waiting.Opens), asked.Waiting.By, asked.Waiting.Reason, asked.Waiting.Ticket, asked.Waiting.State));
        Assert.Empty(await _room.ExceptionsAsync());
        Assert.Equal(1, Assert.Single(await _room.Desk.ListWaitingAsync("acme", default)).Id);
        Assert.Empty(await _room.Desk.ListWaitingAsync("beta", default));

        _room.Time.Advance(TimeSpan.FromDays(1));
        var done = await _room.Desk.ApproveAsync(1, ChangeRoom.Person("fay"), default);
        Assert.Equal(("done", "fay", null), (done.State, done.DecidedBy, done.DecidedReason));
        var granted = Assert.Single(await _room.ExceptionsAsync());
        Assert.Equal(
            ("bitnami/redis:7", ChangeRoom.Digest, "for the build", "dan and fay", "OPS-1"), (granted.Image, granted.Digest, granted.Reason, granted.ApprovedBy, granted.Ticket));
        Assert.Equal(new DateTimeOffset(2026, 7, 1, 12, 0, 0, TimeSpan.Zero), granted.Until);
        Assert.Empty(await _room.Desk.ListWaitingAsync(null, default));

        await RefusedAsync("the change 1 was approved already, 2026-06-02 12:00Z by fay", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default));
        await RefusedAsync("the change 1 was approved already, 2026-06-02 12:00Z by fay", () => _room.Desk.DeclineAsync(1, "no", ChangeRoom.Person("eve"), default));
        Assert.Single(await _room.ExceptionsAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Of_two_who_approve_at_once_one_does_it(bool isPostgres)
    {
        await UseAsync(isPostgres);
        await _room.GrantAsync("dan");
        var attempts = await Task.WhenAll(((string[])["eve", "fay", "kim", "alice"]).Select(name => Record.ExceptionAsync(() => _room.Desk.ApproveAsync(1, ChangeRoom.Person(name), default))));
        Assert.Single(attempts, failure => failure is null);
        Assert.All(attempts.OfType<Exception>(), failure => Assert.StartsWith("the change 1 was approved already, ", Assert.IsType<RefusedChangeException>(failure).Message, StringComparison.Ordinal));
        Assert.Single(await _room.ExceptionsAsync());
    }

    [Fact]
    public async Task Nobody_approves_what_the_same_person_asked_for()
    {
        await _room.GrantAsync("dan");
        var token = new Actor { Name = "ci", Person = "dan", Fixed = Core.Policies.Roles.Administrator, Organization = "acme" };
        await _room.Desk.GrantExceptionAsync(
            new ExceptionGrant { Organization = "acme", Image = "bitnami/kafka", Reason = "", ApprovedBy = "" }, new ChangeRequest(token, "by a program"), default);

        await ForbiddenAsync("dan asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("dan"), default));
        await ForbiddenAsync("Dan asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("Dan"), default));
        await ForbiddenAsync("dan asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, Actor.Server("dan"), default));
        await ForbiddenAsync("dan asked for the change 2: another person has to approve it", () => _room.Desk.ApproveAsync(2, ChangeRoom.Person("dan"), default));
        await ForbiddenAsync("ci asked for the change 1: another person has to approve it", () => _room.Desk.ApproveAsync(1, token, default));
        await ForbiddenAsync("a change is approved by a person, and this token is nobody's", () => _room.Desk.ApproveAsync(1, token with { Person = null }, default));
        Assert.Equal(2, (await _room.Desk.ListWaitingAsync(null, default)).Count);
        Assert.Empty(await _room.ExceptionsAsync());
        await _room.Desk.ApproveAsync(2, ChangeRoom.Person("eve"), default);
        Assert.Equal("ci and eve", Assert.Single(await _room.ExceptionsAsync()).ApprovedBy);
    }

    [Fact]
    public async Task A_role_that_was_lost_meanwhile_approves_nothing()
    {
        await _room.GrantAsync("dan");
        _room.Policy = Tests.Policies.Store.PolicyFixture.Compile("""{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "eve" ] }, { "name": "beta" } ] }""");
        await ForbiddenAsync("eve may not do this in acme", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default));
        await UnknownAsync("there is no change 1; imageaccess changes list names those that wait", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("fay"), default));
        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("alice"), default);
    }

    [Theory]
    [InlineData("forbidden", "the policy allows no exceptions (exceptions.allowed)")]
    [InlineData("shorter", "it would not end: the policy allows exceptions of at most 10 days (exceptions.maximumDays)")]
    [InlineData("gone", "organization 'acme' is not in the policy: it has beta")]
    [InlineData("granted", "acme has an exception for bitnami/redis already: 1, without an end; end it first to change it")]
    public async Task It_is_judged_again_when_it_is_approved_and_ends_where_it_cannot_be_done(string meanwhile, string reason)
    {
        await _room.GrantAsync("dan");
        if (meanwhile == "granted")
        {
            _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
            await _room.GrantAsync("eve");
        }

        _room.Policy = meanwhile switch
        {
            "forbidden" => ChangeRoom.PolicyWith(exceptions: """{ "allowed": false }"""),
            "shorter" => ChangeRoom.PolicyWith(exceptions: """{ "maximumDays": 10 }"""),
            "gone" => Tests.Policies.Store.PolicyFixture.Compile("""{ "companyOwners": [ "zoe" ], "organizations": [ { "name": "beta" } ] }"""),
            _ => ChangeRoom.PolicyWith(),
        };
        var before = (await _room.ExceptionsAsync()).Count;
        var refused = await Assert.ThrowsAnyAsync<RefusedChangeException>(() => _room.Desk.ApproveAsync(1, ChangeRoom.Person("zoe"), default));
        Assert.Equal(reason, refused.Message);
        var change = await _room.ChangeAsync(1);
        Assert.Equal(("ended", "zoe", reason), (change.State, change.DecidedBy, change.DecidedReason));
        Assert.Equal(before, (await _room.ExceptionsAsync()).Count);
        await RefusedAsync($"the change 1 ended, 2026-06-01 12:00Z: {reason}", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("zoe"), default));
    }

    [Fact]
    public async Task What_nobody_approves_ends_after_thirty_days()
    {
        await _room.GrantAsync("dan");
        _room.Time.Advance(ChangeDesk.Lifetime - TimeSpan.FromMilliseconds(1));
        Assert.Single(await _room.Desk.ListWaitingAsync("acme", default));
        _room.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Empty(await _room.Desk.ListWaitingAsync("acme", default));
        await RefusedAsync("the change 1 ended, 2026-07-01 12:00Z: nobody approved it within 30 days", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default));
        Assert.Equal("ended", (await _room.ChangeAsync(1)).State);
        Assert.Empty(await _room.ExceptionsAsync());
        Assert.Equal(2, (await _room.GrantAsync("dan")).Waiting!.Id); // and may be asked for again
    }

    [Fact]
    public async Task A_clock_that_goes_back_ends_nothing()
    {
        await _room.GrantAsync("dan");
        var earlier = new ChangeRoom(_room.Database);
        Assert.Single(await earlier.Desk.ListWaitingAsync("acme", default));
        await earlier.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default);
        earlier.Dispose();
    }

    [Fact]
    public async Task Who_may_do_it_declines_and_who_asked_withdraws()
    {
        await _room.GrantAsync("dan");
        await _room.GrantAsync("dan", "bitnami/kafka");
        foreach (var name in new[] { "bob", "gus", "hal" })
            await ForbiddenAsync($"{name} may not do this in acme", () => _room.Desk.DeclineAsync(1, "no", ChangeRoom.Person(name), default));
        await UnknownAsync("there is no change 1; imageaccess changes list names those that wait", () => _room.Desk.DeclineAsync(1, "no", ChangeRoom.Person("nina"), default));
        var declined = await _room.Desk.DeclineAsync(1, "use valkey", ChangeRoom.Person("fay"), default);
        Assert.Equal(("declined", "fay", "use valkey"), (declined.State, declined.DecidedBy, declined.DecidedReason));
        Assert.Equal("declined", (await _room.Desk.DeclineAsync(2, "not needed", ChangeRoom.Person("dan"), default)).State);
        await RefusedAsync("the change 1 was declined, 2026-06-01 12:00Z by fay: use valkey", () => _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default));
        Assert.Empty(await _room.ExceptionsAsync());
    }

    public static TheoryData<string, string> Reasons => new()
    {
        { "", "reason must have 1 to 1000 characters" },
        { new string('x', 1001), "reason must have 1 to 1000 characters" },
        { new string('x', 5000), "reason must have 1 to 1000 characters" },
        { "a\u202eb", "reason has characters that cannot be seen, as line ends or marks of direction" },
        { "a\nb", "reason has characters that cannot be seen, as line ends or marks of direction" },
        { "a\u0007b", "reason has characters that cannot be seen, as line ends or marks of direction" },
    };

    [Theory]
    [MemberData(nameof(Reasons))]
    public async Task A_reason_is_text_that_can_be_read(string reason, string fault)
    {
        await _room.GrantAsync("dan");
        await FaultyAsync(fault, () => _room.Desk.DeclineAsync(1, reason, ChangeRoom.Person("fay"), default));
        await FaultyAsync(fault, () => _room.Desk.GrantExceptionAsync(
            new ExceptionGrant { Organization = "acme", Image = "nginx", Reason = "", ApprovedBy = "" }, new ChangeRequest(ChangeRoom.Person("dan"), reason), default));
        await FaultyAsync(
            fault.Replace("1000", "200", StringComparison.Ordinal), () => _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), reason), default));
        Assert.Single(await _room.Desk.ListWaitingAsync(null, default));
    }

    public static TheoryData<string> Tickets => new("", new string('x', 65), "OPS 1", "OPS\u00e9", "OPS\u202e1", "OPS\n1");

    [Theory]
    [MemberData(nameof(Tickets))]
    public async Task A_ticket_is_a_word(string ticket) =>
        await FaultyAsync("ticket must have 1 to 64 printable ASCII characters without spaces, as OPS-1234", () => _room.GrantAsync("dan", ticket: ticket));

    [Fact]
    public async Task What_opens_names_a_ticket_where_the_policy_demands_one_and_what_closes_need_not()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1, ticket: true);
        const string Missing = "ticket is missing: the policy demands one for whatever opens (changes.ticket)";
        await FaultyAsync(Missing, () => _room.GrantAsync("dan"));
        var granted = await _room.GrantAsync("dan", ticket: new string('x', 64));
        Assert.Equal(new string('x', 64), granted.Done!.Ticket);
        Assert.Equal("OPS-2", (await _room.Desk.EndExceptionAsync(1, new ChangeRequest(ChangeRoom.Person("dan"), "") { Ticket = "OPS-2" }, default)).EndedTicket);
        Assert.Null((await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "r"), default)).Ticket);
        await FaultyAsync(Missing, () => _room.Desk.LiftBlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("zoe"), "r"), default));
        await _room.Desk.LiftBlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("zoe"), "r") { Ticket = "OPS-3" }, default);
        Assert.Equal("OPS-3", Assert.Single(_room.Blocks().Lifted).Ticket);
    }

    [Fact]
    public async Task What_closes_is_done_at_once()
    {
        await _room.GrantAsync("dan");
        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default);
        Assert.Equal("hal", (await _room.Desk.EndExceptionAsync(1, new ChangeRequest(Actor.Server("hal"), "moved"), default)).EndedBy);
        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "a miner"), default);
        Assert.Single(_room.Blocks().Blocks);
        Assert.Empty(await _room.Desk.ListWaitingAsync(null, default));
    }

    [Fact]
    public async Task A_block_is_lifted_by_two_and_stays_where_the_database_is_gone()
    {
        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "a miner"), default);
        await RefusedAsync("redis is not blocked; imageaccess block list names what is", () => LiftAsync("zoe", "redis"));
        Assert.Equal("nginx is blocked no longer", Assert.Single((await LiftAsync("zoe")).Waiting!.Opens));
        Assert.Single(_room.Blocks().Blocks);
        await RefusedAsync("the change 1 of zoe waits for the same already", () => LiftAsync("zoe"));
        await _room.Desk.ApproveAsync(1, Actor.Server("root"), default);
        var lifted = Assert.Single(_room.Blocks().Lifted);
        Assert.Equal(("zoe and root", "fixed"), (lifted.By, lifted.Reason));

        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "again"), default);
        File.Move(_room.DatabasePath, _room.DatabasePath + ".aside");
        Assert.NotNull(await Record.ExceptionAsync(() => LiftAsync("zoe")));
        Assert.Single(_room.Blocks().Blocks);
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        Assert.Equal("nginx", (await LiftAsync("zoe")).Done!.Block.Pattern.ToString());
        Assert.Empty(_room.Blocks().Blocks);
    }

    [Fact]
    public async Task A_block_that_was_lifted_meanwhile_ends_the_change()
    {
        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "a miner"), default);
        await LiftAsync("zoe");
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await LiftAsync("zoe");
        await RefusedAsync("nginx is not blocked; imageaccess block list names what is", () => _room.Desk.ApproveAsync(1, Actor.Server("root"), default));
        Assert.Equal("ended", (await _room.ChangeAsync(1)).State);
    }

    /// <summary>Who approves has seen another reason than the one for which it is blocked now.</summary>
    [Fact]
    public async Task A_block_that_was_made_again_meanwhile_stays()
    {
        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "a miner"), default);
        await LiftAsync("zoe");
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await LiftAsync("zoe");
        await _room.Desk.BlockAsync(Pattern("nginx"), new ChangeRequest(ChangeRoom.Person("dan"), "a worm"), default);
        await RefusedAsync("nginx was blocked again after this was asked for: look why, and ask again", () => _room.Desk.ApproveAsync(1, Actor.Server("root"), default));
        Assert.Equal("a worm", Assert.Single(_room.Blocks().Blocks).Reason);
        Assert.Equal("ended", (await _room.ChangeAsync(1)).State);
    }

    /// <summary>Neither who stands behind it, nor who is called as it is.</summary>
    [Theory]
    [InlineData("DAN")]
    [InlineData("CI of dan")]
    public async Task Neither_the_name_nor_the_person_behind_it_approves(string name)
    {
        var asker = new Actor { Name = "ci of dan", Person = "dan", Fixed = Core.Policies.Roles.Administrator, Organization = "acme" };
        var grant = new ExceptionGrant { Organization = "acme", Image = "bitnami/redis", Reason = "", ApprovedBy = "" };
        await _room.Desk.GrantExceptionAsync(grant, new ChangeRequest(asker, "for the build"), default);
        var refused = await Assert.ThrowsAsync<ForbiddenChangeException>(() => _room.Desk.ApproveAsync(1, Actor.Server(name), default));
        Assert.Equal($"{name} asked for the change 1: another person has to approve it", refused.Message);
        Assert.Empty(await _room.ExceptionsAsync());
    }

    /// <summary>Each may be a whole document: a thousand that are listed, and ten thousand that are kept, would take gigabytes.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_change_would_do_is_in_no_list_and_is_not_kept_when_it_waits_no_longer(bool isPostgres)
    {
        await UseAsync(isPostgres);
        await _room.GrantAsync("dan");
        await _room.GrantAsync("dan", "bitnami/kafka");
        Assert.NotEqual("", (await _room.ChangeAsync(1)).Payload);
        Assert.All(await _room.Desk.ListWaitingAsync(null, default), row => Assert.Equal(("", "dan", 1), (row.Payload, row.Person, row.Opens.Count)));
        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default);
        await _room.Desk.DeclineAsync(2, "no", ChangeRoom.Person("eve"), default);
        Assert.Equal(("", ""), ((await _room.ChangeAsync(1)).Payload, (await _room.ChangeAsync(2)).Payload));
        Assert.Single(await _room.ExceptionsAsync());
    }

    [Theory]
    [InlineData(" dan")]
    [InlineData("dan ")]
    [InlineData("dan\u00a0")]
    public async Task A_name_that_looks_like_another_approves_nothing(string name)
    {
        await _room.GrantAsync("dan");
        var faulty = await Assert.ThrowsAsync<FaultyChangeException>(() => _room.Desk.ApproveAsync(1, Actor.Server(name), default));
        Assert.Equal("by must not begin or end with a space: it would be another name that looks the same", faulty.Message);
        Assert.Equal("waiting", (await _room.ChangeAsync(1)).State);
    }

    [Fact]
    public async Task Only_so_many_wait()
    {
        await FillAsync(ChangeDesk.MaximumOfOne, "dan");
        await RefusedAsync("100 changes of dan wait, and there can be no more: let them be approved, or decline some", () => _room.GrantAsync("dan"));
        Assert.NotNull((await _room.GrantAsync("eve")).Waiting);
        await FillAsync(PendingChanges.MaximumWaiting - ChangeDesk.MaximumOfOne - 1, "others");
        await RefusedAsync("1,000 changes wait, and there can be no more: approve or decline some", () => _room.GrantAsync("fay", "bitnami/kafka"));
        Assert.Equal(1000, (await _room.Desk.ListWaitingAsync(null, default)).Count);
        await _room.Desk.DeclineAsync(1, "no", ChangeRoom.Person("eve"), default);
        Assert.NotNull((await _room.GrantAsync("fay", "bitnami/kafka")).Waiting);
    }

    [Fact]
    public async Task The_same_waits_once()
    {
        await _room.GrantAsync("dan");
        await RefusedAsync("the change 1 of dan waits for the same already", () => _room.GrantAsync("eve"));
        Assert.NotNull((await _room.GrantAsync("eve", "bitnami/*")).Waiting);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(7)]
    [InlineData(long.MaxValue)]
    public async Task What_is_not_there_cannot_be_decided(long id)
    {
        await UnknownAsync($"there is no change {id}; imageaccess changes list names those that wait", () => _room.Desk.ApproveAsync(id, ChangeRoom.Person("eve"), default));
        await UnknownAsync($"there is no change {id}; imageaccess changes list names those that wait", () => _room.Desk.DeclineAsync(id, "no", ChangeRoom.Person("eve"), default));
    }

    /// <summary>Who; and whether each may grant and end an exception of acme, block, lift a block, and approve a waiting exception of acme.</summary>
    public static TheoryData<string, string> Rows => new()
    {
        { "mallory", "-----" },
        { "bob", "-----" },
        { "gus", "-----" },
        { "hal", "-----" },
        { "fay", "ge--a" },
        { "dan", "geb-a" },
        { "alice", "geb-a" },
        { "nina", "--b--" }, // beta's owner
        { "zoe", "gebla" },
        { "token auditor acme", "-----" },
        { "token approver acme", "ge--a" },
        { "token administrator acme", "geb-a" },
        { "token administrator beta", "--b--" },
        { "token administrator", "geb-a" },
        { "token companyowner", "gebla" },
        { "server", "gebla" },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Each_may_what_the_row_says_and_a_refusal_is_recorded(string who, string may)
    {
        var words = who.Split(' ');
        var actor = words switch
        {
            ["token", var role, .. var organization] => new Actor
            {
                Name = "a program",
                Person = "pia",
                Fixed = Enum.Parse<Core.Policies.Roles>(role, ignoreCase: true),
                Organization = organization.FirstOrDefault(),
            },
            ["server"] => Actor.Server("root"),
            _ => ChangeRoom.Person(who),
        };
        await _room.GrantAsync("eve", "bitnami/kafka");
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        var request = new ChangeRequest(actor, "r");
        await _room.GrantAsync("eve", "bitnami/etcd");
        await _room.Desk.BlockAsync(Pattern("redis"), new ChangeRequest(Actor.Server("root"), "r"), default);
        _room.Told();

        var did = new[]
        {
            await TryAsync('g', () => _room.Desk.GrantExceptionAsync(new ExceptionGrant { Organization = "acme", Image = "nginx", Reason = "", ApprovedBy = "" }, request, default)),
            await TryAsync('e', () => _room.Desk.EndExceptionAsync(1, request, default)),
            await TryAsync('b', () => _room.Desk.BlockAsync(Pattern("httpd"), request, default)),
            await TryAsync('l', () => _room.Desk.LiftBlockAsync(Pattern("redis"), request, default)),
            await TryAsync('a', () => _room.Desk.ApproveAsync(1, actor, default)),
        };
        Assert.Equal(may, new string(did));
        if (may[0] == '-')
            Assert.Contains($"forbidden grantException of acme by {actor.Name}", _room.Told());

        static async Task<char> TryAsync(char what, Func<Task> act) =>
            await Record.ExceptionAsync(act) switch
            {
                null => what,
                ForbiddenChangeException or UnknownChangeException => '-',
                var other => throw other,
            };
    }

    [Fact]
    public async Task An_exception_of_another_organization_is_as_one_that_is_not_there()
    {
        _room.Policy = ChangeRoom.PolicyWith(approvals: 1);
        await _room.GrantAsync("dan");
        await UnknownAsync("there is no exception 1; imageaccess exceptions list names them", () => _room.Desk.EndExceptionAsync(1, new ChangeRequest(ChangeRoom.Person("nina"), ""), default));
        await UnknownAsync("there is no exception 2; imageaccess exceptions list names them", () => _room.Desk.EndExceptionAsync(2, new ChangeRequest(ChangeRoom.Person("nina"), ""), default));
        await ForbiddenAsync("bob may not do this in acme", () => _room.Desk.EndExceptionAsync(1, new ChangeRequest(ChangeRoom.Person("bob"), ""), default));
    }

    [Fact]
    public async Task The_running_program_records_each_step_also_of_when_it_did_not_run()
    {
        var recorder = await RecordAsync();
        await _room.GrantAsync("dan", ticket: "OPS-1");
        await Eventually.TrueAsync(() => _room.Audit.Pending.Count == 1);
        await StopAsync(recorder);
        Assert.Equal(["waiting 1 exception of acme by dan for dan (OPS-1): bitnami/redis to acme without an end: for the build"], _room.Told());

        await _room.Desk.ApproveAsync(1, ChangeRoom.Person("eve"), default);
        await _room.GrantAsync("dan", "bitnami/kafka");
        await _room.Desk.DeclineAsync(2, "use another", ChangeRoom.Person("fay"), default);
        _room.Told();
        recorder = await RecordAsync();
        await Eventually.TrueAsync(() => _room.Audit.Pending.Count == 3);
        await StopAsync(recorder);
        Assert.Equal(
            [
                "waiting 2 exception of acme by dan for dan (): bitnami/kafka to acme without an end: for the build",
                "done 1 exception of acme by eve for dan (OPS-1): bitnami/redis to acme without an end: ",
                "declined 2 exception of acme by fay for dan (): bitnami/kafka to acme without an end: use another",
            ],
            _room.Told());

        recorder = await RecordAsync();
        await _room.GrantAsync("dan", "bitnami/etcd");
        await Eventually.TrueAsync(() => _room.Audit.Pending.Count > 0);
        await StopAsync(recorder);
        Assert.StartsWith("waiting 3 ", Assert.Single(_room.Told()), StringComparison.Ordinal); // and nothing twice
    }

    private Task<ChangeOutcome<Proxy.Policies.Store.LiftedBlock>> LiftAsync(string by, string image = "nginx") =>
        _room.Desk.LiftBlockAsync(Pattern(image), new ChangeRequest(ChangeRoom.Person(by), "fixed"), default);

    private async Task<ChangeRecorder> RecordAsync()
    {
        var state = new DatabaseState();
        state.BeReady();
        var recorder = new ChangeRecorder(
            _room.Database, state, new DatabaseOptions { DataDirectory = _room.Data }, _room.Audit.Trail, TimeProvider.System, new LogLines<ChangeRecorder>());
        await recorder.StartAsync(default);
        await Eventually.TrueAsync(() => File.Exists(Path.Combine(_room.Data, "changes.recorded.json")));
        return recorder;
    }

    private static async Task StopAsync(ChangeRecorder recorder)
    {
        await recorder.StopAsync(default);
        recorder.Dispose();
    }

    private async Task UseAsync(bool isPostgres)
    {
        if (!isPostgres)
            return;
        _room.Dispose();
        _room = new ChangeRoom(PostgresServer.Open(await server.CreateDatabaseAsync()));
        await _room.Database.MigrateAsync(default);
    }

    private Task FillAsync(int count, string person) => _room.Database.WriteAsync(
        async context =>
        {
            context.PendingChanges.AddRange(Enumerable.Range(0, count).Select(i => new PendingChangeRow
            {
                Kind = "exception",
                Organization = "acme",
                Payload = "{}",
                Opens = [string.Create(CultureInfo.InvariantCulture, $"{person} {i}")],
                By = person,
                Person = person,
                Reason = "r",
                At = _room.Time.GetUtcNow(),
                UntilMilliseconds = (_room.Time.GetUtcNow() + ChangeDesk.Lifetime).ToUnixTimeMilliseconds(),
                State = PendingChangeRow.Waiting,
                Version = 1,
            }));
            await context.SaveChangesAsync();
        },
        default);

    private static ImagePattern Pattern(string image)
    {
        Assert.True(ImagePattern.TryParse(image, out var pattern, out var problem), problem);
        return pattern;
    }

    private static async Task RefusedAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<RefusedChangeException>(act)).Message);

    private static async Task ForbiddenAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<ForbiddenChangeException>(act)).Message);

    private static async Task UnknownAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<UnknownChangeException>(act)).Message);

    private static async Task FaultyAsync(string message, Func<Task> act) => Assert.Equal(message, (await Assert.ThrowsAsync<FaultyChangeException>(act)).Message);
}
