namespace ImageAccess.Proxy.Administration.Usage;

internal static partial class UsageLog
{
    [LoggerMessage(1, LogLevel.Error, "Decisions do not come into the database: {Name} {Cause}; they wait in the audit files, trying again")]
    public static partial void NotWritten(this ILogger logger, string name, string cause);

    [LoggerMessage(2, LogLevel.Information, "Decisions come into the database again")]
    public static partial void WrittenAgain(this ILogger logger);

    [LoggerMessage(3, LogLevel.Warning, "{Bytes} bytes of the audit trail were removed before their decisions came into the database")]
    public static partial void Missed(this ILogger logger, long bytes);

    [LoggerMessage(4, LogLevel.Warning, "{Lines} decisions of the audit trail are not in the database: their day is kept no longer, or has not come; look at the clock")]
    public static partial void OutOfTime(this ILogger logger, int lines);

    [LoggerMessage(5, LogLevel.Warning, "The audit file {File} cannot be read: {Cause}; its decisions are missing in the database")]
    public static partial void Unreadable(this ILogger logger, string file, string cause);
}
