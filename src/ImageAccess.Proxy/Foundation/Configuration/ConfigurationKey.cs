using System.Globalization;

namespace ImageAccess.Proxy.Foundation.Configuration;

/// <summary>How a key's value is written.</summary>
internal enum ConfigurationKind
{
    Text,

    /// <summary><c>true</c> or <c>false</c>.</summary>
    Switch,

    /// <summary>Relative to the configuration file's folder.</summary>
    Path,

    /// <summary>A number from 0 to 1.</summary>
    Fraction,

    /// <summary>An address of http or https.</summary>
    Address,

    /// <summary><c>500MiB</c>, <c>20GiB</c>.</summary>
    Size,

    /// <summary>A whole number, at least 1.</summary>
    Count,

    /// <summary><c>30s</c>, <c>5m</c>, <c>12h</c>, <c>7d</c>.</summary>
    Duration,

    /// <summary>From the environment alone: a configuration file is read by more people than a secret should be.</summary>
    Secret,

    /// <summary>The section ends in a number for each value.</summary>
    List,

    /// <summary>A value, or a section of names with a value or a list each.</summary>
    Map,
}

/// <summary>One key of the configuration. What is not in this table stops the start. <c>N</c> stands for a number from 0.</summary>
internal sealed record ConfigurationKey(string Name, ConfigurationKind Kind = ConfigurationKind.Text)
{
    public static IReadOnlyList<ConfigurationKey> All { get; } =
    [
        new("Listen:Mirror"),
        new("Listen:Admin"),
        new("Listen:Gateway"),
        new("Listen:ForwardProxy"),
        new("Listen:Console"),
        new("Listen:TrustedProxies", ConfigurationKind.List),
        new("Listen:Transport"),
        new("Shutdown:GracePeriod", ConfigurationKind.Duration),
        new("Limits:Connections", ConfigurationKind.Count),
        new("Limits:ConnectionsPerClient", ConfigurationKind.Count),
        new("Limits:Tunnels", ConfigurationKind.Count),
        new("Limits:TunnelsPerClient", ConfigurationKind.Count),
        new("Limits:Requests", ConfigurationKind.Count),
        new("Limits:RequestsPerClient", ConfigurationKind.Count),
        new("Mirror:Hold", ConfigurationKind.List),
        new("PublicUrl", ConfigurationKind.Address),
        new("ConsoleUrl", ConfigurationKind.Address),
        new("Console:DockerHubSignIn"),
        new("Upstream:Registry", ConfigurationKind.Address),
        new("Upstream:Auth", ConfigurationKind.Address),
        new("Upstream:Hub", ConfigurationKind.Address),
        new("Upstream:Index", ConfigurationKind.Address),
        new("Upstream:Addresses", ConfigurationKind.Map),
        new("Upstream:Proxy", ConfigurationKind.Address),
        new("Upstream:TrustedCertificates", ConfigurationKind.Path),
        new("Upstream:RedirectHosts", ConfigurationKind.List),
        new("Upstream:IdleTimeout", ConfigurationKind.Duration),
        new("Upstream:Probe", ConfigurationKind.Switch),
        new("Egress:Allow", ConfigurationKind.List),
        new("Egress:Deny", ConfigurationKind.List),
        new("Egress:HubCopies", ConfigurationKind.Switch),
        new("Egress:IdleTimeout", ConfigurationKind.Duration),
        new("Egress:Lifetime", ConfigurationKind.Duration),
        new("ForwardProxy:Users", ConfigurationKind.Path),
        new("Identity:OrganizationClaim"),
        new("Identity:TrustedKeys", ConfigurationKind.Path),
        new("Identity:Directory:Organization", ConfigurationKind.List),
        new("Identity:Directory:Username"),
        new("Identity:Directory:SecretFile", ConfigurationKind.Path),
        new("Identity:Directory:Secret", ConfigurationKind.Secret),
        new("Identity:Directory:Refresh", ConfigurationKind.Duration),
        new("Identity:Directory:StaleFor", ConfigurationKind.Duration),
        new("Certificates:Directory", ConfigurationKind.Path),
        new("Certificates:Authority", ConfigurationKind.Path),
        new("Certificates:AuthorityKey", ConfigurationKind.Path),
        new("Certificates:Gateway", ConfigurationKind.Path),
        new("Certificates:GatewayKey", ConfigurationKind.Path),
        new("Certificates:Mirror", ConfigurationKind.Path),
        new("Certificates:MirrorKey", ConfigurationKind.Path),
        new("Catalog:File", ConfigurationKind.Path),
        new("Catalog:Hub", ConfigurationKind.Switch),
        new("Catalog:StaleFor", ConfigurationKind.Duration),
        new("Cache:Directory", ConfigurationKind.Path),
        new("Cache:MaximumSize", ConfigurationKind.Size),
        new("Policy:File", ConfigurationKind.Path),
        new("Policy:Source"),
        new("Follow:Username"),
        new("Follow:SecretFile", ConfigurationKind.Path),
        new("Follow:Interval", ConfigurationKind.Duration),
        new("Cache:Enabled", ConfigurationKind.Switch),
        new("Cache:TagFreshness", ConfigurationKind.Duration),
        new("Cache:LinkFreshness", ConfigurationKind.Duration),
        new("Cache:StaleFor", ConfigurationKind.Duration),
        new("Cache:StaleWhenMissing", ConfigurationKind.Switch),
        new("Cache:FinishFrom", ConfigurationKind.Fraction),
        new("Data:Directory", ConfigurationKind.Path),
        new("Data:KeyFile", ConfigurationKind.Path),
        new("Database:ConnectionStringFile", ConfigurationKind.Path),
        new("Database:ConnectionString", ConfigurationKind.Secret),
        new("Notifications:Webhooks:N:Address"),
        new("Notifications:Webhooks:N:AddressFile", ConfigurationKind.Path),
        new("Notifications:Webhooks:N:SecretFile", ConfigurationKind.Path),
        new("Notifications:Webhooks:N:Kinds", ConfigurationKind.List),
        new("Notifications:Webhooks:N:Private", ConfigurationKind.Switch),
        new("Notifications:Mail:Server"),
        new("Notifications:Mail:Port", ConfigurationKind.Count),
        new("Notifications:Mail:Tls"),
        new("Notifications:Mail:From"),
        new("Notifications:Mail:To", ConfigurationKind.List),
        new("Notifications:Mail:UsernameFile", ConfigurationKind.Path),
        new("Notifications:Mail:PasswordFile", ConfigurationKind.Path),
        new("Notifications:Mail:Kinds", ConfigurationKind.List),
        new("Notifications:Mail:Requesters", ConfigurationKind.Switch),
        new("Audit:File", ConfigurationKind.Path),
        new("Audit:Keep", ConfigurationKind.Duration),
        new("Audit:MaximumSize", ConfigurationKind.Size),
        new("Audit:Export:Syslog:Server"),
        new("Audit:Export:Syslog:Facility"),
        new("Audit:Export:Syslog:Certificate", ConfigurationKind.Path),
        new("Audit:Export:Syslog:CertificateKey", ConfigurationKind.Path),
        new("Audit:Export:Otlp:Endpoint", ConfigurationKind.Address),
        new("Audit:Export:Otlp:HeadersFile", ConfigurationKind.Path),
        new("Audit:Export:Otlp:Private", ConfigurationKind.Switch),
        new("Log:Format"),
        new("Usage:Keep", ConfigurationKind.Duration),
        new("Usage:KeepCounts", ConfigurationKind.Duration),
        new("Audit:KeyFile", ConfigurationKind.Path),
        new("Audit:Callers"),
    ];

