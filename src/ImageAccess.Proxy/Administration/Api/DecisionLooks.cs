using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Administration.Api;

internal static class DecisionLooks
{
    /// <summary>Records that somebody looks at named decisions. Nobody is recorded who sees the own ones alone.</summary>
    public static async Task RecordAsync(this LookRecorder looks, Visitor visitor, CallerNames names, string what, UsageFilter filter, CancellationToken cancellationToken)
    {
        if (filter.Scope is { IsEverything: false, Whole: [] } || (filter.Caller is { } caller && visitor.Actor.User is { } user && caller == names.OfSelf(user)))
            return;
        var words = UsageOperations.WordsOf(filter with { From = 0, Until = long.MaxValue }).Where(word => word.Value is not null).Select(word => $"{word.Key} {word.Value}");
        await looks.RecordAsync(new Look(visitor.Actor.Name, filter.Organization ?? visitor.Organization, what, string.Join(", ", words.DefaultIfEmpty("all"))), cancellationToken);
    }
}
