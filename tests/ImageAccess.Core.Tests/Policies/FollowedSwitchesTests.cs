using System.Collections.Immutable;
using System.Text;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class FollowedSwitchesTests
{
    private const string Document = """
        { "organizations": [
          { "name": "acme", "follow": "docker-hub", "enabled": true, "allow": { "official": true, "community": true } },
          { "name": "beta", "enabled": true },
          { "name": "gamma", "follow": "docker-hub" } ] }
        """;

    [Theory]
    [InlineData(false, false, false, "0")]
    [InlineData(false, true, true, "3")]
    [InlineData(true, false, false, "4")]
    [InlineData(true, false, true, "5")]
    [InlineData(true, true, false, "6")]
    [InlineData(true, true, true, "7")]
    public void The_version_tells_which_switches_hold(bool enabled, bool official, bool verified, string digit)
    {
        var written = Compile(Document);
        var policy = written.With(Of(("acme", new HubSwitches(enabled, official, verified) { Registries = new RegistriesDocument() })));

        Assert.Equal((written.Version, $"{written.Version}.{digit}-"), (policy.DocumentVersion, policy.Version));
        Assert.Equal((enabled, official, verified, true), (policy.Organizations[0].Enabled, policy.Organizations[0].AllowsOfficial, policy.Organizations[0].AllowsVerifiedPublisher, policy.Organizations[0].AllowsCommunity));
        Assert.Equal((true, false), (policy.Organizations[1].Enabled, policy.Organizations[2].Enabled));
        Assert.Same(written.Document, policy.Written);
    }

    [Fact]
    public void What_stands_beside_the_document_stays()
    {
        var blocks = new Blocks([]);
        var exceptions = new Exceptions([], 7);
        var policy = Compile(Document).With(blocks).With(exceptions).With(Of(("acme", HubSwitches.Closed)));
        Assert.Same(blocks, policy.Blocks);
        Assert.Same(exceptions, policy.Exceptions);
        var other = policy.With(FollowedSwitches.None);
        Assert.Equal((policy.DocumentVersion + ".--", true, true), (other.Version, other.Organizations[0].AllowsOfficial, ReferenceEquals(blocks, other.Blocks)));
    }

    [Fact]
    public void The_version_tells_which_registries_are_limited()
    {
        var written = Compile(Document);
        var open = new HubSwitches(true, true, true) { Registries = new RegistriesDocument() };
        RegistriesDocument limited = new() { Enabled = true, Custom = [new("ghcr.io", "GitHub", true)] };
        string[] versions =
        [
            .. new[]
            {
                Of(("acme", open)),
                Of(("acme", open with { Registries = null })),
                Of(("acme", open with { Registries = limited })),
                Of(("acme", open with { Registries = limited with { Custom = [new("ghcr.io", "GitHub", false)] } })),
                Of(("acme", open with { Registries = limited with { Custom = [] } })),
                Of(("acme", open), ("gamma", open with { Registries = limited })),
                Of(("acme", open with { Registries = limited }), ("gamma", open)),
            }.Select(followed => written.With(followed).Version),
        ];
        Assert.Equal(versions.Length, versions.Distinct().Count());
        Assert.Equal($"{written.Version}.7-", versions[0]);
        Assert.All(versions[1..], version => Assert.Matches(@"\.7[-7]\.[0-9a-f]{8}$", version));
        var renamed = Of(("acme", open with { Registries = limited with { Custom = [new("ghcr.io", "another name", true)] } }));
        Assert.Equal(versions[2], written.With(renamed).Version); // what people call it decides nothing
    }

    [Fact]
    public void Whoever_does_not_follow_has_the_documents_version_whatever_is_known()
    {
        var policy = Compile("""{ "organizations": [ { "name": "acme", "enabled": true } ] }""").With(Of(("acme", new HubSwitches(false, true, true))));
        Assert.Equal((policy.DocumentVersion, true, false), (policy.Version, policy.IsEnabled, policy.Organizations[0].AllowsOfficial));
        Assert.NotNull(policy.Followed.Find("acme"));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("\"Docker-Hub\"")]
    [InlineData("null")]
    [InlineData("[ \"docker-hub\" ]")]
    public void Nothing_else_can_be_followed(string value)
    {
        Assert.False(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes($$"""{ "organizations": [ { "name": "acme", "follow": {{value}} } ] }"""), out _, out var problems));
        Assert.Equal("organizations[0].follow: must be \"docker-hub\"", Assert.Single(problems).ToString());
    }

    private static FollowedSwitches Of(params (string Organization, HubSwitches Switches)[] known) => new(known.ToImmutableDictionary(one => one.Organization, one => one.Switches));

    private static Policy Compile(string document)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document), out var policy, out var problems), string.Join("; ", problems));
        return policy;
    }
}
