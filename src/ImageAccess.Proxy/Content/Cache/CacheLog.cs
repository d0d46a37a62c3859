namespace ImageAccess.Proxy.Content.Cache;

internal static partial class CacheLog
{
    [LoggerMessage(1, LogLevel.Information, "The cache is {Directory}: {Links} links and tags are known")]
    public static partial void Opened(this ILogger logger, string directory, int links);

    [LoggerMessage(2, LogLevel.Information, "The cache holds {Items} contents, {Mebibytes} MiB")]
    public static partial void Scanned(this ILogger logger, int items, long mebibytes);

    [LoggerMessage(3, LogLevel.Warning, "The cache directory {Directory} cannot be used, nothing is kept: {Reason}; trying again")]
    public static partial void CannotOpen(this ILogger logger, string directory, string reason);

    [LoggerMessage(4, LogLevel.Warning, "The cache keeps nothing new for now, pulls go on without it: {Reason}")]
    public static partial void Full(this ILogger logger, string reason);

    [LoggerMessage(5, LogLevel.Information, "The cache keeps new content again")]
    public static partial void RoomAgain(this ILogger logger);

    [LoggerMessage(6, LogLevel.Information, "The cache evicted {Items} contents, {Mebibytes} MiB, to make room")]
    public static partial void Evicted(this ILogger logger, int items, long mebibytes);

    [LoggerMessage(7, LogLevel.Error, "The cache dropped {Digest}: {Reason}")]
    public static partial void Dropped(this ILogger logger, string digest, string reason);

    [LoggerMessage(8, LogLevel.Warning, "{Path}: {Number} lines could not be read and are left out")]
    public static partial void LinesUnreadable(this ILogger logger, string path, int number);

    [LoggerMessage(9, LogLevel.Warning, "{Path} cannot be read, so links and tags are learnt again from Docker Hub: {Reason}")]
    public static partial void JournalUnusable(this ILogger logger, string path, string reason);

    [LoggerMessage(10, LogLevel.Warning, "{Path} cannot be written; after a restart, links and tags may be unknown: {Reason}")]
    public static partial void JournalNotWritten(this ILogger logger, string path, string reason);

    [LoggerMessage(11, LogLevel.Warning, "The cache directory could not be read to its end: {Reason}")]
    public static partial void NotScanned(this ILogger logger, string reason);
}
