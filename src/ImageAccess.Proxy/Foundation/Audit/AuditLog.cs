namespace ImageAccess.Proxy.Foundation.Audit;

internal static partial class AuditLog
{
    [LoggerMessage(1, LogLevel.Error, "The audit trail cannot be written: {Cause}; events wait, trying again")]
    public static partial void CannotWrite(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Information, "The audit trail is written again")]
    public static partial void WritingAgain(this ILogger logger);

    [LoggerMessage(3, LogLevel.Warning, "The audit queue is full: allowed events are dropped and counted, others wait in memory")]
    public static partial void QueueFull(this ILogger logger);

    [LoggerMessage(4, LogLevel.Warning, "The audit queue has room again; {Dropped} allowed events were dropped since the start")]
    public static partial void RoomAgain(this ILogger logger, long dropped);

    [LoggerMessage(5, LogLevel.Critical, "{Events} audit events could not be written before the program stopped and are lost")]
    public static partial void LostAtShutdown(this ILogger logger, int events);

    [LoggerMessage(6, LogLevel.Error, "The memory for audit events that wait is full: denials are lost and counted")]
    public static partial void ReserveFull(this ILogger logger);

    [LoggerMessage(7, LogLevel.Warning, "The audit trail {File} is full: events up to {Until:u} were removed before they were as old as Audit:Keep says")]
    public static partial void RemovedEarly(this ILogger logger, string file, DateTime until);

    [LoggerMessage(8, LogLevel.Warning, "The files of the audit trail {File} cannot be renamed or removed: it grows beyond Audit:MaximumSize and Audit:Keep; trying again once a minute")]
    public static partial void NotTidied(this ILogger logger, Exception exception, string file);

    [LoggerMessage(9, LogLevel.Warning, "The audit trail {File} does not end as it was written: its line {Sequence} is missing or another one; imageaccess audit verify shows where")]
    public static partial void EndIsMissing(this ILogger logger, string file, long sequence);

    [LoggerMessage(10, LogLevel.Error, "The salt of pseudonyms could not be kept in {Path}: {Cause}; after a restart without the database callers have other pseudonyms")]
    public static partial void SaltNotKept(this ILogger logger, string path, string cause);
}
