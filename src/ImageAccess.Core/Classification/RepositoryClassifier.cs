using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Classification;

/// <summary>Facts in, judgement out: organization by its namespaces, official by name, the rest by the publisher's badge.</summary>
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
            NamespaceBadge.VerifiedPublisher => new RepositoryClassification(RepositoryCategory.VerifiedPublisher, record.Source, record.ReadAt),
            NamespaceBadge.None or NamespaceBadge.OpenSource => new RepositoryClassification(RepositoryCategory.Community, record.Source, record.ReadAt),
            _ => RepositoryClassification.Unknown,
        };
    }
}
