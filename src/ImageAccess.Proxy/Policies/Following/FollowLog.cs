using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Following;

internal static partial class FollowLog
{
    [LoggerMessage(1, LogLevel.Information, "Docker Hub's own switches of {Organization} are read: {Switches}")]
    public static partial void SwitchesRead(this ILogger logger, string organization, HubSwitches switches);

    [LoggerMessage(2, LogLevel.Warning, "Docker Hub's own switches of {Organization} could not be read: {Cause}; {Stays}")]
    public static partial void SwitchesNotRead(this ILogger logger, string organization, string cause, string stays);

    [LoggerMessage(
        3,
        LogLevel.Error,
        "The copy of Docker Hub's own switches cannot be used: {Path} {Cause}; until they are read, official and verified publisher images, and other registries, are denied to the "
        + "organizations that follow them. To begin with the policy document's own switches, delete it and restart")]
    public static partial void CopyUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(4, LogLevel.Error, "Docker Hub's own switches could not be kept in {Path}: {Cause}; a restart may begin with older ones; trying again")]
    public static partial void NotKept(this ILogger logger, string path, string cause);
}
