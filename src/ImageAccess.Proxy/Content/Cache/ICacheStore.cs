using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Content that was verified, kept once by its digest; which repositories it was seen in; and what tags last pointed to. Links and tags
/// are looked up in memory and never wait for a disk; what was written last may be lost in a crash, what is left is never wrong.
/// </summary>
public interface ICacheStore
{
    /// <summary>Finished content, through the link of the permit's repository; null where there is no link or no content. Not evicted while it is open.</summary>
    CachedContent? Open(Permit permit, Digest digest);

    /// <summary>Whether finished content of this digest is there, whoever may see it.</summary>
    bool Holds(Digest digest);

    /// <summary>Whether upstream itself has answered for this digest in this repository.</summary>
    bool IsLinked(RepositoryName repository, Digest digest);

    /// <summary>Upstream has answered 200 for this digest in this repository, to a caller's own token.</summary>
    /// <param name="mediaType">A manifest's media type, as upstream said it; null for a blob.</param>
    void Link(RepositoryName repository, Digest digest, string? mediaType);

    /// <summary>The repository has it no longer, as far as is known.</summary>
    void Unlink(RepositoryName repository, Digest digest);

    /// <summary>A place for content that is about to come; null where there is no room for it, or the disk is full.</summary>
    /// <param name="length">In bytes; null where it is not known.</param>
    CacheWriter? Begin(Digest digest, long? length);

    /// <summary>What a tag last pointed to for these accepted media types; null where that is not known.</summary>
    KnownTag? FindTag(Permit permit, Tag tag, string accept);

    /// <param name="accept">The accepted media types, in the one form in which they are compared.</param>
    void RecordTag(RepositoryName repository, Tag tag, string accept, KnownTag known);

    /// <summary>For all accepted media types.</summary>
    void ForgetTag(RepositoryName repository, Tag tag);
}

/// <summary>What a tag pointed to, and when upstream last said so.</summary>
public sealed record KnownTag(Digest Digest, DateTimeOffset SeenAt);

/// <summary>Finished content, open for reading. Any number of readers may have it open.</summary>
public abstract class CachedContent : IDisposable
{
    public abstract Digest Digest { get; }

    /// <summary>In bytes.</summary>
    public abstract long Length { get; }

    /// <summary>A manifest's media type, as the link says; null for a blob.</summary>
    public abstract string? MediaType { get; }

    /// <summary>All of it, where it is small and in memory.</summary>
    public virtual ReadOnlyMemory<byte>? Bytes => null;

    /// <summary>Reads what is there from an offset on: 0 at the end.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken);

    public abstract void Dispose();
}

/// <summary>
/// Content that is coming. One writes, others may read what is there so far. Disposed of without having been published, it is gone;
/// its readers are done by then.
/// </summary>
public abstract class CacheWriter : IAsyncDisposable
{
    /// <summary>Bytes so far.</summary>
    public abstract long Length { get; }

    /// <exception cref="IOException">The disk is full, or fails.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Reads what was written, from an offset on; 0 at its end so far.</summary>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken);

    /// <summary>Whether what was written is what the digest says.</summary>
    public abstract bool Verifies();

    /// <summary>It becomes finished content, on disk before it is seen. Only what verifies can be published.</summary>
    /// <exception cref="InvalidOperationException">It does not verify.</exception>
    /// <exception cref="IOException">The disk is full, or fails.</exception>
    public abstract ValueTask PublishAsync(CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();
}
