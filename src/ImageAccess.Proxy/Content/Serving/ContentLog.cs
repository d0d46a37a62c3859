namespace ImageAccess.Proxy.Content.Serving;

internal static partial class ContentLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Repository}:{Tag} was served from what is kept, because Docker Hub cannot answer: {Cause}")]
    public static partial void ServedStale(this ILogger logger, string repository, string tag, string cause);

    [LoggerMessage(2, LogLevel.Warning, "The download of {Digest} failed, clients that follow it are cut off: {Cause}")]
    public static partial void DownloadFailed(this ILogger logger, string digest, string cause);
}
