using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>The teams of a member list: read, kept over a restart, bounded; they give roles.</summary>
public sealed class TeamsTests : IAsyncLifetime
{
    private DirectoryRoom _room = null!;

    public async Task InitializeAsync()
    {
        _room = await DirectoryRoom.OpenAsync();
        _room.Policy = PolicyFixture.Compile("""
            { "organizations": [ { "name": "acme", "roles": { "administrators": [ { "team": "devops" } ], "approvers": [ "bob", { "name": "carol", "external": true } ] } } ] }
            """);
        _room.Acme.AddMember(new FakeMember("ed", "Editor") { Groups = ["DevOps", "members", "devops"] });
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task A_team_of_the_list_gives_its_role_and_takes_it_again()
    {
        Assert.Equal(Roles.None, RolesOf("ed"));
        await _room.ReadAsync();
        Assert.Equal(["devops", "members"], TeamsOf("ed"));
        Assert.Equal(Roles.Member | Roles.Administrator, RolesOf("ed"));

        _room.Acme.AddMember(new FakeMember("ed", "Editor") { Groups = ["members"] });
        await _room.ReadAsync();
        Assert.Equal(Roles.Member, RolesOf("ed"));
    }

    [Fact]
    public async Task Who_is_not_on_the_list_that_was_read_has_no_role_by_name_unless_external()
    {
        Assert.Equal(Roles.Approver, RolesOf("bob"));
        await _room.ReadAsync();
        Assert.Equal(Roles.Member | Roles.Approver, RolesOf("bob"));
        _room.Acme.RemoveMember("bob");
        await _room.ReadAsync();
        Assert.Equal(Roles.None, RolesOf("bob"));
        Assert.Equal(Roles.Approver, RolesOf("carol"));
        Assert.Equal(Roles.None, RolesOf("carol", "0ab70deb-065a-43fc-acd5-5d48caa945d8")); // another account came by the name
    }

    [Fact]
    public async Task A_team_outlives_a_restart_and_a_list_that_is_too_old_gives_none()
    {
        await _room.ReadAsync();
        using (_room.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/members", Fault.Status(500)))
        {
            await _room.RestartAsync();
            Assert.Equal(Roles.Member | Roles.Administrator, RolesOf("ed"));
            _room.Time.Advance(TimeSpan.FromDays(7) + TimeSpan.FromSeconds(1));
            Assert.Equal(Roles.Member, RolesOf("ed"));
        }
    }

    [Fact]
    public async Task A_list_that_an_earlier_version_kept_has_no_teams()
    {
        await _room.ReadAsync();
        var kept = await File.ReadAllTextAsync(_room.KeptFile);
        Assert.Contains(""","teams":["devops","members"]""", kept, StringComparison.Ordinal);
        await File.WriteAllTextAsync(
            _room.KeptFile, kept.Replace(""","teams":["devops","members"]""", "", StringComparison.Ordinal).Replace(""","teams":["members"]""", "", StringComparison.Ordinal));
        using (_room.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/members", Fault.Status(500)))
        {
            await _room.RestartAsync();
            Assert.Equal(Roles.Member, RolesOf("ed"));
            Assert.Empty(TeamsOf("ed"));
        }
    }

    [Fact]
    public async Task Teams_are_bounded_and_what_is_none_is_left_out()
    {
        var many = Enumerable.Range(0, 1000).Select(i => string.Create(CultureInfo.InvariantCulture, $"team{i:d4}"));
        _room.Acme.AddMember(new FakeMember("ed", "Editor") { Groups = ["", new string('x', 65), new string('y', 64), .. many] });
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("ed"));
        Assert.Equal(254, TeamsOf("ed").Count);
        Assert.Contains(new string('y', 64), TeamsOf("ed"));
    }

    [Theory]
    [InlineData("\"groups\":null")]
    [InlineData("\"groups\":\"devops\"")]
    [InlineData("\"groups\":{\"devops\":true}")]
    [InlineData("\"groups\":[{\"name\":\"devops\"},7,null,[\"devops\"]]")]
    [InlineData("\"no\":1")]
    public async Task A_list_without_teams_or_with_others_is_a_list_all_the_same(string groups)
    {
        var body = $$"""{"count":1,"next":null,"results":[{"id":"{{new string('e', 32)}}","username":"ed","role":"Member",{{groups}}}]}""";
        using var wrong = _room.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/members", Fault.Status(200, body));
        await _room.ReadAsync();
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("ed", new string('e', 32)));
        Assert.Empty(_room.Describe("ed", new string('e', 32)).Memberships.SelectMany(membership => membership.Teams));
    }

    private Roles RolesOf(string username, string? id = null) => _room.Policy.RolesOf(_room.Describe(username, id), "acme");

    private IReadOnlyList<string> TeamsOf(string username) => [.. _room.Describe(username).Memberships.SelectMany(membership => membership.Teams)];
}
