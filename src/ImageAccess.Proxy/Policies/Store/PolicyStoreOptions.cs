namespace ImageAccess.Proxy.Policies.Store;

public sealed class PolicyStoreOptions
{
    public const long DefaultMaximumSize = 1024 * 1024;

    /// <summary><c>Policy:File</c>; null when the key is not set.</summary>
    public string? File { get; set; }

    /// <summary>The bytes that a policy document may have.</summary>
    public long MaximumSize { get; set; } = DefaultMaximumSize;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>A policy was asked for by name: without one there is no start.</summary>
    public bool IsExplicit => File is not null;

    public string DocumentPath => File ?? Path.Combine(DataDirectory, "policy.json");

    /// <summary>Where the bytes of the last accepted document are kept.</summary>
    public string CopyPath => Path.Combine(DataDirectory, "policy.accepted.json");
}
