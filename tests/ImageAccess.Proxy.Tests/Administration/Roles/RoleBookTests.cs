using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Tests.Callers.Members;
using ImageAccess.Proxy.Tests.Policies.Store;
using static ImageAccess.Core.Policies.Roles;

namespace ImageAccess.Proxy.Tests.Administration.Roles;

/// <summary>Who has which roles at this moment.</summary>
public sealed class RoleBookTests : IAsyncLifetime
{
    private DirectoryRoom _room = null!;
    private RoleBook _book = null!;

    public async Task InitializeAsync()
    {
        _room = await DirectoryRoom.OpenAsync();
        _room.Policy = PolicyFixture.Compile("""
            {
              "companyOwners": [ { "name": "zoe", "external": true } ],
              "organizations": [
                { "name": "acme", "owners": [ "alice" ], "roles": { "administrators": [ "bob", { "team": "devops" } ], "auditors": [ { "name": "gus", "external": true } ] } },
                { "name": "beta", "owners": [ "nina" ] }
              ]
            }
            """);
        _room.Acme.AddMember(new FakeMember("ed", "Editor") { Groups = ["devops"] });
        await _room.ReadAsync();
        _book = _room.Roles;
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Theory]
    [InlineData("alice", "acme", Member | Owner)]
    [InlineData("ALICE", "acme", Member | Owner)]
    [InlineData("alice", "beta", None)]
    [InlineData("bob", "acme", Member | Administrator)]
    [InlineData("ed", "acme", Member | Administrator)]
    [InlineData("gus", "acme", Auditor)]
    [InlineData("nina", "beta", Member | Owner)]
    [InlineData("zoe", "acme", CompanyOwner)]
    [InlineData("zoe", null, CompanyOwner)]
    [InlineData("alice", null, None)]
    [InlineData("mallory", "acme", None)]
    [InlineData("acme", "acme", None)]
    [InlineData("", "acme", None)]
    public void A_person_has_the_roles_of_the_name(string name, string? organization, Core.Policies.Roles roles)
    {
        Assert.Equal(roles, _book.OfPerson(name, organization));
        Assert.Equal(roles, _book.Of(new Actor { Name = name }, organization));
    }

    /// <summary>Also of what does not count at this moment: alice and bob are named, nina's organization has no list.</summary>
    [Fact]
    public void Each_role_has_its_sources()
    {
        var sources = _room.RoleSources.All().SelectMany(
            held => held.Select(source => $"{held.Key.Organization ?? "-"} {(held.Key.IsTeam ? "team " : "")}{held.Key.Name}: {source.Role} by {source.Name}{(source.Team is { } team ? $" {team}" : "")}{(source.IsExternal ? " external" : "")}"));
        Assert.Equal(
            [
                "- zoe: CompanyOwner by document external",
                "acme alice: Owner by document",
                "acme alice: Owner by member-list",
                "acme bob: Administrator by document",
                "acme ed: Administrator by team devops",
                "acme gus: Auditor by document external",
                "acme team devops: Administrator by document",
                "beta nina: Owner by document",
            ],
            sources.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_role_ends_with_the_policy_and_with_the_member_list_that_give_it()
    {
        _room.Acme.RemoveMember("bob");
        await _room.ReadAsync();
        Assert.Equal(None, _book.OfPerson("bob", "acme"));
        _room.Policy = DirectoryRoom.PolicyWith("\"carol\"");
        Assert.Equal(None, _book.OfPerson("zoe", "acme"));
        Assert.Equal(Member | Owner | CompanyOwner, _book.OfPerson("alice", "acme")); // by the list, and the only organization
    }

    [Fact]
    public void Another_account_behind_the_name_has_none_of_its_roles()
    {
        var known = DirectoryRoom.CallerOf("bob").Subject;
        Assert.Equal(Member | Administrator, _book.Of(new Actor { Name = "bob", Account = known }, "acme"));
        Assert.Equal(None, _book.Of(new Actor { Name = "bob", Account = new string('b', 32) }, "acme"));
    }

    [Fact]
    public void A_name_with_two_accounts_has_no_role_until_it_is_known_which_account_asks()
    {
        Assert.Equal(Auditor, _book.Of(new Actor { Name = "gus", Account = new string('a', 32) }, "acme"));
        Assert.Equal(None, _book.Of(new Actor { Name = "gus", Account = new string('b', 32) }, "acme"));
        Assert.Equal(None, _book.OfPerson("gus", "acme"));
        Assert.Equal(Auditor, _book.Of(new Actor { Name = "gus", Account = new string('a', 32) }, "acme"));
    }

    [Theory]
    [InlineData(Administrator, "acme", "acme", Administrator)]
    [InlineData(Administrator, "acme", "beta", None)]
    [InlineData(Administrator, "acme", null, None)]
    [InlineData(Administrator, null, "beta", Administrator)]
    [InlineData(Administrator, null, null, None)]
    [InlineData(CompanyOwner, null, null, CompanyOwner)]
    [InlineData(CompanyOwner, null, "acme", CompanyOwner)]
    [InlineData(CompanyOwner, "acme", "acme", None)]
    [InlineData(None, null, "acme", None)]
    public void A_token_has_its_one_role_in_its_organization(Core.Policies.Roles role, string? of, string? organization, Core.Policies.Roles roles) =>
        Assert.Equal(roles, _book.Of(new Actor { Name = "alice", Fixed = role, Organization = of }, organization));

    [Theory]
    [InlineData("acme")]
    [InlineData(null)]
    public void A_verb_on_the_server_may_everything(string? organization) => Assert.All(
        Enum.GetValues<Operation>().Where(operation => operation != Operation.None),
        operation => Assert.True(Rights.Allow(_book.Of(Actor.Server("root"), organization), operation), $"{operation}"));
}
