using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Which repositories content was seen in, and what tags last pointed to. What is in memory is there when the call returns. What was
/// recorded last may be lost in a crash; what is left is never wrong.
/// </summary>
public interface ILinkStore
{
    /// <summary>By what the permit's repository has content; null where upstream has not answered for this digest there.</summary>
    ValueTask<ContentLink?> FindAsync(Permit permit, Digest digest, CancellationToken cancellationToken);

    /// <summary>What a tag last pointed to for these accepted media types; null where that is not known.</summary>
    ValueTask<KnownTag?> FindTagAsync(Permit permit, Tag tag, string accept, CancellationToken cancellationToken);

    /// <summary>Upstream has answered 200 for this digest in this repository, to a caller's own token.</summary>
    /// <param name="mediaType">A manifest's media type, as upstream said it; null for a blob.</param>
    /// <param name="seenAt">When it answered.</param>
    ValueTask LinkAsync(RepositoryName repository, Digest digest, string? mediaType, DateTimeOffset seenAt);

    /// <summary>The repository has it no longer, as far as is known.</summary>
    /// <returns>By what it had it; null where it had not.</returns>
    ValueTask<ContentLink?> UnlinkAsync(RepositoryName repository, Digest digest);

    /// <param name="accept">The accepted media types, in the one form in which they are compared.</param>
    ValueTask RecordTagAsync(RepositoryName repository, Tag tag, string accept, KnownTag known);

    /// <summary>For all accepted media types.</summary>
    /// <returns>What the tag pointed to.</returns>
    ValueTask<IReadOnlyList<Digest>> ForgetTagAsync(RepositoryName repository, Tag tag);

    /// <summary>Everything that is known of a repository.</summary>
    /// <returns>How many links and how many tags there were.</returns>
    ValueTask<(int Links, int Tags)> ForgetRepositoryAsync(RepositoryName repository);

    /// <summary>What repositories have, whoever may see it: to look, or to forget it, and never to serve by.</summary>
    ValueTask<IReadOnlyList<SeenLink>> ListAsync(Func<RepositoryName, Digest, bool> wanted);

    /// <summary>What the tags of a repository last pointed to, for whichever accepted media types.</summary>
    ValueTask<IReadOnlyList<SeenTag>> ListTagsAsync(RepositoryName repository);
}

/// <summary>What a tag pointed to, and when upstream last said so.</summary>
public sealed record KnownTag(Digest Digest, DateTimeOffset SeenAt);

/// <summary>A repository has content of this digest: as a manifest, or as a blob.</summary>
public readonly record struct SeenLink(RepositoryName Repository, Digest Digest, bool IsManifest);

/// <summary>A tag pointed to this digest.</summary>
public readonly record struct SeenTag(string Tag, Digest Digest);

/// <summary>The proof that upstream itself has answered for this digest in a repository. Only a link store makes one to serve by, for a permit of that repository.</summary>
public sealed class ContentLink
{
    internal ContentLink(Digest digest, string? mediaType, DateTimeOffset seenAt) => (Digest, MediaType, SeenAt, ToldAt) = (digest, mediaType, seenAt, seenAt);

    public Digest Digest { get; }

    /// <summary>When upstream last answered.</summary>
    public DateTimeOffset SeenAt { get; }

    /// <summary>The same, as a store has written it down.</summary>
    internal DateTimeOffset ToldAt { get; init; }

    /// <summary>A manifest's media type, as upstream said it; null for a blob.</summary>
    public string? MediaType { get; }
}
