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

    public void StartAtZero()
    {
        foreach (var source in Enum.GetValues<ContentSource>())
        {
            Served(ManifestServer.Kind, source, 0);
            Served(BlobServer.Kind, source, 0);
        }

        foreach (var state in Enum.GetValues<FillState>())
            Filled(state, 0);
    }

    internal void Served(string kind, ContentSource source) => Served(kind, source, 1);

    internal void Filled(FillState state) => Filled(state, 1);

    private void Served(string kind, ContentSource source, int answers) =>
        _served.Add(answers, new KeyValuePair<string, object?>("kind", kind), new KeyValuePair<string, object?>("source", WireName(source)));

    private void Filled(FillState state, int downloads) => _fills.Add(downloads, new KeyValuePair<string, object?>("result", state switch
    {
        FillState.Done => "done",
        FillState.Unkept => "unkept",
        FillState.Abandoned => "abandoned",
        _ => "failed",
    }));
}
