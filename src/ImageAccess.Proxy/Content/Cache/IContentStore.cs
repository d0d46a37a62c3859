using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Verified content, kept once by its digest: on this machine's disk, or wherever several replicas find it. What is in memory or on a
/// local disk is there when the call returns.
/// </summary>
public interface IContentStore
{
    /// <summary>Finished content; null where there is none. It is not evicted while it is open.</summary>
    /// <param name="link">By which the caller's repository has it; null, and nothing opens, where it has none.</param>
    ValueTask<CachedContent?> OpenAsync(ContentLink? link, CancellationToken cancellationToken);

    /// <summary>Whether finished content of this digest is there, whoever may see it.</summary>
    ValueTask<bool> HoldsAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Whether it can be said what is there.</summary>
    bool IsOpen { get; }

    /// <summary>The length of finished content, whoever may see it; null where there is none.</summary>
    ValueTask<long?> MeasureAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>Removes finished content, whoever may see it. Those who are reading it may finish.</summary>
    /// <returns>How long it was; null where there was none.</returns>
    /// <exception cref="IOException">It cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be removed.</exception>
    ValueTask<long?> RemoveAsync(Digest digest);

    /// <summary>A place for content that is about to come; null where there is no room for it, or the store fails.</summary>
    /// <param name="length">In bytes; null where it is not known.</param>
    ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length, CancellationToken cancellationToken);
}

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
    /// <exception cref="IOException">The store fails.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken);

    public abstract void Dispose();
}

/// <summary>
/// Content that is coming. One writes, others may read what is there so far. If it is disposed of without having been published, it is
/// gone; its readers are done by then.
/// </summary>
public abstract class CacheWriter : IAsyncDisposable
{
    /// <summary>Bytes so far.</summary>
    public abstract long Length { get; }

    /// <exception cref="IOException">There is no more room, or the store fails.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Reads what was written, from an offset on; 0 at its end so far.</summary>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken);

    /// <summary>Whether what was written is what the digest says.</summary>
    public abstract bool Verifies();

    /// <summary>It becomes finished content, durable before anybody sees it. Only what verifies can be published.</summary>
    /// <exception cref="InvalidOperationException">It does not verify.</exception>
    /// <exception cref="IOException">There is no more room, or the store fails.</exception>
    public abstract ValueTask PublishAsync(CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();
}
