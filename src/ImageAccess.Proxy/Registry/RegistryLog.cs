namespace ImageAccess.Proxy.Registry;

internal static partial class RegistryLog
{
    [LoggerMessage(1, LogLevel.Warning, "The token service failed: {Cause}")]
    public static partial void TokenServiceFailed(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Error, "A request failed in the proxy itself")]
    public static partial void RequestFailed(this ILogger logger, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "The search failed: {Cause}")]
    public static partial void SearchFailed(this ILogger logger, string cause);

    [LoggerMessage(5, LogLevel.Error, "A request of this proxy came back to it, because a name of Docker Hub leads to the proxy; set Upstream:Addresses to Docker Hub's own addresses")]
    public static partial void RequestCameBack(this ILogger logger);
}
