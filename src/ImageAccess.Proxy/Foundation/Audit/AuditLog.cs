namespace ImageAccess.Proxy.Foundation.Audit;

internal static partial class AuditLog
{
    [LoggerMessage(1, LogLevel.Error, "The audit trail cannot be written; events wait, trying again")]
    public static partial void CannotWrite(this ILogger logger, Exception exception);

    [LoggerMessage(2, LogLevel.Information, "The audit trail is written again")]
    public static partial void WritingAgain(this ILogger logger);

    [LoggerMessage(3, LogLevel.Warning, "The audit queue is full: allowed events are dropped and counted, denials wait")]
    public static partial void QueueFull(this ILogger logger);

    [LoggerMessage(4, LogLevel.Warning, "The audit queue has room again; {Dropped} allowed events were dropped since the start")]
    public static partial void RoomAgain(this ILogger logger, long dropped);

    [LoggerMessage(5, LogLevel.Critical, "{Events} audit events could not be written before the program stopped and are lost")]
    public static partial void LostAtShutdown(this ILogger logger, int events);
}
