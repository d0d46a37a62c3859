using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>What an emergency opens, and what not.</summary>
public sealed class BreakGlassTests
{
    private const string Two =
        """{ "organizations": [ { "name": "acme", "enabled": true, "owners": [ "alice" ], "members": [ "bob", "both" ] }, { "name": "beta", "enabled": true, "members": [ "both", "hank" ] } ] }""";

    private static readonly DateTimeOffset Begun = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);
    private static readonly PublisherFacts Community = PublisherFacts.Known(new NamespaceRecord("someuser", NamespaceBadge.None, "a test", DateTimeOffset.UnixEpoch));

    [Theory]
    [InlineData("bob", "someuser/db", 0, "Allow break-glass")]
    [InlineData("bob", "someuser/db", 7199, "Allow break-glass")]
    [InlineData("bob", "someuser/db", 7200, "Deny community")] // to the second
    [InlineData("bob", "someuser/db", -1, "Deny community")] // a clock that goes back
    [InlineData("bob", "someuser/other", 0, "Deny community")]
    [InlineData("alice", "someuser/db", 0, "Allow owner")]
    [InlineData("hank", "someuser/db", 0, "Deny community")] // of another organization
    [InlineData("both", "someuser/db", 0, "Deny community")] // the other denies
    [InlineData(null, "someuser/db", 0, "Deny community")] // as a member of each
    [InlineData("bob", "acme/app", 0, "Allow organization")]
    public void A_repository_is_opened_to_one_organization(string? user, string repository, int seconds, string said) =>
        Assert.Equal(said, Decide(Two, Of("someuser/db"), user, repository, seconds));

    [Theory]
    [InlineData("bob", 0, "Observe community")]
    [InlineData("bob", 7199, "Observe community")]
    [InlineData("bob", 7200, "Deny community")]
    [InlineData("hank", 0, "Deny community")]
    [InlineData("both", 0, "Deny community")]
    [InlineData(null, 0, "Deny community")]
    public void One_organization_observes(string? user, int seconds, string said) =>
        Assert.Equal(said, Decide(Two, Of(null), user, "someuser/db", seconds));

    [Fact]
    public void Nothing_is_opened_to_who_writes()
    {
        Assert.Equal("Deny community", Decide(Two, Of("someuser/db"), "bob", "someuser/db", 0, isPull: false));
        Assert.Equal("Allow break-glass", Decide(Two, Of("someuser/db"), "bob", "someuser/db", 0));
    }

    /// <summary>Who is refused whatever the image is stays so, unless the organization observes.</summary>
    [Fact]
    public void Who_must_sign_in_must_still()
    {
        var policy = """{ "callers": { "anonymous": "deny" }, "organizations": [ { "name": "acme", "enabled": true, "members": [ "bob" ] } ] }""";
        Assert.Equal("Deny sign-in", Decide(policy, Of("someuser/db"), null, "someuser/db", 0));
        Assert.Equal("Observe sign-in", Decide(policy, Of(null), null, "someuser/db", 0));
    }

    [Theory]
    [InlineData("someuser/db")]
    [InlineData(null)]
    public void A_block_beats_it(string? repository)
    {
        Assert.True(ImagePattern.TryParse("someuser/*", out var pattern, out _));
        var blocked = Compile(Two).With(new Blocks([new Block(1, pattern, "stolen", "eve", Begun)])).With([Of(repository)]);
        Assert.Equal("Deny block", Decide(blocked, "bob", "someuser/db", 0));
        Assert.Equal("Deny block", Decide(blocked, "alice", "someuser/db", 0));
    }

    private static BreakGlass Of(string? repository) => new(1, "acme", repository is null ? null : Names.Repository(repository), "OPS-7", "eve", Begun, Begun.AddHours(2));

    private static string Decide(string policy, BreakGlass one, string? user, string repository, int seconds, bool isPull = true) =>
        Decide(Compile(policy).With([one]), user, repository, seconds, isPull);

    private static string Decide(Policy policy, string? user, string repository, int seconds, bool isPull = true)
    {
        var decision = PolicyEngine.Decide(
            policy, user is null ? Caller.Anonymous : Caller.SignedIn(user, user), new Asked(Names.Repository(repository)) { IsPull = isPull }, Community, Begun.AddSeconds(seconds));
        return $"{decision.Outcome} {decision.Rule}";
    }

    private static Policy Compile(string json)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(json), out var policy, out var problems), string.Join("; ", problems));
        return policy;
    }
}
