namespace ImageAccess.Proxy.Policies.Exceptions;

internal static partial class ExceptionsLog
{
    [LoggerMessage(1, LogLevel.Warning, "The exception {Id} opens {Image} to {Organization} {Until} (by {By}): {Reason}")]
    public static partial void Granted(this ILogger logger, long id, string image, string organization, string until, string by, string reason);

    [LoggerMessage(2, LogLevel.Information, "The exception {Id} opens {Image} to {Organization} no longer (ended by {By}): {Reason}")]
    public static partial void Ended(this ILogger logger, long id, string image, string organization, string by, string reason);

    [LoggerMessage(3, LogLevel.Error, "The exceptions of {Database} cannot be read: it {Cause}; {Stays}; trying again")]
    public static partial void NotRead(this ILogger logger, string database, string cause, string stays);

    [LoggerMessage(4, LogLevel.Information, "The exceptions of {Database} are read again ({Count})")]
    public static partial void ReadAgain(this ILogger logger, string database, int count);

    [LoggerMessage(5, LogLevel.Error, "The exceptions could not be kept in {Path}: {Cause}; a restart without the database will not find them; trying again")]
    public static partial void NotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(6, LogLevel.Error, "The copy of the exceptions cannot be used: {Path} {Cause}; none is in force until the database has been read")]
    public static partial void CopyUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(7, LogLevel.Error, "The exception {Id} for {Image} {Problem}: it opens nothing")]
    public static partial void Unusable(this ILogger logger, long id, string image, string problem);
}
