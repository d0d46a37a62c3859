namespace ImageAccess.Proxy.Policies.Store;

public sealed class PolicyStoreOptions
{
    public const long DefaultMaximumSize = 1024 * 1024;

    /// <summary>What the file of the blocks may measure: as many blocks as there can be, and the lifted ones.</summary>
    internal const long MaximumBlocksSize = 16 * 1024 * 1024;

    /// <summary><c>Policy:File</c>; null when the key is not set.</summary>
    public string? File { get; set; }

    /// <summary><c>Policy:Source</c>, where the document lives: <c>file</c> or <c>database</c>; null for what the data directory remembers.</summary>
    public string? Source { get; set; }

    /// <summary>The bytes that a policy document may have.</summary>
    public long MaximumSize { get; set; } = DefaultMaximumSize;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>Those of a verb.</summary>
    public static PolicyStoreOptions Of(IConfiguration configuration)
    {
        var options = new PolicyStoreOptions { DataDirectory = configuration["Data:Directory"]! };
        configuration.GetSection("Policy").Bind(options);
        return options;
    }

    /// <summary>A policy was asked for by name: without one there is no start.</summary>
    public bool IsExplicit => File is not null;

    public string DocumentPath => File ?? Path.Combine(DataDirectory, "policy.json");

    /// <summary>Where the data directory remembers where the document lives.</summary>
    public string SourcePath => Path.Combine(DataDirectory, "policy.source");

    /// <summary>Where the verbs write the blocks.</summary>
    public string BlocksPath => Path.Combine(DataDirectory, "blocks.json");

    /// <summary>Where the bytes of the last blocks are kept that could be read.</summary>
    public string BlocksCopyPath => Path.Combine(DataDirectory, "blocks.accepted.json");

    /// <summary>Where the verbs write what is opened in an emergency.</summary>
    public string BreakGlassPath => Path.Combine(DataDirectory, "break-glass.json");

    /// <summary>Where it is kept what of that was recorded.</summary>
    public string BreakGlassToldPath => Path.Combine(DataDirectory, "break-glass.told.json");

    /// <summary>Where the history's writer keeps how far it has come.</summary>
    public string HistoryPath => Path.Combine(DataDirectory, "policy.history.json");

    /// <summary>Where the bytes of the last accepted document are kept.</summary>
    public string CopyPath => Path.Combine(DataDirectory, "policy.accepted.json");
}
