namespace ImageAccess.Proxy.Callers.Members;

internal static partial class MembershipLog
{
    [LoggerMessage(1, LogLevel.Information, "The member list of {Organization} is read: {Count} members")]
    public static partial void MembersRead(this ILogger logger, string organization, int count);

    [LoggerMessage(
        2, LogLevel.Information, "The member list of {Organization} begins with the one kept on disk: {Count} members, of {ReadAt:u}")]
    public static partial void MembersKept(this ILogger logger, string organization, int count, DateTimeOffset readAt);

    [LoggerMessage(3, LogLevel.Warning, "The member list of {Organization} could not be read: {Cause}; {Stays}")]
    public static partial void MembersNotRead(this ILogger logger, string organization, string cause, string stays);

    [LoggerMessage(
        4,
        LogLevel.Warning,
        "The user name {Username} went from account {FormerId} to account {Id}: "
        + "what was granted to the former one is suspended until the next policy or member list names it")]
    public static partial void NameTakenOver(this ILogger logger, string username, string formerId, string id);

    [LoggerMessage(5, LogLevel.Error, "The kept member lists cannot be used: {Path}: {Cause}")]
    public static partial void KeptUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(6, LogLevel.Error, "The member lists could not be kept in {Path}: {Cause}; trying again")]
    public static partial void NotKept(this ILogger logger, string path, string cause);
}
