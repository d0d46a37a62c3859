using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>Finished content that is there, when it was last used, and whether somebody holds it.</summary>
internal sealed class KeptContent(Digest digest, long length, DateTimeOffset lastUse)
{
    private const int Gone = -1;

    private long _lastUse = lastUse.UtcTicks;
    private int _holders;

    public Digest Digest => digest;

    public long Length => length;

    /// <summary>What its file takes up.</summary>
    public long SizeOnDisk => DiskSpace.Of(length);

    public DateTimeOffset LastUse => new(Volatile.Read(ref _lastUse), TimeSpan.Zero);

    /// <summary>The last use as the file's time says. Only the background work reads or writes it.</summary>
    public DateTimeOffset LastUseOnDisk { get; set; } = lastUse;

    public bool IsGone => Volatile.Read(ref _holders) == Gone;

    /// <summary>Prevents eviction until <see cref="Release"/> was called as often; false where the content is gone.</summary>
    public bool TryHold(DateTimeOffset now)
    {
        var holders = Volatile.Read(ref _holders);
        while (holders != Gone)
        {
            var before = Interlocked.CompareExchange(ref _holders, holders + 1, holders);
            if (before == holders)
            {
                Use(now);
                return true;
            }

            holders = before;
        }

        return false;
    }

    public void Release() => Interlocked.Decrement(ref _holders);

    /// <summary>Marks the content as gone, unless somebody holds it.</summary>
    public bool TryRetire() => Interlocked.CompareExchange(ref _holders, Gone, 0) == 0;

    /// <summary>Written at most once a second: all processors read what is hot.</summary>
    private void Use(DateTimeOffset now)
    {
        if (now.UtcTicks - Volatile.Read(ref _lastUse) > TimeSpan.TicksPerSecond)
            Volatile.Write(ref _lastUse, now.UtcTicks);
    }
}

/// <summary>All finished content by its digest, and its total size.</summary>
internal sealed class ContentIndex
{
    private readonly ConcurrentDictionary<Digest, KeptContent> _all = new();
    private long _size;
    private long _sizeOnDisk;
    private int _count;

    public long Size => Interlocked.Read(ref _size);

    public long SizeOnDisk => Interlocked.Read(ref _sizeOnDisk);

    public int Count => Volatile.Read(ref _count);

    public IEnumerable<KeptContent> All => _all.Select(pair => pair.Value);

    public bool TryFind(Digest digest, [NotNullWhen(true)] out KeptContent? content) => _all.TryGetValue(digest, out content);

    public bool TryAdd(KeptContent content)
    {
        if (!_all.TryAdd(content.Digest, content))
            return false;
        Tally(content, 1);
        return true;
    }

    /// <summary>Removes this very content, not one that has come in its place.</summary>
    public bool Remove(KeptContent content)
    {
        if (!_all.TryRemove(new KeyValuePair<Digest, KeptContent>(content.Digest, content)))
            return false;
        Tally(content, -1);
        return true;
    }

    public List<KeptContent> LeastRecentlyUsedFirst() => [.. All.Select(content => (content.LastUse, content)).OrderBy(pair => pair.LastUse).Select(pair => pair.content)];

    private void Tally(KeptContent content, int number)
    {
        Interlocked.Add(ref _size, number * content.Length);
        Interlocked.Add(ref _sizeOnDisk, number * content.SizeOnDisk);
        Interlocked.Add(ref _count, number);
    }
}
