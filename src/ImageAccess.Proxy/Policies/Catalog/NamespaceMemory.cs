using System.Collections.Concurrent;
using ImageAccess.Core.Classification;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// What was said of namespaces, in bounded memory. Anybody can make up names without a badge, so these have room of
/// their own and never push out one with a badge. Not a MemoryCache: a pull of a kept manifest looks here each time, which takes
/// 9 ns in place of 37, and a full MemoryCache refuses the newest entry, the one that a caller waits for.
/// </summary>
public sealed class NamespaceMemory(int capacity = NamespaceMemory.DefaultCapacity)
{
    public const int DefaultCapacity = 10_000;

    private readonly ConcurrentDictionary<string, RememberedNamespace> _badged = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, RememberedNamespace> _plain = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, CatalogAnswer> _unsaved = new(StringComparer.Ordinal);
    private readonly Lock _makingRoom = new();

    public int Badged => _badged.Count;

    public int Plain => _plain.Count;

    public IEnumerable<RememberedNamespace> All => _badged.Values.Concat(_plain.Values);

    public RememberedNamespace? Find(string @namespace) =>
        _badged.TryGetValue(@namespace, out var found) || _plain.TryGetValue(@namespace, out found) ? found : null;

    public RememberedNamespace Put(CatalogAnswer answer)
    {
        var name = answer.Record.Namespace;
        if (_unsaved.Count < 2 * capacity)
            _unsaved[name] = answer;
        return Recall(answer);
    }

    /// <summary>As <see cref="Put"/>, for what is on disk already.</summary>
    public RememberedNamespace Recall(CatalogAnswer answer)
    {
        var name = answer.Record.Namespace;
        var (to, from) = answer.Record.Badge == NamespaceBadge.None ? (_plain, _badged) : (_badged, _plain);
        var remembered = new RememberedNamespace(answer, Find(name)?.LastUsed ?? 0);
        to[name] = remembered;
        from.TryRemove(name, out _);
        if (to.Count > capacity)
            MakeRoom(to);
        return remembered;
    }

    /// <summary>What came in since the last time.</summary>
    public IReadOnlyList<CatalogAnswer> TakeUnsaved()
    {
        var taken = new List<CatalogAnswer>();
        foreach (var name in _unsaved.Keys)
        {
            if (_unsaved.TryRemove(name, out var answer))
                taken.Add(answer);
        }

        return taken;
    }

    /// <summary>The tenth that was used or read the longest ago goes.</summary>
    private void MakeRoom(ConcurrentDictionary<string, RememberedNamespace> full)
    {
        lock (_makingRoom)
        {
            var leaving = full.Count - capacity + (capacity / 10);
            foreach (var (name, _) in full.ToArray().OrderBy(pair => Math.Max(pair.Value.LastUsed, pair.Value.Answer.Record.ReadAt.Ticks)).Take(leaving))
                full.TryRemove(name, out _);
        }
    }
}

/// <summary>An answer, and when it was last of use.</summary>
public sealed class RememberedNamespace(CatalogAnswer answer, long lastUsed)
{
    private long _lastUsed = lastUsed;

    public CatalogAnswer Answer { get; } = answer;

    public PublisherFacts Facts { get; } = PublisherFacts.Known(answer.Record);

    /// <summary>In ticks; 0 for never.</summary>
    public long LastUsed => Volatile.Read(ref _lastUsed);

    public bool IsFresh(DateTimeOffset now) => now < Answer.FreshUntil;

    public void Use(DateTimeOffset now) => Volatile.Write(ref _lastUsed, now.Ticks);

    /// <summary>It was of use in the last half of its life, of which little is left.</summary>
    public bool WantsRefreshing(DateTimeOffset now)
    {
        var life = Answer.FreshUntil - Answer.Record.ReadAt;
        return now >= Answer.FreshUntil - (life / 8) && now < Answer.FreshUntil && LastUsed >= (now - (life / 2)).Ticks;
    }
}
