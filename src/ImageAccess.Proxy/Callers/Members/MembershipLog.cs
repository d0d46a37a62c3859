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
        "The user name {Username} belongs to account {FormerId}, and a token or member list shows it with account {Id}: what the policy grants to "
        + "the name is not for the other account. If it is the right one, confirm it (imageaccess accounts confirm), or write it into the policy, as {{ \"name\": …, \"account\": … }} in place of the name")]
    public static partial void NameTakenOver(this ILogger logger, string username, string formerId, string id);

    [LoggerMessage(5, LogLevel.Error, "The kept member lists cannot be used: {Path}: {Cause}")]
    public static partial void KeptUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(6, LogLevel.Error, "The member lists could not be kept in {Path}: {Cause}; trying again")]
    public static partial void NotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(
        7,
        LogLevel.Error,
        "{Path} {Cause}: it says which account each user name of the policy stands for, so owners and members without an account in the policy "
        + "are granted nothing. Restore it, or delete it to begin anew with the accounts that are seen next")]
    public static partial void AccountsUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(8, LogLevel.Error, "The accounts of the policy's user names could not be kept in {Path}: {Cause}; trying again")]
    public static partial void AccountsNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(
        10,
        LogLevel.Warning,
        "The member list of {Organization}, read at {ReadAt:u}, does not name owners of the policy, who count as members: {Owners}. Remove them from "
        + "the policy's owners; whoever is to be an owner without being on the list is written as {{ \"name\": …, \"external\": true }}")]
    public static partial void OwnersAbsent(this ILogger logger, string organization, DateTimeOffset readAt, AbsentOwners owners);

    [LoggerMessage(
        11,
        LogLevel.Warning,
        "A role of the policy is not given, because no member list names the account: {Role}. Remove the names from the policy, or write them as "
        + "{{ \"name\": …, \"external\": true }} where they are to have it without being on the list")]
    public static partial void RolesAbsent(this ILogger logger, AbsentRole role);

    [LoggerMessage(
        12,
        LogLevel.Warning,
        "The user name {Username} stands for the account {Account} from now on (confirmed by {By}): {Reason}")]
    public static partial void AccountConfirmed(this ILogger logger, string username, string account, string by, string reason);

    [LoggerMessage(13, LogLevel.Error, "The confirmed accounts of {Database} cannot be read: it {Cause}; those that were read last stay ({Count}); trying again")]
    public static partial void ConfirmedNotRead(this ILogger logger, string database, string cause, int count);

    [LoggerMessage(14, LogLevel.Information, "The confirmed accounts of {Database} are read again ({Count})")]
    public static partial void ConfirmedReadAgain(this ILogger logger, string database, int count);

    [LoggerMessage(
        15, LogLevel.Error, "The confirmed accounts could not be kept in {Path}: {Cause}; a restart without the database will not find them; trying again")]
    public static partial void ConfirmedNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(
        16, LogLevel.Error, "The copy of the confirmed accounts cannot be used: {Path} {Cause}; none is confirmed until the database has been read")]
    public static partial void ConfirmedCopyUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(
        9, LogLevel.Warning, "{Count} user names more belong to other accounts by the member list of {Organization}: the audit trail has each of them")]
    public static partial void NamesTakenOver(this ILogger logger, int count, string organization);
}
