using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Classification;

/// <summary>Gives a repository its category: organization by the namespaces, official by the name, all others by the publisher's badge.</summary>
public static class RepositoryClassifier
{
    /// <param name="repository">The repository.</param>
    /// <param name="organizationNamespaces">The namespaces of the caller's organizations.</param>
    /// <param name="publisher">What is known of the repository's namespace.</param>
    public static RepositoryClassification Classify(
        RepositoryName repository, IReadOnlySet<string> organizationNamespaces, PublisherFacts publisher)
    {
        if (organizationNamespaces.Contains(repository.Namespace))
            return RepositoryClassification.Organization;
        if (repository.IsOfficial)
            return RepositoryClassification.Official;
        if (publisher.Record is not { } record || record.Namespace != repository.Namespace)
            return RepositoryClassification.Unknown;

        return record.Badge switch
        {
            NamespaceBadge.VerifiedPublisher => By(RepositoryCategory.VerifiedPublisher),
            NamespaceBadge.None or NamespaceBadge.OpenSource => By(RepositoryCategory.Community),
            _ => RepositoryClassification.Unknown,
        };

        RepositoryClassification By(RepositoryCategory category) => new(category, record.Source, record.ReadAt);
    }
}
