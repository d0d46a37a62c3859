using System.Runtime.InteropServices;

namespace ImageAccess.Proxy.Hosting;

internal static partial class HostingLog
{
    [LoggerMessage(1, LogLevel.Information, "Stopping on {Signal}: no new connections; what is under way has {Seconds} s to end, a second signal ends it at once")]
    public static partial void Stopping(this ILogger logger, PosixSignal signal, double seconds);

    [LoggerMessage(2, LogLevel.Warning, "Connections were still open {Seconds} s after the signal and are closed now: their pulls, pushes and tunnels break off")]
    public static partial void Closing(this ILogger logger, double seconds);

    [LoggerMessage(3, LogLevel.Information, "Read again on SIGHUP: {What}")]
    public static partial void ReadAgain(this ILogger logger, string what);

    [LoggerMessage(4, LogLevel.Warning, "{Part} is degraded: {Cause}")]
    public static partial void Degraded(this ILogger logger, string part, string cause);

    [LoggerMessage(5, LogLevel.Information, "{Part} works again")]
    public static partial void WellAgain(this ILogger logger, string part);

    [LoggerMessage(7, LogLevel.Information, "{Line}")]
    public static partial void Started(this ILogger logger, string line);

    [LoggerMessage(6, LogLevel.Error, "SIGHUP: {Room} could not read its file again ({Failure}); what it read last stays")]
    public static partial void NotReadAgain(this ILogger logger, string room, string failure);
}
