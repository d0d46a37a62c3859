namespace ImageAccess.Proxy.Policies.Store;

internal static partial class BlockExchangeLog
{
    [LoggerMessage(1, LogLevel.Error, "The blocks of {Database} cannot be exchanged: it {Cause}; {Stay}; trying again")]
    public static partial void BlocksNotRead(this ILogger logger, string database, string cause, string stay);

    [LoggerMessage(2, LogLevel.Information, "The blocks of {Database} are exchanged again")]
    public static partial void BlocksReadAgain(this ILogger logger, string database);

    [LoggerMessage(3, LogLevel.Error, "The block {Key} of the database, for {Image}, is not what was written: it blocks and lifts nothing")]
    public static partial void BlockUnusable(this ILogger logger, string key, string image);
}
