namespace ImageAccess.Core.Classification;

/// <summary>The badge that Docker Hub gives to a namespace; zero means that there is no answer.</summary>
public enum NamespaceBadge
{
    Unknown,

    /// <summary>No badge: a personal account, an organization without one, or nobody.</summary>
    None,
    VerifiedPublisher,

    /// <summary>Sponsored open source: a community image to the policy.</summary>
    OpenSource,
}

/// <summary>What a source knows about a namespace.</summary>
/// <param name="Namespace">The namespace.</param>
/// <param name="Badge">Its badge.</param>
/// <param name="Source">Who says so: <c>hub</c>.</param>
/// <param name="ReadAt">When it was read there.</param>
public sealed record NamespaceRecord(string Namespace, NamespaceBadge Badge, string Source, DateTimeOffset ReadAt);
