namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>All that this room logs. A failure that lasts is logged once, and its end.</summary>
internal static partial class CatalogLog
{
    [LoggerMessage(1, LogLevel.Warning, "Publishers cannot be verified: {Cause}")]
    public static partial void Failing(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Debug, "A publisher could not be verified: {Cause}")]
    public static partial void NotVerified(this ILogger logger, string cause);

    [LoggerMessage(3, LogLevel.Information, "Publishers can be verified again")]
    public static partial void Recovered(this ILogger logger);

    [LoggerMessage(5, LogLevel.Warning, "The Hub API gives {Namespace} an unknown badge, which counts as none: {Badge}")]
    public static partial void UnknownBadge(this ILogger logger, string @namespace, string badge);

    [LoggerMessage(6, LogLevel.Information, "{Count} pinned namespaces of {Path} are in force")]
    public static partial void PinsAccepted(this ILogger logger, int count, string path);

    [LoggerMessage(7, LogLevel.Error, "The catalog file {Path} {Cause}; what was accepted before stays in force")]
    public static partial void PinsRefused(this ILogger logger, string path, string cause);

    [LoggerMessage(8, LogLevel.Error, "{Path}: {Problem}")]
    public static partial void PinProblem(this ILogger logger, string path, string problem);

    [LoggerMessage(9, LogLevel.Information, "The catalog file {Path} agrees with the pins in force again")]
    public static partial void PinsRecovered(this ILogger logger, string path);

    [LoggerMessage(10, LogLevel.Error, "The accepted pins could not be kept in {Path}: {Cause}; a restart may not find them; trying again")]
    public static partial void PinsNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(11, LogLevel.Information, "{Count} namespaces are known from {Path}")]
    public static partial void RecordsRead(this ILogger logger, int count, string path);

    [LoggerMessage(12, LogLevel.Warning, "{Path} holds {Count} lines that cannot be read; those namespaces will be asked for again")]
    public static partial void RecordsUnreadable(this ILogger logger, string path, int count);

    [LoggerMessage(13, LogLevel.Warning, "{Path} cannot be used: {Cause}; its namespaces will be asked for again")]
    public static partial void RecordsUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(14, LogLevel.Error, "The records of namespaces cannot be written to {Path}: {Cause}; trying again")]
    public static partial void RecordsNotKept(this ILogger logger, string path, string cause);
}
