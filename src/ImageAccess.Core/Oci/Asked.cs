namespace ImageAccess.Core.Oci;

/// <summary>What somebody asks for: a repository, and what of it is named.</summary>
/// <param name="Repository">The repository.</param>
/// <param name="Tag">The tag by which a manifest is asked for; null for none.</param>
/// <param name="Digest">The digest of the content that is asked for; null for none.</param>
public readonly record struct Asked(RepositoryName Repository, Tag? Tag = null, Digest? Digest = null)
{
    private readonly IReadOnlyList<Tag>? _furtherTags;

    /// <summary>The tags that a push names beside its reference.</summary>
    public IReadOnlyList<Tag> FurtherTags
    {
        get => _furtherTags ?? [];
        init => _furtherTags = value;
    }

    /// <summary>It is only read: exceptions are for pulls alone.</summary>
    public bool IsPull { get; init; }

    /// <summary>What a person means who pulls the image: without tag and digest the tag <c>latest</c>.</summary>
    public static Asked PullOf(RepositoryName repository, Tag? tag, Digest? digest) =>
        new(repository, tag ?? (digest is null ? Tag.Latest : null), digest) { IsPull = true };

    /// <summary>The repository itself, and nothing in particular of it.</summary>
    public static implicit operator Asked(RepositoryName repository) => new(repository);
}
