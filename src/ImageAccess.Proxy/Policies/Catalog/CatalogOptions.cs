namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>Where namespaces are looked up: the section <c>Catalog</c>.</summary>
public sealed class CatalogOptions
{
    /// <summary>The file of pinned categories; null for <c>catalog.json</c> in the data directory, where there may be none.</summary>
    public string? File { get; set; }

    /// <summary>Whether the Hub API is asked at all.</summary>
    public bool Hub { get; set; } = true;

    /// <summary>The age up to which a record serves while nobody can answer.</summary>
    public TimeSpan StaleFor { get; set; } = TimeSpan.FromDays(7);

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public string PinsPath => File ?? Path.Combine(DataDirectory, "catalog.json");

    /// <summary>The last accepted pins, for a restart that finds bad ones or none.</summary>
    public string PinsCopyPath => Path.Combine(DataDirectory, "catalog.accepted.json");

    /// <summary>What the Hub API said.</summary>
    public string RecordsPath => Path.Combine(DataDirectory, "catalog.records.jsonl");
}
