using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Turns upstream's answers for manifests into links and tags. Writes to a tag are counted, so that an answer that was asked for before a
/// write is not believed after it.
/// </summary>
internal sealed class ManifestLinks(ILinkStore links, TimeProvider time)
{
    /// <summary>Shared by all tags: a counter that counts for another tag as well only costs a request.</summary>
    private readonly long[] _writes = new long[4096];

    /// <summary>How often the tag was written to. To be read before upstream is asked.</summary>
    public long WritesOf(ManifestRequest request) => request.Reference.Tag is { } tag ? Volatile.Read(ref _writes[Place(request.Repository, tag)]) : 0;

    /// <summary>Upstream has named this digest in this repository to a caller's own token.</summary>
    /// <param name="writes">What <see cref="WritesOf"/> was before upstream was asked.</param>
    public async ValueTask LearnAsync(ManifestRequest request, TagQuestion? question, Digest digest, string? mediaType, long writes)
    {
        if (mediaType is null)
            return;
        await links.LinkAsync(request.Repository, digest, mediaType);
        if (question is not null && WritesOf(request) == writes)
            await links.RecordTagAsync(request.Repository, question.Tag, question.Accept, new KnownTag(digest, time.GetUtcNow()));
    }

    /// <summary>The tag or the manifest is being written to, or was deleted.</summary>
    public async ValueTask ForgetAsync(ManifestRequest request)
    {
        if (request.Reference.Tag is { } tag)
        {
            Interlocked.Increment(ref _writes[Place(request.Repository, tag)]);
            await links.ForgetTagAsync(request.Repository, tag);
        }
        else if (request.Method == "DELETE")
        {
            await links.UnlinkAsync(request.Repository, request.Reference.Digest!);
        }
    }

    private int Place(RepositoryName repository, Tag tag) => (int)((uint)HashCode.Combine(repository.Value, tag.Value) % (uint)_writes.Length);
}

/// <summary>Which tag a client asks for, for which media types, and what it pointed to before.</summary>
internal sealed record TagQuestion(Tag Tag, string Accept, Digest? Known)
{
    /// <summary>The tag points elsewhere now: from where, and to where.</summary>
    public (Digest From, Digest To)? MovedTo(Digest? digest) => Known is { } known && digest is not null && !known.Equals(digest) ? (known, digest) : null;
}
