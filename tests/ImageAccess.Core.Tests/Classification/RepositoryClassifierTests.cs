using System.Collections.Frozen;
using ImageAccess.Core.Classification;

namespace ImageAccess.Core.Tests.Classification;

public sealed class RepositoryClassifierTests
{
    private static readonly DateTimeOffset ReadAt = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    private static readonly FrozenSet<string> Namespaces = ((string[])["acme", "acmelabs"]).ToFrozenSet();

    [Theory]
    [InlineData("acme/app", NamespaceBadge.VerifiedPublisher, RepositoryCategory.Organization, "policy")]
    [InlineData("acmelabs/a/b", NamespaceBadge.None, RepositoryCategory.Organization, "policy")]
    [InlineData("nginx", NamespaceBadge.VerifiedPublisher, RepositoryCategory.Official, "name")]
    [InlineData("library/nginx", NamespaceBadge.None, RepositoryCategory.Official, "name")]
    [InlineData("library/a/b", NamespaceBadge.None, RepositoryCategory.Community, "hub")]
    [InlineData("bitnami/redis", NamespaceBadge.VerifiedPublisher, RepositoryCategory.VerifiedPublisher, "hub")]
    [InlineData("rancher/k3s", NamespaceBadge.OpenSource, RepositoryCategory.Community, "hub")]
    [InlineData("someuser/tool", NamespaceBadge.None, RepositoryCategory.Community, "hub")]
    [InlineData("someuser/tool", NamespaceBadge.Unknown, RepositoryCategory.Unknown, null)]
    [InlineData("someuser/tool", (NamespaceBadge)99, RepositoryCategory.Unknown, null)]
    public void Judges_by_the_facts(string name, NamespaceBadge badge, RepositoryCategory category, string? source)
    {
        var repository = Names.Repository(name);
        var facts = PublisherFacts.Known(new NamespaceRecord(repository.Namespace, badge, "hub", ReadAt));

        var classification = RepositoryClassifier.Classify(repository, Namespaces, facts);

        Assert.Equal(new RepositoryClassification(category, source, source == "hub" ? ReadAt : null), classification);
    }

    [Fact]
    public void Without_facts_it_knows_what_the_name_and_the_policy_say()
    {
        foreach (var facts in (PublisherFacts[])[PublisherFacts.NotAsked, PublisherFacts.Unavailable])
        {
            Assert.Equal(RepositoryClassification.Official, Classify("nginx", facts));
            Assert.Equal(RepositoryClassification.Organization, Classify("acme/app", facts));
            Assert.Equal(RepositoryClassification.Unknown, Classify("bitnami/redis", facts));
        }
    }

    [Fact]
    public void A_record_of_another_namespace_says_nothing() => Assert.Equal(
        RepositoryClassification.Unknown,
        Classify("someuser/tool", PublisherFacts.Known(new NamespaceRecord("bitnami", NamespaceBadge.VerifiedPublisher, "hub", ReadAt))));

    private static RepositoryClassification Classify(string name, PublisherFacts facts) =>
        RepositoryClassifier.Classify(Names.Repository(name), Namespaces, facts);
}
