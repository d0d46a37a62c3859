using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>An owner by the policy whom the organization's member list does not name is a member, unless external.</summary>
public sealed class AbsentOwnersTests : IAsyncLifetime
{
    private static readonly string Stranger = new('b', 32);

    private DirectoryRoom _room = null!;

    public async Task InitializeAsync() => _room = await DirectoryRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task Who_is_on_the_list_is_an_owner_and_who_left_it_is_absent_until_back()
    {
        await _room.ReadAsync();
        Assert.False(IsAbsent("alice"));

        await LeaveAsync("alice");
        Assert.True(IsAbsent("alice"));
        Assert.True(IsAbsent("ALICE"));

        _room.Acme.AddMember("alice"); // as a plain member: the policy makes her an owner
        await _room.ReadAsync();
        Assert.False(IsAbsent("alice"));
        Assert.Equal([new Membership("acme", OrganizationRole.Member) { Teams = ["members"] }], _room.Describe("alice").Memberships);
    }

    [Fact]
    public async Task Who_never_was_on_the_list_or_is_only_invited_is_absent()
    {
        _room.Policy = DirectoryRoom.PolicyWith("\"alice\", \"carol\", \"ivan\"");
        await _room.ReadAsync();
        Assert.Equal((false, true, true), (IsAbsent("alice"), IsAbsent("carol"), IsAbsent("ivan")));
    }

    [Fact]
    public async Task Before_a_list_was_read_the_policys_owners_count()
    {
        _room.Policy = DirectoryRoom.PolicyWith("\"carol\"");
        using (_room.Hub.Faults.Add(Face.Hub, Fault.Status(500)))
            await _room.ReadAsync();
        Assert.False(IsAbsent("carol"));
        await _room.ReadAsync();
        Assert.True(IsAbsent("carol"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(400)]
    public async Task A_list_that_cannot_be_read_any_more_says_for_ever_who_was_on_it(int days)
    {
        await LeaveAsync("alice");
        _room.Policy = DirectoryRoom.PolicyWith("\"alice\", \"bob\"");
        using var fault = _room.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());
        _room.Time.Advance(TimeSpan.FromDays(days));
        await _room.ReadAsync();

        Assert.True(IsAbsent("alice"));
        Assert.False(IsAbsent("bob"));
        Assert.NotNull(await _room.ConcernAsync());
    }

    [Fact]
    public async Task A_restart_without_Docker_Hub_brings_nobody_back()
    {
        await LeaveAsync("alice");
        using var fault = _room.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());
        await _room.RestartAsync();
        Assert.True(IsAbsent("alice"));
    }

    [Fact]
    public async Task Who_is_external_is_never_absent_and_nobody_else_is_external_with_him()
    {
        await LeaveAsync("alice");
        _room.Policy = DirectoryRoom.PolicyWith("""{ "name": "Alice", "external": true }, "carol" """);
        Assert.Equal((false, true), (IsAbsent("alice"), IsAbsent("carol")));
    }

    /// <summary>Docker Hub's list is asked only about those whom the policy calls owners.</summary>
    [Fact]
    public async Task A_member_by_the_policy_and_a_stranger_are_what_they_were()
    {
        await LeaveAsync("bob");
        Assert.Empty(_room.Describe("bob").Memberships);
        Assert.Empty(_room.Describe("carol").Memberships);
    }

    [Fact]
    public async Task An_organization_whose_list_is_not_read_goes_by_the_policy_alone()
    {
        _room.Policy = PolicyFixture.Compile(
            """{ "organizations": [ { "name": "acme", "owners": [ "carol" ] }, { "name": "beta", "owners": [ "carol" ] } ] }""");
        await _room.ReadAsync();
        Assert.Equal([new Membership("acme", OrganizationRole.None)], _room.Describe("carol").Memberships);
    }

