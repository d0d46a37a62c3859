namespace ImageAccess.Proxy.Foundation.DockerHub;

internal static partial class DockerHubLog
{
    [LoggerMessage(1, LogLevel.Warning, "The Hub API asks us to back off until {Until:u}; no request is sent to it before")]
    public static partial void HubApiBackoff(this ILogger logger, DateTimeOffset until);

    [LoggerMessage(2, LogLevel.Information, "A connection to {Host} broke before it was answered; the request is sent once more on a new one: {Cause}")]
    public static partial void SentAgain(this ILogger logger, string host, string cause);

    [LoggerMessage(3, LogLevel.Warning, "This machine's clock is {Difference} Docker Hub's, by the dates of its answers: set the clock, because tokens look expired or not yet valid")]
    public static partial void ClockIsWrong(this ILogger logger, string difference);

    [LoggerMessage(5, LogLevel.Warning, "Docker Hub cannot be asked as it should be: {Problem}")]
    public static partial void UpstreamIsWrong(this ILogger logger, string problem);

    [LoggerMessage(7, LogLevel.Debug, "Docker Hub's services were asked what they are")]
    public static partial void UpstreamAsked(this ILogger logger);

    [LoggerMessage(6, LogLevel.Information, "The service {Kind} of Docker Hub answers as it should again")]
    public static partial void UpstreamAnswers(this ILogger logger, string kind);

    [LoggerMessage(8, LogLevel.Warning, "Docker Hub allows {Account} {Remaining} more of {Limit} pulls in {Hours} hours: sign in with an account that has more, or pull less; what is kept is served without them")]
    public static partial void FewPullsLeft(this ILogger logger, string account, long remaining, long limit, double hours);

    [LoggerMessage(9, LogLevel.Information, "Docker Hub allows {Account} {Remaining} more of {Limit} pulls: enough again")]
    public static partial void PullsLeftAgain(this ILogger logger, string account, long remaining, long limit);

    [LoggerMessage(4, LogLevel.Information, "This machine's clock agrees with Docker Hub's again")]
    public static partial void ClockIsRight(this ILogger logger);
}
