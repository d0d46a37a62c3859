namespace ImageAccess.Proxy.Administration.Notifications;

internal static partial class NotificationsLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Receiver} {Cause}; its notifications wait, and are tried again for 3 days")]
    public static partial void Refused(this ILogger logger, string receiver, string cause);

    [LoggerMessage(2, LogLevel.Information, "{Receiver} takes notifications again")]
    public static partial void WorksAgain(this ILogger logger, string receiver);

    [LoggerMessage(3, LogLevel.Error, "The notification {Id} is given up: {Receiver} {Cause}")]
    public static partial void GivenUp(this ILogger logger, string id, string receiver, string cause);

    [LoggerMessage(4, LogLevel.Error, "{Count} notifications found no room and are lost; the audit trail has what they tell")]
    public static partial void NoRoom(this ILogger logger, int count);

    [LoggerMessage(5, LogLevel.Error, "Notifications could not be kept in {Path}: {Cause}; a kill before they are in the database loses them")]
    public static partial void NotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(6, LogLevel.Error, "The notifications of {Database} cannot be read: it {Cause}; they wait, trying again")]
    public static partial void NotRead(this ILogger logger, string database, string cause);

    [LoggerMessage(7, LogLevel.Error, "How long parts are degraded could not be kept in {Path}: {Cause}; after a restart it may be told again")]
    public static partial void StateNotKept(this ILogger logger, string path, string cause);
}
