namespace ImageAccess.Proxy.Content.Upstream;

internal static partial class UpstreamLog
{
    [LoggerMessage(1, LogLevel.Warning, "Upstream failed for {Method} {Repository} ({Subject}): {Cause}")]
    public static partial void UpstreamFailed(this ILogger logger, string method, string repository, string subject, string cause);
}
