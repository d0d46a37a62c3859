using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>Permits come from the engine alone, for tests as well: a policy that is off allows everything.</summary>
internal static class Permits
{
    public static Permit For(RepositoryName repository) =>
        PolicyEngine.Decide(Policy.Off, Caller.Anonymous, repository, PublisherFacts.NotAsked, today: default).Permit!;

    public static Permit For(string repository) => For(Names.Repository(repository));
}