    [Fact]
    public async Task Another_account_under_a_name_of_the_list_is_absent_also_where_the_policy_has_its_account()
    {
        await _room.ReadAsync();
        _room.Time.Advance(TimeSpan.FromMinutes(5));
        _room.Policy = DirectoryRoom.PolicyWith($$"""{ "name": "alice", "account": "{{Stranger}}" }""");
        Assert.True(_room.Describe("alice", Stranger).IsAbsentFrom("acme")); // the list still means the former one

        _room.Acme.AddMember(new FakeMember("alice", "Owner") { Id = Stranger });
        await _room.ReadAsync();
        _room.Time.Advance(TimeSpan.FromMinutes(5));
        await _room.ReadAsync();
        Assert.False(_room.Describe("alice", Stranger).IsAbsentFrom("acme"));
    }

    [Fact]
    public async Task An_account_that_was_renamed_is_no_owner_by_its_former_name()
    {
        _room.Acme.RemoveMember("alice");
        _room.Acme.AddMember(new FakeMember("alicia", "Member") { Id = DirectoryRoom.CallerOf("alice").Account! });
        await _room.ReadAsync();
        Assert.True(IsAbsent("alice"));
    }

    [Fact]
    public async Task A_check_by_name_says_the_same()
    {
        _room.Policy = DirectoryRoom.PolicyWith("""  "alice", "carol", { "name": "dora", "external": true } """);
        await LeaveAsync("alice");
        Assert.All(["alice", "carol"], name => Assert.True(Check(name).IsAbsentFrom("acme"), name));
        Assert.All(["bob", "dora", "mallory"], name => Assert.False(Check(name).IsAbsentFrom("acme"), name));

        Caller Check(string name) => _room.Directory.DescribeHolder(Caller.SignedIn(name, name), _room.Policy);
    }

    [Fact]
    public async Task They_are_told_once_in_the_log_and_as_long_as_it_lasts_by_readiness()
    {
        _room.Policy = DirectoryRoom.PolicyWith("\"alice\", \"carol\"");
        await _room.ReadAsync();
        await _room.ReadAsync();
        Assert.Equal("the policy has owners of acme who are not on its member list and count as members: carol", await _room.ConcernAsync());
        Assert.StartsWith("Warning The member list of acme, read at ", Assert.Single(Told()), StringComparison.Ordinal);
        Assert.Contains(
            ", does not name owners of the policy, who count as members: carol. Remove them from the policy's owners; "
            + "whoever is to be an owner without being on the list is written as { \"name\": …, \"external\": true }", Told()[0], StringComparison.Ordinal);

        await LeaveAsync("alice");
        Assert.Equal("the policy has owners of acme who are not on its member list and count as members: alice, carol", await _room.ConcernAsync());
        Assert.Equal(2, Told().Count);
        Assert.Contains("count as members: alice. ", Told()[1], StringComparison.Ordinal);

        _room.Policy = DirectoryRoom.PolicyWith("""{ "name": "carol", "external": true }""");
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
        Assert.Equal(2, Told().Count);

        _room.Policy = DirectoryRoom.PolicyWith("\"alice\"");
        await _room.ReadAsync();
        Assert.Equal(3, Told().Count); // it was over, and is not any more
    }

    [Fact]
    public async Task A_long_list_of_them_is_cut()
    {
        _room.Policy = DirectoryRoom.PolicyWith(string.Join(", ", Enumerable.Range(0, 500).Select(i => $"\"former{i:000}\"")));
        await _room.ReadAsync();
        Assert.EndsWith("former008, former009 and 490 more", await _room.ConcernAsync(), StringComparison.Ordinal);
        Assert.Contains("former009 and 490 more. ", Assert.Single(Told()), StringComparison.Ordinal);
    }

    private bool IsAbsent(string username) =>
        _room.Describe(username, DirectoryRoom.CallerOf(username.ToLowerInvariant()).Subject).IsAbsentFrom("acme");

    private async Task LeaveAsync(string username)
    {
        _room.Acme.RemoveMember(username);
        await _room.ReadAsync();
    }

    private List<string> Told() => [.. _room.Logs.Lines.Where(line => line.Contains("does not name owners of the policy", StringComparison.Ordinal))];
}
