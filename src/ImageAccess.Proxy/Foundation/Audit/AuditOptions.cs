namespace ImageAccess.Proxy.Foundation.Audit;

public sealed class AuditOptions
{
    public const long SmallestMaximumSize = 2 * 1024 * 1024;

    /// <summary><c>Audit:File</c>; null when the key is not set.</summary>
    public string? File { get; set; }

    /// <summary><c>Audit:MaximumSize</c>: what the file and its predecessor may have together.</summary>
    public long MaximumSize { get; set; } = 1024 * 1024 * 1024;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public string FilePath => File ?? Path.Combine(DataDirectory, "audit.jsonl");
}
