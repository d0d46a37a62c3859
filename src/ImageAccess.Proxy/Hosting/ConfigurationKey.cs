using System.Globalization;

namespace ImageAccess.Proxy.Hosting;

/// <summary>How a key's value is written.</summary>
internal enum ConfigurationKind
{
    Text,

    /// <summary><c>true</c> or <c>false</c>.</summary>
    Switch,

    /// <summary>Relative to the configuration file's folder.</summary>
    Path,

    /// <summary><c>500MiB</c>, <c>20GiB</c>.</summary>
    Size,

    /// <summary>The section ends in a number for each value.</summary>
    List,
}

/// <summary>One key of the configuration. What is not in this table stops the start.</summary>
internal sealed record ConfigurationKey(string Name, ConfigurationKind Kind = ConfigurationKind.Text)
{
    public static IReadOnlyList<ConfigurationKey> All { get; } =
    [
        new("Listen:Mirror"),
        new("Listen:Admin"),
        new("Listen:TrustedProxies", ConfigurationKind.List),
        new("Mirror:Hold", ConfigurationKind.Switch),
        new("PublicUrl"),
        new("Upstream:Registry"),
        new("Upstream:Auth"),
        new("Upstream:Hub"),
        new("Upstream:Proxy"),
        new("Upstream:TrustedCertificates", ConfigurationKind.Path),
        new("Upstream:RedirectHosts", ConfigurationKind.List),
        new("Identity:OrganizationClaim"),
        new("Identity:TrustedKeys", ConfigurationKind.Path),
        new("Policy:File", ConfigurationKind.Path),
        new("Data:Directory", ConfigurationKind.Path),
        new("Audit:File", ConfigurationKind.Path),
        new("Audit:MaximumSize", ConfigurationKind.Size),
    ];

    public bool Covers(string name) =>
        name.Equals(Name, StringComparison.OrdinalIgnoreCase)
        || (Kind == ConfigurationKind.List
            && name.StartsWith(Name + ":", StringComparison.OrdinalIgnoreCase)
            && int.TryParse(name.AsSpan(Name.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _));

    /// <summary>The value as rooms read it: a full path, a number of bytes.</summary>
    /// <exception cref="FormatException">The value is not of the key's kind.</exception>
    public string Normalize(string value, string folder) => Kind switch
    {
        ConfigurationKind.Switch => bool.TryParse(value, out _) ? value : throw new FormatException($"'{value}' is neither true nor false"),
        ConfigurationKind.Path => Path.GetFullPath(value, folder),
        ConfigurationKind.Size => Bytes(value).ToString(CultureInfo.InvariantCulture),
        _ => value,
    };

    private static long Bytes(string text)
    {
        foreach (var (unit, factor) in new[] { ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40) })
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && long.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number is > 0 and < 1 << 20)
                return number * factor;
        }

        throw new FormatException($"'{text}' is not a size, as 500MiB or 20GiB");
    }
}
