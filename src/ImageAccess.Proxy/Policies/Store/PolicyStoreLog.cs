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

    [LoggerMessage(5, LogLevel.Information, "The policy document {Path} holds policy {Version}, which is in force, again")]
    public static partial void Recovered(this ILogger logger, string path, string version);

    [LoggerMessage(6, LogLevel.Error, "The accepted policy could not be kept in {Path}: a restart may not find it; trying again")]
    public static partial void NotKept(this ILogger logger, Exception exception, string path);

    [LoggerMessage(7, LogLevel.Error, "The copy of the last accepted policy cannot be used: {Path} {Cause}")]
    public static partial void CopyUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(8, LogLevel.Warning, "Image access is off: every image is allowed, until a policy in {Path} enables an organization")]
    public static partial void ImageAccessOff(this ILogger logger, string path);

    [LoggerMessage(9, LogLevel.Warning, "The allowlist entry {Repository} of {Organization} holds through {Expires:yyyy-MM-dd}: {Days} days are left")]
    public static partial void Expiring(this ILogger logger, string repository, string organization, DateOnly expires, int days);
}
