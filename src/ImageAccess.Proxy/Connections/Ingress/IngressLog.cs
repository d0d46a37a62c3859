namespace ImageAccess.Proxy.Connections.Ingress;

internal static partial class IngressLog
{
    [LoggerMessage(1, LogLevel.Warning, "The users of the forward proxy stay as they were: {File} {Problem}")]
    public static partial void UsersRefused(this ILogger logger, string file, string problem);

    [LoggerMessage(2, LogLevel.Warning, "A tunnel came back to this program: {Host} leads to its own gateway")]
    public static partial void Loop(this ILogger logger, string host);

    [LoggerMessage(3, LogLevel.Information, "The file {File} agrees with the users of the forward proxy again")]
    public static partial void UsersRecovered(this ILogger logger, string file);
}
