using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Content.Cache;

public sealed class CacheMetrics
{
    private readonly Meter _meter;
    private readonly Counter<long> _evicted;
    private readonly Counter<long> _corrupt;
    private readonly Counter<long> _full;

    public CacheMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("ImageAccess");
        _evicted = _meter.CreateCounter<long>("imageaccess.cache.evicted", "{item}", "Contents that gave way to newer ones.");
        _corrupt = _meter.CreateCounter<long>("imageaccess.cache.corrupt", "{item}", "Contents that were found damaged, unreadable or gone, and dropped.");
        _full = _meter.CreateCounter<long>("imageaccess.cache.full", "{item}", "Contents that were not kept because there was no room, or the disk failed.");
    }

    public void StartAtZero() => Array.ForEach([_evicted, _corrupt, _full], counter => counter.Add(0));

    public void Evicted(int items) => _evicted.Add(items);

    public void Corrupt() => _corrupt.Add(1);

    public void Full() => _full.Add(1);

    internal void Watch(ContentIndex contents)
    {
        _meter.CreateObservableUpDownCounter("imageaccess.cache.size", () => contents.Size, "By", "What the kept contents measure together.");
        _meter.CreateObservableUpDownCounter("imageaccess.cache.disk", () => contents.SizeOnDisk, "By", "What the files of the kept contents take up on disk.");
        _meter.CreateObservableUpDownCounter("imageaccess.cache.items", () => contents.Count, "{item}", "Contents that are kept.");
    }
}
