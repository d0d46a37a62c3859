using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Turns upstream's answers for manifests into links and tags. Writes to a tag are counted, so that an answer that was asked for before a
/// write is not believed after it.
/// </summary>
internal sealed class ManifestLinks(ILinkStore links, ContentLinks contents, TimeProvider time)
{
    /// <summary>Shared by all tags: a counter that counts for another tag as well only costs a request.</summary>
    private readonly long[] _writes = new long[4096];

    /// <summary>How often the tag was written to, or something of its repository was forgotten. To be read before upstream is asked.</summary>
    public long WritesOf(ManifestRequest request) => contents.ForgetsOf(request.Repository)
        + (request.Reference.Tag is { } tag ? Volatile.Read(ref _writes[Place(request.Repository, tag)]) : 0);

    /// <summary>Upstream has named this digest in this repository to a caller's own token.</summary>
    /// <param name="writes">What <see cref="WritesOf"/> was before upstream was asked.</param>
    public async ValueTask LearnAsync(ManifestRequest request, TagQuestion? question, Digest digest, string? mediaType, long writes)
    {
        if (mediaType is null)
            return;
        var forgets = contents.ForgetsOf(request.Repository);
        if (WritesOf(request) != writes)
            return;
        await contents.LearnAsync(request.Repository, digest, mediaType, forgets);
        if (question is null)
            return;
        await links.RecordTagAsync(request.Repository, question.Tag, question.Accept, new KnownTag(digest, time.GetUtcNow()));
        if (WritesOf(request) != writes)
            await links.ForgetTagAsync(request.Repository, question.Tag);
    }

    /// <summary>The tags or the manifest are being written to, or were deleted.</summary>
    public async ValueTask ForgetAsync(ManifestRequest request)
    {
        if (request.Reference.Tag is { } named)
            await ForgetAsync(request.Repository, named);
        else if (request.Method == "DELETE")
            await links.UnlinkAsync(request.Repository, request.Reference.Digest!);
        foreach (var tag in request.Tags)
            await ForgetAsync(request.Repository, tag);
    }

    private async ValueTask ForgetAsync(RepositoryName repository, Tag tag)
    {
        Interlocked.Increment(ref _writes[Place(repository, tag)]);
        await links.ForgetTagAsync(repository, tag);
    }

    private int Place(RepositoryName repository, Tag tag) => (int)((uint)HashCode.Combine(repository.Value, tag.Value) % (uint)_writes.Length);
}

/// <summary>Which tag a client asks for, for which media types, and what it pointed to before.</summary>
internal sealed record TagQuestion(Tag Tag, string Accept, Digest? Known)
{
    /// <summary>The tag points elsewhere now: from where, and to where.</summary>
    public (Digest From, Digest To)? MovedTo(Digest? digest) => Known is { } known && digest is not null && !known.Equals(digest) ? (known, digest) : null;
}
