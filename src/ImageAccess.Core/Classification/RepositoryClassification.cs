namespace ImageAccess.Core.Classification;

/// <summary>The judgement on a repository, and where it comes from.</summary>
/// <param name="Category">The category; unknown when no source could answer.</param>
/// <param name="Source"><c>name</c>, <c>policy</c>, or the source of the namespace's record; null when unknown.</param>
/// <param name="ReadAt">When the source was read, where that matters.</param>
public sealed record RepositoryClassification(RepositoryCategory Category, string? Source, DateTimeOffset? ReadAt)
{
    public static RepositoryClassification Unknown { get; } = new(RepositoryCategory.Unknown, null, null);

    public static RepositoryClassification Official { get; } = new(RepositoryCategory.Official, "name", null);

    public static RepositoryClassification Organization { get; } = new(RepositoryCategory.Organization, "policy", null);
}
