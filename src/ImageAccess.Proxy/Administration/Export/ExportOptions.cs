using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>Where the audit trail is sent as it grows: the section <c>Audit:Export</c>.</summary>
internal sealed class ExportOptions
{
    public const string Section = "Audit:Export";

    public SyslogOptions Syslog { get; set; } = new();

    public OtlpOptions Otlp { get; set; } = new();

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    public IEnumerable<string> Faults() => Syslog.Faults().Concat(Otlp.Faults());
}

/// <summary>A syslog server, over TLS.</summary>
internal sealed class SyslogOptions
{
    public const string Section = $"{ExportOptions.Section}:Syslog";

    private const int DefaultPort = 6514;

    /// <summary>By their numbers (RFC 5424, table 1).</summary>
    private static readonly string[] Facilities =
    [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];

    /// <summary><c>logs.example.com:6514</c>; nothing is sent where there is none.</summary>
    public string? Server { get; set; }

    public string Facility { get; set; } = "audit";

    /// <summary>What the server is shown; in PEM, with its issuers.</summary>
    public string? Certificate { get; set; }

    public string? CertificateKey { get; set; }

    public bool IsWanted => Server is not null || Certificate is not null || CertificateKey is not null;

    public int FacilityNumber => Array.IndexOf(Facilities, Facility);

    public (string Host, int Port)? Address =>
        Uri.TryCreate($"syslog://{Server}", UriKind.Absolute, out var address)
        && address is { Host.Length: > 0, UserInfo.Length: 0, AbsolutePath: "" or "/", Query.Length: 0, Fragment.Length: 0, Port: not 0 } && Server?.EndsWith('/') is false
            ? (address.IdnHost, address.Port < 0 ? DefaultPort : address.Port)
            : null;

    /// <summary>Null where none is shown.</summary>
    public CertificatePair? Pair => Certificate is null || CertificateKey is null ? null
        : new CertificatePair(Certificate, CertificateKey, IsOwn: true, $"{Section}:{nameof(Certificate)}", $"{Section}:{nameof(CertificateKey)}");

    public IEnumerable<string> Faults()
    {
        if (!IsWanted)
            yield break;
        if (Address is null)
            yield return $"{Section}:Server: name the syslog server, as logs.example.com or logs.example.com:6514";
        if (FacilityNumber < 0)
            yield return $"{Section}:Facility: '{PrintableText.Of(Facility)}' is none of: {string.Join(", ", Facilities)}";
        if (Certificate is null != CertificateKey is null)
            yield return $"{Section}:CertificateKey: name both Certificate and CertificateKey, or neither";
        if (Pair?.Read().Problem is { } problem)
            yield return problem.ToString();
    }
}

/// <summary>A receiver of OTLP over HTTP.</summary>
internal sealed class OtlpOptions
{
    public const string Section = $"{ExportOptions.Section}:Otlp";

    private const string LogsPath = "/v1/logs";

    /// <summary><c>https://collector.example.com:4318</c>; nothing is sent where there is none.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>Holds headers as <c>OTEL_EXPORTER_OTLP_HEADERS</c> does: <c>name=value,name=value</c>.</summary>
    public string? HeadersFile { get; set; }

    /// <summary>Its addresses need not be public, and it may be plain http.</summary>
    public bool Private { get; set; }

    public bool IsWanted => Endpoint is not null || HeadersFile is not null;

    /// <summary>An address without a path is that of the whole receiver.</summary>
    public Uri Address => Endpoint!.AbsolutePath == "/" ? new Uri(Endpoint, LogsPath) : Endpoint;

    /// <summary>None where there is no file; null, and why, where it cannot be used.</summary>
    public IReadOnlyList<(string Name, string Value)>? ReadHeaders(out string problem)
    {
        problem = "";
        if (HeadersFile is null)
            return [];
        if (SecretFile.Read(HeadersFile, "line of headers", out problem) is not { } text)
            return null;
        using var probe = new HttpRequestMessage();
        var headers = new List<(string Name, string Value)>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            var (name, value) = at > 0 ? (part[..at].Trim(), Uri.UnescapeDataString(part[(at + 1)..].Trim())) : ("", "");
            if (name.Length == 0 || value.Any(char.IsControl) || !probe.Headers.TryAddWithoutValidation(name, value))
            {
                problem = $"{HeadersFile} holds no headers as name=value,name=value";
                return null;
            }

            headers.Add((name, value));
        }

        return headers;
    }

    public IEnumerable<string> Faults()
    {
        if (!IsWanted)
            yield break;
        if (Endpoint is not { IsAbsoluteUri: true, Scheme: "https" or "http", UserInfo.Length: 0, Fragment.Length: 0 })
            yield return $"{Section}:Endpoint: name the receiver's address without a user name, as https://collector.example.com:4318";
        else if (Endpoint.Scheme == "http" && !Private)
            yield return $"{Section}:Endpoint: is plain http: use https, or say that the receiver is your own with Private";
        if (ReadHeaders(out var problem) is null)
            yield return $"{Section}:HeadersFile: {problem}";
    }
}

internal sealed class ExportOptionsValidation : IValidateOptions<ExportOptions>
{
    public ValidateOptionsResult Validate(string? name, ExportOptions options) =>
        options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
}
