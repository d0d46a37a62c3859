using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Where content came from.</summary>
internal enum ContentSource
{
    Upstream,
    Cache,

    /// <summary>Kept, and served because upstream could not answer.</summary>
    Stale,
}

public sealed class ContentMetrics
{
    private readonly Counter<long> _served;
    private readonly Counter<long> _fills;

    public ContentMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _served = meter.CreateCounter<long>("imageaccess.content.served", "{answer}", "Manifests and blobs that were handed out, by kind and source.");
        _fills = meter.CreateCounter<long>("imageaccess.content.fills", "{download}", "Downloads to be kept, by what became of them.");
    }

    internal static string WireName(ContentSource source) => source switch
    {
        ContentSource.Cache => "cache",
        ContentSource.Stale => "stale",
        _ => "upstream",
    };

    internal void Served(string kind, ContentSource source) =>
        _served.Add(1, new KeyValuePair<string, object?>("kind", kind), new KeyValuePair<string, object?>("source", WireName(source)));

    internal void Filled(FillState state) => _fills.Add(1, new KeyValuePair<string, object?>("result", state switch
    {
        FillState.Done => "done",
        FillState.Unkept => "unkept",
        FillState.Abandoned => "abandoned",
        _ => "failed",
    }));
}
