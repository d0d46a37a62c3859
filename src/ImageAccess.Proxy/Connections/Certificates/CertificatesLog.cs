namespace ImageAccess.Proxy.Connections.Certificates;

internal static partial class CertificatesLog
{
    [LoggerMessage(1, LogLevel.Information, "The certificate {Path} is in use; it ends on {Ends:yyyy-MM-dd}; SHA-256 {Fingerprint}")]
    public static partial void Accepted(this ILogger logger, string path, DateTimeOffset ends, string fingerprint);

    [LoggerMessage(2, LogLevel.Error, "{Problem}")]
    public static partial void Refused(this ILogger logger, string problem);

    [LoggerMessage(3, LogLevel.Information, "The certificate {Path} is again the one that is in use")]
    public static partial void Recovered(this ILogger logger, string path);

    [LoggerMessage(4, LogLevel.Error, "{Problem}; trying again every minute")]
    public static partial void NotIssued(this ILogger logger, string problem);

    [LoggerMessage(5, LogLevel.Warning, "{Ending}")]
    public static partial void EndsSoon(this ILogger logger, string ending);
}
