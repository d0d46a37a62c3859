using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class MembershipDirectoryTests : IAsyncLifetime
{
    private static readonly string Stranger = new('b', 32);

    private DirectoryRoom _room = null!;

    public async Task InitializeAsync()
    {
        _room = await DirectoryRoom.OpenAsync();
        await _room.ReadAsync();
        _room.Time.Advance(TimeSpan.FromMinutes(5));
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Theory]
    [InlineData("alice", OrganizationRole.Owner)]
    [InlineData("ALICE", OrganizationRole.Owner)]
    [InlineData("ed", OrganizationRole.Member)]
    [InlineData("bob", OrganizationRole.Member)]
    [InlineData("ivan", OrganizationRole.None)]
    [InlineData("carol", OrganizationRole.None)]
    public void The_list_says_what_somebody_is(string username, OrganizationRole role) =>
        Assert.Equal(role, _room.RoleOf(username, DirectoryRoom.CallerOf(username.ToLowerInvariant()).Subject));

    [Fact]
    public void A_token_without_a_user_name_is_found_by_its_subject()
    {
        var described = _room.Directory.Describe(Caller.SignedIn(null, DirectoryRoom.CallerOf("alice").Subject!), _room.Policy);
        Assert.Equal([new Membership("acme", OrganizationRole.Owner) { Teams = ["owners"] }], described.Memberships);
    }

    [Fact]
    public void Nobody_is_described_as_anybody() => Assert.Same(Caller.Anonymous, _room.Directory.Describe(Caller.Anonymous, _room.Policy));

    [Fact]
    public void The_tokens_own_claims_stay()
    {
        var claimed = new Membership("beta", OrganizationRole.Member);
        var described = _room.Directory.Describe(Caller.SignedIn("alice", DirectoryRoom.CallerOf("alice").Subject!, [claimed]), _room.Policy);
        Assert.Equal([claimed, new Membership("acme", OrganizationRole.Owner) { Teams = ["owners"] }], described.Memberships);
    }

    [Fact]
    public void A_name_with_another_id_and_an_id_with_another_name_are_granted_nothing()
    {
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice", Stranger));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice", DirectoryRoom.CallerOf("bob").Subject));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("carol", DirectoryRoom.CallerOf("alice").Subject));
        Assert.False(_room.Describe("carol", DirectoryRoom.CallerOf("alice").Subject).IsNameSuspended); // renamed: nobody else's name
    }

    [Fact]
    public void A_name_that_a_token_shows_in_other_hands_is_suspended_until_the_policy_has_its_account()
    {
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
        Assert.False(_room.Describe("alice").IsNameSuspended); // the former account, while its tokens last
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));

        _room.Policy = DirectoryRoom.PolicyWith("\"alice\"", help: "a change that says nothing of alice");
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);

        _room.Policy = DirectoryRoom.PolicyWith($$"""{ "name": "alice", "account": "{{Stranger}}" }""");
        Assert.False(_room.Describe("alice", Stranger).IsNameSuspended);
        Assert.True(_room.Describe("alice").IsNameSuspended);
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice", Stranger)); // the list still means the former one
    }

    [Fact]
    public async Task A_change_is_told_once_in_log_and_audit()
    {
        _room.Describe("alice", Stranger);
        _room.Describe("alice", Stranger);
        _room.Acme.AddMember(new FakeMember("alice", "Owner") { Id = Stranger });
        await _room.ReadAsync();
        _room.Describe("alice", Stranger);

        var former = DirectoryRoom.CallerOf("alice").Account!;
        var change = Assert.IsType<AccountEvent>(_room.NextChange());
        Assert.Equal(("alice", former, Stranger), (change.Caller, change.FormerAccount, change.Account));
        Assert.Null(_room.NextChange());
        var line = Assert.Single(_room.Logs.Lines, line => line.Contains("belongs to account", StringComparison.Ordinal));
        Assert.StartsWith($"Warning The user name alice belongs to account {former}, and a token or member list shows it with account {Stranger}: ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_list_shows_in_other_hands_is_suspended_until_a_later_list_and_its_account_in_the_policy()
    {
        _room.Acme.AddMember(new FakeMember("alice", "Owner") { Id = Stranger });
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice", Stranger));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice")); // the former account, while its tokens last
        Assert.True(_room.Describe("alice").IsNameSuspended);
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
        Assert.NotNull(_room.NextChange());

        _room.Time.Advance(TimeSpan.FromMinutes(5));
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice", Stranger));
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended); // the policy's own lists are another grant

        _room.Policy = DirectoryRoom.PolicyWith($$"""{ "name": "alice", "account": "{{Stranger}}" }""");
        Assert.False(_room.Describe("alice", Stranger).IsNameSuspended);
        Assert.True(_room.Describe("alice").IsNameSuspended);
        Assert.Null(_room.NextChange());
    }

    [Fact]
    public async Task A_name_that_goes_back_and_forth_is_suspended_each_time()
    {
        foreach (var (round, id) in new[] { Stranger, DirectoryRoom.CallerOf("alice").Account!, Stranger }.Index())
        {
            _room.Acme.AddMember(new FakeMember("alice", "Owner") { Id = id });
            await _room.ReadAsync();
            Assert.True(_room.Describe("alice", id).IsNameSuspended);
            Assert.Equal(OrganizationRole.None, _room.RoleOf("alice", id));
            Assert.Equal(id, _room.NextChange()!.Account);
            _room.Policy = DirectoryRoom.PolicyWith($$"""{ "name": "alice", "account": "{{id}}" }""", help: $"round {round}");
            Assert.False(_room.Describe("alice", id).IsNameSuspended);
            _room.Time.Advance(TimeSpan.FromMinutes(5));
        }
    }

    [Fact]
    public async Task Who_takes_the_name_of_somebody_who_left_is_not_that_one()
    {
        _room.Acme.RemoveMember("alice");
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice"));
        Assert.False(_room.Describe("alice").IsNameSuspended);
        Assert.True(_room.Describe("alice", Stranger).IsNameSuspended);
    }

    [Fact]
    public async Task Who_is_renamed_is_who_he_was()
    {
        _room.Acme.RemoveMember("alice");
        _room.Acme.AddMember(new FakeMember("alicia", "Owner") { Id = DirectoryRoom.CallerOf("alice").Account! });
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alicia", DirectoryRoom.CallerOf("alice").Subject));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice"));
        Assert.Null(_room.NextChange());
    }

    [Fact]
    public async Task An_old_list_exempts_no_owner_and_its_members_stay_members()
    {
        _room.Time.Advance(TimeSpan.FromDays(7) - TimeSpan.FromMinutes(5));
        Assert.Equal((OrganizationRole.Owner, OrganizationRole.Member), (_room.RoleOf("alice"), _room.RoleOf("bob")));
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((OrganizationRole.Member, OrganizationRole.Member), (_room.RoleOf("alice"), _room.RoleOf("bob")));
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
    }

    [Fact]
    public async Task Of_several_organizations_each_has_its_own_list_and_its_own_age()
    {
        await using var room = await DirectoryRoom.OpenAsync(("Identity:Directory:Organization", "acme"), ("Identity:Directory:Organization:0", "BETA"));
        room.Hub.Users.AddOrganization("beta");
        room.Hub.Namespaces.Find("beta")!.AddMember("alice", "Owner").AddMember("acme");
        await room.ReadAsync();
        Assert.Equal(
            [new Membership("acme", OrganizationRole.Owner) { Teams = ["owners"] }, new Membership("beta", OrganizationRole.Owner) { Teams = ["owners"] }],
            room.Describe("alice").Memberships.OrderBy(m => m.Organization, StringComparer.Ordinal));

        room.Time.Advance(TimeSpan.FromDays(7));
        using (room.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/members", Fault.Status(500)))
            await room.ReadAsync();
        room.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(
            [new Membership("acme", OrganizationRole.Member), new Membership("beta", OrganizationRole.Owner) { Teams = ["owners"] }],
            room.Describe("alice").Memberships.OrderBy(m => m.Organization, StringComparer.Ordinal));
    }
}
