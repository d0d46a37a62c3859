namespace ImageAccess.Proxy.Content.Serving;

internal static partial class ContentLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Repository}:{Tag} was served from what is kept, because Docker Hub cannot answer: {Cause}")]
    public static partial void ServedStale(this ILogger logger, string repository, string tag, string cause);

    [LoggerMessage(3, LogLevel.Warning, "{Digest} of {Repository} was served although its link is old, because Docker Hub cannot answer: {Cause}")]
    public static partial void ServedOld(this ILogger logger, string repository, string digest, string cause);

    [LoggerMessage(4, LogLevel.Information, "{Image} was forgotten, {Links} links and {Tags} tags, for {User}: {Reason}")]
    public static partial void Forgotten(this ILogger logger, string image, int links, int tags, string user, string reason);

    [LoggerMessage(5, LogLevel.Warning, "{Image} was forgotten, but the layers of {Unread} manifest(s) could not be found, because these cannot be read here: forget {Repository} to be sure")]
    public static partial void Unread(this ILogger logger, string image, int unread, string repository);

    [LoggerMessage(6, LogLevel.Information, "{Image} is blocked, and what was kept of it was forgotten: {Contents} contents, {Bytes} bytes")]
    public static partial void BlockedContentForgotten(this ILogger logger, string image, int contents, long bytes);

    [LoggerMessage(7, LogLevel.Error, "What is kept of blocked images cannot be removed, and nobody is served it: {Cause}; trying again")]
    public static partial void BlockedContentStays(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Warning, "The download of {Digest} for {Repository} failed, clients that follow it are cut off: {Cause}")]
    public static partial void DownloadFailed(this ILogger logger, string digest, string repository, string cause);
}
