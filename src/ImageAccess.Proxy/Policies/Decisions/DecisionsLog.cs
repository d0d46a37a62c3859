namespace ImageAccess.Proxy.Policies.Decisions;

internal static partial class DecisionsLog
{
    [LoggerMessage(1, LogLevel.Error, "An observed request has no audit event: its decision is made after the answer, and that failed")]
    public static partial void LateDecisionFailed(this ILogger logger, Exception exception);
}
