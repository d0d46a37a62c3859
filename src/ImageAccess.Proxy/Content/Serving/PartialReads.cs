using System.Collections.Concurrent;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Whether all of a blob is fetched for a client that asks for a part. It is for a part from the beginning on, as those who read a blob in
/// pieces ask for first; and when as much was passed on in parts as the blob measures: from then on keeping it is cheaper.
/// </summary>
internal sealed class PartialReads
{
    /// <summary>
    /// Bytes. A smaller part from the beginning on may be a mere look; a smaller part that was passed on to its end counts as one of this size,
    /// as each is two requests.
    /// </summary>
    public const long Least = 1024 * 1024;

    public const int MaximumBlobs = 10_000;

    private readonly ConcurrentDictionary<Digest, long> _left = new();

    /// <summary>Blobs that are read in parts at the moment.</summary>
    public int Count => _left.Count;

    public static bool IsFromBeginning(ContentRange? range) => range is null or { From: 0, To: null or >= Least - 1 };

    public bool IsWorthKeeping(Digest digest) => _left.TryGetValue(digest, out var left) && left <= 0;

    /// <summary>A part is about to be passed on. It counts as far as the client reads it: what it asks for costs nothing yet.</summary>
    /// <param name="part">Which, and of how many bytes; null where upstream does not say so.</param>
    /// <returns>To be told of each piece's length before the client gets it; null where the part does not count.</returns>
    public Action<int>? Begin(Digest digest, ContentRangeHeaderValue? part)
    {
        if (part is not { From: { } from, To: { } to, Length: { } length })
            return null;
        var size = to - from + 1;
        var passed = 0L;
        return piece =>
        {
            var before = passed;
            passed += piece;
            Charge(digest, length, before < size && passed >= size ? Math.Max(Least, passed) - before : piece);
        };
    }

    /// <summary>It is being kept, or cannot be.</summary>
    public void Forget(Digest digest) => _left.TryRemove(digest, out _);

    private void Charge(Digest digest, long length, long cost)
    {
        if (!_left.ContainsKey(digest) && _left.Count >= MaximumBlobs)
            _left.Clear();
        _left.AddOrUpdate(digest, _ => length - cost, (_, left) => left - cost);
    }
}
