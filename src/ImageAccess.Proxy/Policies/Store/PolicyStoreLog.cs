namespace ImageAccess.Proxy.Policies.Store;

internal static partial class PolicyStoreLog
{
    [LoggerMessage(1, LogLevel.Information, "Policy {Version} of {Path} is in force (before: {PreviousVersion})")]
    public static partial void Accepted(this ILogger logger, string version, string path, string previousVersion);

    [LoggerMessage(2, LogLevel.Warning, "Policy {Version} opens: {Opened}")]
    public static partial void Opened(this ILogger logger, string version, string opened);

    [LoggerMessage(3, LogLevel.Error, "The policy document {Path} {Cause}; {Stays}")]
    public static partial void Refused(this ILogger logger, string path, string cause, string stays);

    [LoggerMessage(4, LogLevel.Error, "{Path}: {Problem}")]
    public static partial void Problem(this ILogger logger, string path, string problem);

    [LoggerMessage(5, LogLevel.Information, "The policy document {Path} has policy {Version}, which is in force, again")]
    public static partial void Recovered(this ILogger logger, string path, string version);

    [LoggerMessage(6, LogLevel.Error, "The accepted policy could not be kept in {Path}: {Cause}; a restart may not find it; trying again")]
    public static partial void NotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(7, LogLevel.Error, "The copy of the last accepted policy cannot be used: {Path} {Cause}")]
    public static partial void CopyUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(8, LogLevel.Warning, "Image access is off: every image is allowed, until a policy in {Path} enables an organization")]
    public static partial void ImageAccessOff(this ILogger logger, string path);

    [LoggerMessage(9, LogLevel.Warning, "The allowlist entry {Repository} of {Organization} holds through {Expires:yyyy-MM-dd}: {Days} days are left")]
    public static partial void Expiring(this ILogger logger, string repository, string organization, DateOnly expires, int days);

    [LoggerMessage(10, LogLevel.Warning, "Policy {Version} opens {Count} things more: the audit trail has all, and imageaccess policy diff names them")]
    public static partial void OpenedMore(this ILogger logger, string version, int count);

    [LoggerMessage(11, LogLevel.Warning, "{Count} allowlist entries more end within {Days} days: imageaccess policy validate names them")]
    public static partial void ExpiringMore(this ILogger logger, int count, int days);

    [LoggerMessage(12, LogLevel.Warning, "{Image} is blocked (block {Id}, by {By}): {Reason}")]
    public static partial void Blocked(this ILogger logger, string image, long id, string by, string reason);

    [LoggerMessage(13, LogLevel.Warning, "{Image} is blocked no longer (block {Id}, lifted by {By}): {Reason}")]
    public static partial void Unblocked(this ILogger logger, string image, long id, string by, string reason);

    [LoggerMessage(14, LogLevel.Error, "The blocks of {Path} cannot be used: the file {Cause}; {Stay}")]
    public static partial void BlocksRefused(this ILogger logger, string path, string cause, string stay);

    [LoggerMessage(15, LogLevel.Information, "The blocks of {Path} are those in force again ({Count})")]
    public static partial void BlocksRecovered(this ILogger logger, string path, int count);

    [LoggerMessage(16, LogLevel.Error, "The blocks could not be kept in {Path}: {Cause}; a restart may not find them; trying again")]
    public static partial void BlocksNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(17, LogLevel.Error, "The copy of the last blocks cannot be used: {Path} {Cause}")]
    public static partial void CopyOfBlocksUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(18, LogLevel.Error, "What the policy's history waits for could not be kept in {Path}: {Cause}; a stop before it is written loses it; trying again")]
    public static partial void HistoryNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(19, LogLevel.Error, "What the policy's history waited for cannot be used: {Path} {Cause}")]
    public static partial void HistoryUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(20, LogLevel.Error, "The policy's history will miss version {Version}: more than {Maximum} versions wait for the database")]
    public static partial void HistoryMisses(this ILogger logger, string version, int maximum);

    [LoggerMessage(21, LogLevel.Warning, "The policy document is that of {Name} from now on, as {Key} says, and no longer where it was before")]
    public static partial void HomeIsAnother(this ILogger logger, string name, string key);

    [LoggerMessage(22, LogLevel.Warning, "The policy document is that of {Name} from now on: somebody has brought it there")]
    public static partial void HomeMoved(this ILogger logger, string name);

    [LoggerMessage(24, LogLevel.Warning, "Break-glass {Id}, {What}: {Words} (by {By}): {Reason}")]
    public static partial void BreakGlass(this ILogger logger, string words, long id, string what, string by, string reason);

    [LoggerMessage(25, LogLevel.Error, "The emergencies of {Path} cannot be used: the file {Cause}; nothing more is opened by it")]
    public static partial void BreakGlassRefused(this ILogger logger, string path, string cause);

    [LoggerMessage(26, LogLevel.Error, "What was recorded of emergencies could not be kept in {Path}: {Cause}; a restart records it again; trying again")]
    public static partial void BreakGlassNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(23, LogLevel.Error, "Where the policy document lives could not be kept in {Path}: {Cause}; a restart may look for it elsewhere; trying again")]
    public static partial void HomeNotKept(this ILogger logger, string path, string cause);
}
