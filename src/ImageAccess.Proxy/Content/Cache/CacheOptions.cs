namespace ImageAccess.Proxy.Content.Cache;

public sealed class CacheOptions
{
    /// <summary><c>Cache:Directory</c>; null when the key is not set.</summary>
    public string? Directory { get; set; }

    /// <summary><c>Cache:MaximumSize</c>: what the files of the content may take up on disk.</summary>
    public long MaximumSize { get; set; } = 20L * 1024 * 1024 * 1024;

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public string DirectoryPath => Directory ?? Path.Combine(DataDirectory, "cache");

    public static CacheOptions Of(IConfiguration configuration)
    {
        var options = new CacheOptions();
        options.Read(configuration);
        return options;
    }

    public void Read(IConfiguration configuration)
    {
        configuration.GetSection("Cache").Bind(this);
        DataDirectory = configuration["Data:Directory"] ?? "";
    }

    /// <summary>Why the directory can never be one; null where it may. That it cannot be written at the moment is no such reason.</summary>
    public string? FaultOfDirectory()
    {
        if (Directory is null)
            return null;
        if (Directory.Length == 0 || Directory.Contains('\0', StringComparison.Ordinal))
            return "Cache:Directory: name a directory, or leave the key out";
        for (var path = Path.GetFullPath(Directory); path is not null; path = Path.GetDirectoryName(path))
        {
            if (File.Exists(path))
                return $"Cache:Directory: {Directory} cannot be a directory: {path} is a file";
        }

        return null;
    }
}