    public bool Covers(string name) => IsOf(WithoutNumber(name));

    /// <summary>The value as rooms read it: a full path, a number of bytes, a time span.</summary>
    /// <exception cref="FormatException">The value is not of the key's kind.</exception>
    public string Normalize(string value, string folder) => Kind switch
    {
        ConfigurationKind.Switch => bool.TryParse(value, out _) ? value : throw new FormatException($"'{value}' is neither true nor false"),
        ConfigurationKind.Count => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count > 0
            ? value
            : throw new FormatException($"'{value}' is not a whole number, as 100"),
        ConfigurationKind.Path => value.Length > 0 ? Path.GetFullPath(value, folder) : throw new FormatException("is empty: name a file or a directory, or leave the key out"),
        ConfigurationKind.Address => Uri.TryCreate(value, UriKind.RelativeOrAbsolute, out _) ? value : throw new FormatException($"'{value}' is not an address"),
        ConfigurationKind.Fraction => double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 1
            ? value : throw new FormatException("choose a number from 0 to 1, as 0.5"),
        ConfigurationKind.Duration => Duration(value).ToString("c", CultureInfo.InvariantCulture),
        ConfigurationKind.Size => Bytes(value).ToString(CultureInfo.InvariantCulture),
        _ => value,
    };

    /// <exception cref="FormatException">It is none.</exception>
    internal static TimeSpan Duration(string text)
    {
        if (text.Length > 1
            && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number is > 0 and < 1_000_000)
        {
            switch (text[^1])
            {
                case 's':
                    return TimeSpan.FromSeconds(number);
                case 'm':
                    return TimeSpan.FromMinutes(number);
                case 'h':
                    return TimeSpan.FromHours(number);
                case 'd':
                    return TimeSpan.FromDays(number);
            }
        }

        throw new FormatException($"'{text}' is not a duration, as 30s, 5m, 12h or 7d");
    }

    private bool IsOf(string name) =>
        name.Equals(Name, StringComparison.OrdinalIgnoreCase)
        || (Kind == ConfigurationKind.Map && name.StartsWith(Name + ":", StringComparison.OrdinalIgnoreCase))
        || (Kind == ConfigurationKind.List
            && name.StartsWith(Name + ":", StringComparison.OrdinalIgnoreCase)
            && int.TryParse(name.AsSpan(Name.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _));

    /// <summary>With <c>N</c> where this key has it and the name has a number; empty where it has anything else there.</summary>
    private string WithoutNumber(string name)
    {
        var at = Name.IndexOf(":N:", StringComparison.Ordinal) + 1;
        if (at == 0 || !name.StartsWith(Name[..at], StringComparison.OrdinalIgnoreCase))
            return name;
        var end = name.IndexOf(':', at);
        return end > at && int.TryParse(name.AsSpan(at, end - at), NumberStyles.None, CultureInfo.InvariantCulture, out _) ? $"{name[..at]}N{name[end..]}" : "";
    }

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
