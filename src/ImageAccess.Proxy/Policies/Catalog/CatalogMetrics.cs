using System.Diagnostics.Metrics;
using System.Globalization;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>How a lookup ended; zero is no way at all.</summary>
public enum LookupResult
{
    None,

    /// <summary>Pinned or remembered: no question was needed.</summary>
    Known,

    /// <summary>A source was asked, and answered.</summary>
    Asked,

    /// <summary>No source could answer; the last known record is used.</summary>
    Stale,

    /// <summary>No source could answer, and nothing is known.</summary>
    Unavailable,

    /// <summary>The caller has asked for too many unknown namespaces, and nothing is known.</summary>
    Refused,
}

/// <summary>Lookups by the source of their answer, requests to the Hub API, and how much is remembered.</summary>
public sealed class CatalogMetrics
{
    private readonly Meter _meter;
    private readonly Counter<long> _lookups;
    private readonly Counter<long> _requests;

    public CatalogMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("ImageAccess");
        _lookups = _meter.CreateCounter<long>("imageaccess.catalog.lookups", "{lookup}", "Lookups of a publisher, by source and result.");
        _requests = _meter.CreateCounter<long>("imageaccess.catalog.requests", "{request}", "Requests to the Hub API for a publisher, by status.");
    }

    /// <remarks>Of the statuses those that the Hub API is known to give.</remarks>
    public void StartAtZero()
    {
        foreach (var source in new[] { "file", "hub", null })
        {
            foreach (var result in Enum.GetValues<LookupResult>().Where(result => result != LookupResult.None && Gives(source, result)))
                LookedUp(source, result, 0);
        }

        foreach (var status in new int?[] { 200, 308, 404, 429, 500, 502, 503, 504, null })
            Requested(status, 0);
    }

    public static string NameOf(LookupResult result) => result switch
    {
        LookupResult.Known => "known",
        LookupResult.Asked => "asked",
        LookupResult.Stale => "stale",
        LookupResult.Unavailable => "unavailable",
        LookupResult.Refused => "refused",
        _ => throw new ArgumentOutOfRangeException(nameof(result)),
    };

    /// <param name="source">The source of the record; null where there is none.</param>
    /// <param name="result">How it ended.</param>
    public void LookedUp(string? source, LookupResult result) => LookedUp(source, result, 1);

    /// <param name="status">The HTTP status, or null when there was no answer.</param>
    public void Requested(int? status) => Requested(status, 1);

    public void Watch(NamespaceMemory memory) => _meter.CreateObservableGauge(
        "imageaccess.catalog.namespaces",
        () => new Measurement<int>[]
        {
            new(memory.Badged, new KeyValuePair<string, object?>("badge", "true")),
            new(memory.Plain, new KeyValuePair<string, object?>("badge", "false")),
        },
        "{namespace}",
        "Namespaces that are remembered.");

    private static bool Gives(string? source, LookupResult result) =>
        source is null == result is LookupResult.Unavailable or LookupResult.Refused;

    private void LookedUp(string? source, LookupResult result, int lookups) => _lookups.Add(
        lookups, new KeyValuePair<string, object?>("source", source ?? "none"), new KeyValuePair<string, object?>("result", NameOf(result)));

    private void Requested(int? status, int requests) =>
        _requests.Add(requests, new KeyValuePair<string, object?>("status", status?.ToString(CultureInfo.InvariantCulture) ?? "none"));
}
