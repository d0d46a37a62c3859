using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>Nothing is kept: every request goes upstream.</summary>
internal sealed class NoStore : ICacheStore
{
    public CachedContent? Open(Permit permit, Digest digest) => null;

    public bool Holds(Digest digest) => false;

    public bool IsLinked(RepositoryName repository, Digest digest) => false;

    public void Link(RepositoryName repository, Digest digest, string? mediaType)
    {
    }

    public void Unlink(RepositoryName repository, Digest digest)
    {
    }

    public CacheWriter? Begin(Digest digest, long? length) => null;

    public KnownTag? FindTag(Permit permit, Tag tag, string accept) => null;

    public void RecordTag(RepositoryName repository, Tag tag, string accept, KnownTag known)
    {
    }

    public void ForgetTag(RepositoryName repository, Tag tag)
    {
    }
}
