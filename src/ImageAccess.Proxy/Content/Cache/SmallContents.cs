using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>Small contents in memory, up to a total size. Those that are used again stay longest.</summary>
internal sealed class SmallContents
{
    public const int Largest = 64 * 1024;
    public const long Bound = 64L * 1024 * 1024;

    private readonly ConcurrentDictionary<KeptContent, Kept> _all = new();
    private readonly Queue<Kept> _order = new();
    private long _size;

    public long Size => Interlocked.Read(ref _size);

    /// <summary>Reads a small content whole and verifies it again.</summary>
    /// <exception cref="InvalidDataException">They are not what the digest says.</exception>
    public static byte[] Read(SafeFileHandle handle, KeptContent content)
    {
        var bytes = new byte[content.Length];
        var read = 0;
        while (read < bytes.Length && RandomAccess.Read(handle, bytes.AsSpan(read), read) is var more and > 0)
            read += more;
        return read == bytes.Length && DigestCheck.Verifies(content.Digest, bytes) ? bytes : throw new InvalidDataException("its bytes are not what its digest says");
    }

    public byte[]? Find(KeptContent content)
    {
        if (content.Length > Largest || !_all.TryGetValue(content, out var kept))
            return null;
        kept.WasUsed = true;
        return kept.Bytes;
    }

    public void Add(KeptContent content, byte[] bytes)
    {
        var kept = new Kept(content, bytes);
        if (!_all.TryAdd(content, kept))
            return;
        lock (_order)
        {
            _order.Enqueue(kept);
            _size += bytes.Length;
            while (_size > Bound && _order.TryDequeue(out var oldest))
            {
                if (oldest.WasUsed && _all.ContainsKey(oldest.Content))
                {
                    oldest.WasUsed = false;
                    _order.Enqueue(oldest);
                    continue;
                }

                _size -= oldest.Bytes.Length;
                _all.TryRemove(oldest.Content, out _);
            }
        }
    }

    /// <summary>Its bytes count until its turn in the queue comes.</summary>
    public void Remove(KeptContent content) => _all.TryRemove(content, out _);

    private sealed class Kept(KeptContent content, byte[] bytes)
    {
        public KeptContent Content => content;

        public byte[] Bytes => bytes;

        public bool WasUsed { get; set; }
    }
}
