namespace ImageAccess.Proxy.Foundation.Audit;

public sealed class AuditOptions
{
    public const string Names = "names", Pseudonyms = "pseudonyms";

    public const long SmallestMaximumSize = 2 * 1024 * 1024;

    /// <summary><c>Audit:File</c>; null when the key is not set.</summary>
    public string? File { get; set; }

    /// <summary><c>Audit:Keep</c>: how long an event is kept.</summary>
    public TimeSpan Keep { get; set; } = TimeSpan.FromDays(90);

    /// <summary><c>Audit:MaximumSize</c>: what the file and its predecessors may have together.</summary>
    public long MaximumSize { get; set; } = 1024 * 1024 * 1024;

    /// <summary>What the denials of one client may take of it in a week; those beyond are only counted.</summary>
    public long ShareSize => MaximumSize / 64;

    /// <summary><c>Audit:KeyFile</c>: the key that signs checkpoints; null when the key is not set.</summary>
    public string? KeyFile { get; set; }

    /// <summary><c>Audit:Callers</c>: <see cref="Names"/>, or <see cref="Pseudonyms"/>.</summary>
    public string Callers { get; set; } = Names;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>For a verb, which has no services.</summary>
    public static AuditOptions Of(IConfiguration configuration)
    {
        var options = configuration.GetSection("Audit").Get<AuditOptions>() ?? new AuditOptions();
        options.DataDirectory = configuration["Data:Directory"] ?? "";
        return options;
    }

    public string FilePath => File ?? Path.Combine(DataDirectory, "audit.jsonl");

    /// <summary>The copy of the salt of pseudonyms.</summary>
    public string SaltPath => Path.Combine(DataDirectory, "pseudonyms.salt");

    public string KeyPath => KeyFile ?? Path.Combine(DataDirectory, "audit.key");
}
