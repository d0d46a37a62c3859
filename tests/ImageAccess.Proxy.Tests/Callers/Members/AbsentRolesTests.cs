using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>A role that the policy gives to a name whom the member list does not have is not given, and that is told.</summary>
public sealed class AbsentRolesTests : IAsyncLifetime
{
    private DirectoryRoom _room = null!;

    public async Task InitializeAsync() => _room = await DirectoryRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task They_are_told_once_in_the_log_and_as_long_as_it_lasts_by_readiness()
    {
        _room.Policy = PolicyWith(""" "administrators": [ "bob", { "team": "devops" } ], "auditors": [ "gus", { "name": "hal", "external": true } ] """);
        using (_room.Hub.Faults.Add(ImageAccess.FakeHubs.Face.Hub, ImageAccess.FakeHubs.Fault.Status(500)))
            await _room.ReadAsync();
        Assert.Empty(Told()); // no list was read: the policy counts alone

        await _room.ReadAsync();
        await _room.ReadAsync();
        const string Concern = "the policy gives roles to names that are on no member list, and they do not have them: ";
        Assert.Equal(Concern + "auditor of acme: gus", await _room.ConcernAsync());
        Assert.Equal(
            "A role of the policy is not given, because no member list names the account: auditor of acme: gus. Remove the names from the policy, or write them as "
            + "{ \"name\": …, \"external\": true } where they are to have it without being on the list",
            Assert.Single(Told()));
        Assert.Equal(Roles.None, _room.Roles.OfPerson("gus", "acme"));

        _room.Acme.RemoveMember("bob");
        await _room.ReadAsync();
        await _room.ReadAsync();
        Assert.Equal(Concern + "administrator of acme: bob; auditor of acme: gus", await _room.ConcernAsync());
        Assert.Equal(2, Told().Count);
        Assert.Contains(": administrator of acme: bob. ", Told()[1], StringComparison.Ordinal);

        _room.Acme.AddMember("bob");
        _room.Policy = PolicyWith(""" "administrators": [ "bob" ] """);
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
        _room.Acme.RemoveMember("bob");
        await _room.ReadAsync();
        Assert.Equal(3, Told().Count); // it was over, and is not any more
    }

    [Fact]
    public async Task Each_role_has_its_own_and_a_company_owner_is_told_when_no_list_has_him()
    {
        _room.Policy = PolicyFixture.Compile("""
            {
              "companyOwners": [ "bob", "zoe", { "name": "yan", "external": true } ],
              "organizations": [
                { "name": "acme", "owners": [ "alice", "olga" ], "roles": { "administrators": [ "a1" ], "approvers": [ "a2", "a1" ], "auditors": [ "a3" ], "onCall": [ "a4" ] } },
                { "name": "beta", "owners": [ "nina" ], "roles": { "auditors": [ "a5" ] } }
              ]
            }
            """);
        await _room.ReadAsync();
        Assert.Equal(
            ["owner of acme: olga", "administrator of acme: a1", "approver of acme: a2, a1", "auditor of acme: a3", "on-call of acme: a4", "company-owner of the company: zoe"],
            AbsentRole.Find(_room.Policy, _room.Directory.Book).Select(role => role.ToString()));
        Assert.Equal(5, Told().Count); // owners have a line of their own
        Assert.Equal((Roles.CompanyOwner, Roles.None), (_room.Roles.OfPerson("bob", null), _room.Roles.OfPerson("zoe", null)));
    }

    [Fact]
    public async Task A_long_list_of_them_is_cut()
    {
        _room.Policy = PolicyWith($"\"approvers\": [ {string.Join(", ", Enumerable.Range(0, 300).Select(i => $"\"former{i:000}\""))} ]");
        await _room.ReadAsync();
        Assert.EndsWith(": approver of acme: former000, former001, former002, former003, former004 and 295 more", await _room.ConcernAsync(), StringComparison.Ordinal);
        Assert.Contains("former004 and 295 more. ", Assert.Single(Told()), StringComparison.Ordinal);
    }

    private static Policy PolicyWith(string roles) => PolicyFixture.Compile($$"""{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "roles": { {{roles}} } } ] }""");

    private List<string> Told() => [.. _room.Logs.All.Where(line => line.StartsWith("A role of the policy is not given", StringComparison.Ordinal))];
}
