using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Administration.Incidents;

/// <summary>What is told of an incident: to the receivers of the configuration who pulled, and to each who pulled what they pulled.</summary>
internal static class IncidentNotices
{
    /// <summary>How many callers the receivers of the configuration are told by name.</summary>
    public const int MaximumNamed = 100;

    /// <summary>To how many a mail of their own goes; those who pulled last first.</summary>
    public const int MaximumPullers = 500;

    private const int MaximumPulls = 10;

    /// <summary>Nobody who could be told; nor is who has a pseudonym, because who that is stands in one table alone.</summary>
    private const string Anonymous = "anonymous";

    /// <param name="fact">What tells this incident apart from others: the same is told once.</param>
    /// <param name="pulls">The newest first.</param>
    public static List<Notice> Of(
        string fact, List<IncidentPull> pulls, IReadOnlyList<string> images, ChangeRequest request, UsageScope scope, DateTimeOffset since, DateTimeOffset now)
    {
        var callers = pulls.GroupBy(pull => pull.Caller).ToList();
        var all = Notice.Of(NoticeKinds.Incident, fact, now, new
        {
            organization = scope is { IsEverything: false, Whole: [var only] } ? only : null,
            user = request.Actor.Name,
            closes = images,
            reason = request.Reason,
            ticket = request.Ticket,
            since,
            callers = callers.Count,
            names = callers.Take(MaximumNamed).Select(caller => caller.Key),
            pulls = callers.Take(MaximumNamed).Select(caller => new
            {
                caller = caller.Key,
                organizations = caller.SelectMany(pull => pull.Organizations).Distinct(),
                images = caller.Select(pull => pull.Image).Distinct().Take(MaximumPulls),
                pulls = caller.Sum(pull => pull.Pulls),
                last = caller.Max(pull => pull.Last),
            }),
        });
        return [all, .. callers.Where(caller => caller.Key != Anonymous && !Pseudonyms.Is(caller.Key)).Take(MaximumPullers).Select(caller => all.To(
            caller.Key.ToLowerInvariant(), [.. caller.SelectMany(pull => pull.Organizations).Distinct()], NoticeKinds.TextToPuller(FactsTo([.. caller], request))))];
    }

    private static Facts FactsTo(List<IncidentPull> pulls, ChangeRequest request) => Facts.Of(new
    {
        user = request.Actor.Name,
        closes = pulls.Select(pull => pull.Image).Distinct(),
        reason = request.Reason,
        pulled = pulls.Select(Words),
    });

    /// <summary><c>evil/tool:7, 2 times, last 2026-06-01 12:00 UTC from 192.0.2.7</c>.</summary>
    private static string Words(IncidentPull pull)
    {
        var reference = pull.Reference is null ? "" : pull.Reference.Contains(':', StringComparison.Ordinal) ? $"@{pull.Reference}" : $":{pull.Reference}";
        var times = pull.Pulls > 1 ? string.Create(CultureInfo.InvariantCulture, $" {pull.Pulls} times, last") : "";
        return $"{pull.Repository}{reference}{times} {Facts.Minute(new DateTimeOffset(pull.Last, TimeSpan.Zero))}{(pull.Client is null ? "" : $" from {pull.Client}")}";
    }
}
