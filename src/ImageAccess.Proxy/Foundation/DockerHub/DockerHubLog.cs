namespace ImageAccess.Proxy.Foundation.DockerHub;

internal static partial class DockerHubLog
{
    [LoggerMessage(1, LogLevel.Warning, "The Hub API asks us to back off until {Until:u}; nothing is asked of it before")]
    public static partial void HubApiBackoff(this ILogger logger, DateTimeOffset until);
}
