namespace ImageAccess.Proxy.Administration.Export;

internal static partial class ExportLog
{
    [LoggerMessage(1, LogLevel.Error, "The audit trail is not exported: {Receiver} {Cause}; events wait in the audit files, trying again")]
    public static partial void NotSent(this ILogger logger, string receiver, string cause);

    [LoggerMessage(2, LogLevel.Information, "The audit trail is exported again: {Receiver} has taken what waited")]
    public static partial void SentAgain(this ILogger logger, string receiver);

    [LoggerMessage(3, LogLevel.Error, "{Lines} lines of the audit trail, up to line {Last}, were gone before {Receiver} had them")]
    public static partial void Missed(this ILogger logger, long lines, long last, string receiver);

    [LoggerMessage(4, LogLevel.Error, "{Receiver} has refused {Events} events of the audit trail for good; they stay in the audit files")]
    public static partial void Rejected(this ILogger logger, string receiver, long events);

    [LoggerMessage(5, LogLevel.Warning, "How far the audit trail is exported cannot be read from {File}: it {Cause}; all events that are kept are sent again")]
    public static partial void NoPosition(this ILogger logger, string file, string cause);

    [LoggerMessage(6, LogLevel.Error, "The audit file {File} is damaged: {Cause}; events in it may be missing at {Receiver}")]
    public static partial void Damaged(this ILogger logger, string file, string cause, string receiver);
}
