namespace ImageAccess.Proxy.Foundation.Database;

internal static partial class DatabaseLog
{
    [LoggerMessage(1, LogLevel.Error, "The database {Name} {Cause}; trying again")]
    public static partial void Unusable(this ILogger logger, string name, string cause);

    [LoggerMessage(2, LogLevel.Information, "The database {Name} works again")]
    public static partial void WorksAgain(this ILogger logger, string name);

    [LoggerMessage(3, LogLevel.Information, "The database {Name} has the migration {Migration} now")]
    public static partial void Migrated(this ILogger logger, string name, string migration);

    [LoggerMessage(
        4, LogLevel.Warning, "The database {Name} {Cause}; the last uses of exceptions, and the denials that waited to be written, are lost with the stop")]
    public static partial void NotWrittenAtStop(this ILogger logger, string name, string cause);
}
