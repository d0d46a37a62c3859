namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>Where the exceptions of the database are kept for a restart.</summary>
internal sealed class ExceptionsOptions
{
    /// <summary>What the copy may measure: as many exceptions as there can be, with the longest reasons.</summary>
    public const long MaximumCopySize = 64 * 1024 * 1024;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public string CopyPath => Path.Combine(DataDirectory, "exceptions.accepted.json");
}
