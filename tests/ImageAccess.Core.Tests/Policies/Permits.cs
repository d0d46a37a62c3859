using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>Permits come from the engine alone, for tests as well: a policy that is off allows everything.</summary>
internal static class Permits
{
    public static Permit For(RepositoryName repository) =>
        PolicyEngine.Decide(Policy.Off, Caller.Anonymous, repository, PublisherFacts.NotAsked, now: default).Permit!;

    /// <summary>For images of a repository that is denied but for these exceptions of acme, or of acme and beta.</summary>
    public static AccessDecision Limited(Asked asked, params GrantedException[] exceptions)
    {
        var beta = exceptions.Any(exception => exception.Organization == "beta") ? """, { "name": "beta", "enabled": true }""" : "";
        var json = $$"""{ "organizations": [ { "name": "acme", "enabled": true, "help": "ask in #platform" }{{beta}} ] }""";
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(json), out var policy, out var problems), string.Join("; ", problems));
        return PolicyEngine.Decide(policy.With(new Exceptions(exceptions, 1)), Caller.Anonymous, asked, PublisherFacts.Unavailable, DateTimeOffset.UnixEpoch);
    }

    public static GrantedException Exception(long id, string pattern, Digest? approved = null, bool follow = false, string organization = "acme")
    {
        Assert.True(GrantedException.TryParsePattern(pattern, out var parsed, out var problem), problem);
        return new GrantedException(id, organization, parsed, approved, follow, "a test", "bob", "alice", DateTimeOffset.UnixEpoch, null);
    }

    public static Permit For(string repository) => For(Names.Repository(repository));
}
