using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>What both stores share: everything but the bytes.</summary>
internal abstract class IndexedStore : ICacheStore
{
    protected IndexedStore() => Links = new LinkIndex(Holds);

    public ContentIndex Contents { get; } = new();

    public LinkIndex Links { get; }

    public CachedContent? Open(Permit permit, Digest digest) =>
        Links.TryFind(permit.Repository, digest, out var mediaType) ? Open(digest, mediaType) : null;

    public abstract bool Holds(Digest digest);

    public bool IsLinked(RepositoryName repository, Digest digest) => Links.TryFind(repository, digest, out _);

    public void Link(RepositoryName repository, Digest digest, string? mediaType) => Links.Link(repository, digest, mediaType);

    public void Unlink(RepositoryName repository, Digest digest) => Links.Unlink(repository, digest);

    public abstract CacheWriter? Begin(Digest digest, long? length);

    public KnownTag? FindTag(Permit permit, Tag tag, string accept) => Links.FindTag(permit.Repository, tag, accept);

    public void RecordTag(RepositoryName repository, Tag tag, string accept, KnownTag known) => Links.RecordTag(repository, tag, accept, known);

    public void ForgetTag(RepositoryName repository, Tag tag) => Links.ForgetTag(repository, tag);

    protected abstract CachedContent? Open(Digest digest, string? mediaType);
}
