using System.Text.Json.Nodes;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class ClaimsTests
{
    private static readonly DateTimeOffset Now = IdentityRoom.Start;

    [Fact]
    public async Task A_signed_in_caller_has_a_name_and_a_subject()
    {
        var token = await VerifyAsync(c => c["https://auth.docker.io"]!["username"] = "Alice");

        Assert.Equal("alice", token.Caller.Name);
        Assert.Equal("0ab70deb-065a-43fc-acd5-5d48caa945d8", token.Caller.Subject);
        Assert.Empty(token.Caller.Memberships);
        Assert.Equal(Now.AddMinutes(5), token.ExpiresAt);
    }

    [Fact]
    public async Task A_token_that_a_library_wrote_says_the_same()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var verified = Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.TokenOfLibrary(Now)));

        Assert.Equal(("alice", "0ab70deb-065a-43fc-acd5-5d48caa945d8", Now.AddMinutes(5)), (verified.Token.Caller.Name, verified.Token.Caller.Subject, verified.Token.ExpiresAt));
        Assert.True(RepositoryName.TryParse("acme/app", out var repository));
        Assert.True(verified.Token.Grants(repository, RegistryAction.Pull));
        Assert.False(verified.Token.Grants(repository, RegistryAction.Push));
    }

    [Theory]
    [InlineData("""{"sub":""}""")]
    [InlineData("""{"sub":null}""")]
    [InlineData("""{}""")]
    public async Task Without_a_subject_a_caller_is_anonymous_whatever_else_is_said(string subject)
    {
        var token = await VerifyAsync(
            c =>
            {
                c.Remove("sub");
                if (JsonNode.Parse(subject)!.AsObject().ContainsKey("sub"))
                    c["sub"] = JsonNode.Parse(subject)!["sub"]?.DeepClone();
                c["organizations"] = "acme";
            },
            ("Identity:OrganizationClaim", "/organizations"));

        Assert.Same(Caller.Anonymous, token.Caller);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"alice\"")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"username\":\"\"}")]
    [InlineData("{\"username\":7}")]
    public async Task A_caller_may_have_no_name(string claim)
    {
        var token = await VerifyAsync(c => c["https://auth.docker.io"] = JsonNode.Parse(claim));

        Assert.Null(token.Caller.Name);
        Assert.False(token.Caller.IsAnonymous);
    }

    [Theory]
    [InlineData("\"acme\"", "acme")]
    [InlineData("\"ACME\"", "acme")]
    [InlineData("\"\"", "")]
    [InlineData("[\"acme\",\"globex\"]", "acme globex")]
    [InlineData("[\"acme\",7,null,\"\",\"Acme\",[\"no\"],\"globex\"]", "acme globex")]
    [InlineData("{\"acme\":{\"role\":\"owner\"},\"globex\":null}", "acme globex")]
    [InlineData("[]", "")]
    [InlineData("{}", "")]
    [InlineData("7", "")]
    [InlineData("true", "")]
    [InlineData("null", "")]
    public async Task The_organization_claim_makes_members_and_never_owners(string claim, string organizations)
    {
        var token = await VerifyAsync(
            c => c["https://auth.docker.io"]!["organizations"] = JsonNode.Parse(claim),
            ("Identity:OrganizationClaim", "/https:~1~1auth.docker.io/organizations"));

        Assert.Equal(organizations, string.Join(' ', token.Caller.Memberships.Select(m => m.Organization)));
        Assert.All(token.Caller.Memberships, m => Assert.Equal(OrganizationRole.Member, m.Role));
    }

    [Fact]
    public async Task The_claim_counts_only_when_it_is_configured()
    {
        var token = await VerifyAsync(c => c["https://auth.docker.io"]!["organizations"] = "acme");

        Assert.Empty(token.Caller.Memberships);
    }

    [Fact]
    public async Task More_organizations_than_are_read_are_refused_rather_than_cut()
    {
        await using var room = await IdentityRoom.OpenAsync(("Identity:OrganizationClaim", "/o"));

        var most = await room.IdentifyAsync(TokenForge.Docker.Token(Now, c => c["o"] = Names(256)));
        Assert.Equal(256, Assert.IsType<Identification.Verified>(most).Token.Caller.Memberships.Count);
        var more = await room.IdentifyAsync(TokenForge.Docker.Token(Now, c => c["o"] = Names(257)));
        Assert.Equal(TokenFlaw.TooManyOrganizations, Assert.IsType<Identification.Invalid>(more).Flaw);

        static JsonArray Names(int count) => [.. Enumerable.Range(0, count).Select(i => (JsonNode)$"org{i}")];
    }

    [Theory]
    [InlineData("pull", "pull")]
    [InlineData("push", "push")]
    [InlineData("delete", "delete")]
    [InlineData("pull push", "pull push")]
    [InlineData("*", "pull push delete")]
    [InlineData("PULL", "")]
    [InlineData("pull,push", "")]
    [InlineData("admin", "")]
    [InlineData("", "")]
    public async Task An_action_is_granted_by_its_own_name_or_by_the_star(string actions, string granted)
    {
        var token = await VerifyAsync(c => c["access"] =
            new JsonArray(TokenForge.Access("acme/app", actions.Split(' ', StringSplitOptions.RemoveEmptyEntries))));

        Assert.Equal(granted, GrantedOn(token, "acme/app"));
    }

    [Theory]
    [InlineData("""[{"type":"repository","name":"nginx","actions":["*"]}]""", "library/nginx", "")]
    [InlineData("""[{"type":"repository","name":"library/nginx","actions":["pull"]}]""", "library/nginx", "pull")]
    [InlineData("""[{"type":"repository","name":"library/*","actions":["pull"]}]""", "library/nginx", "")]
    [InlineData("""[{"type":"repository","name":"Library/nginx","actions":["pull"]}]""", "library/nginx", "")]
    [InlineData("""[{"type":"repository(plugin)","name":"acme/app","actions":["pull"]}]""", "acme/app", "")]
    [InlineData("""[{"type":"registry","name":"acme/app","actions":["*"]}]""", "acme/app", "")]
    [InlineData("""[{"type":"repository","name":"acme/app","actions":["pull"]},{"type":"repository","name":"acme/app","actions":["push"]}]""", "acme/app", "pull push")]
    [InlineData("""[{"type":"repository","name":"acme/app","actions":["pull"]},{"type":"repository","name":"acme/tool","actions":["push"]}]""", "acme/tool", "push")]
    [InlineData("""[{"type":"repository","name":"acme/app","actions":null}]""", "acme/app", "")]
    [InlineData("""[{"type":"repository","name":"acme/app"}]""", "acme/app", "")]
    [InlineData("""[{"type":"repository","name":"acme/app","actions":["pull"],"parameters":{"pull_limit":"200"}}]""", "acme/app", "pull")]
    [InlineData("[]", "acme/app", "")]
    [InlineData("null", "acme/app", "")]
    public async Task The_access_list_counts_as_written(string access, string repository, string granted)
    {
        var token = await VerifyAsync(c => c["access"] = JsonNode.Parse(access));

        Assert.Equal(granted, GrantedOn(token, repository));
    }

    [Fact]
    public async Task A_huge_access_list_is_read_to_its_end()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var text = TokenForge.Docker.Token(
            Now,
            c => c["access"] = new JsonArray([.. Enumerable.Range(0, 140).Select(i => TokenForge.Access($"acme/app{i}", "pull"))]));

        for (var i = 0; i < 2; i++)
        {
            var token = Assert.IsType<Identification.Verified>(await room.IdentifyAsync(text)).Token;
            Assert.Equal("pull", GrantedOn(token, "acme/app139"));
            Assert.Equal("", GrantedOn(token, "acme/app140"));
        }

        Assert.Equal(0, room.Remembered); // too large to keep
    }

    private static async Task<VerifiedToken> VerifyAsync(Action<JsonObject> claims, params (string Key, string Value)[] settings)
    {
        await using var room = await IdentityRoom.OpenAsync(settings);
        return Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(Now, claims))).Token;
    }

    private static string GrantedOn(VerifiedToken token, string repository)
    {
        Assert.True(RepositoryName.TryParse(repository, out var name));
        Assert.False(token.Grants(name, RegistryAction.None));
        var granted = new[] { (RegistryAction.Pull, "pull"), (RegistryAction.Push, "push"), (RegistryAction.Delete, "delete") };
        return string.Join(' ', granted.Where(g => token.Grants(name, g.Item1)).Select(g => g.Item2));
    }
}
