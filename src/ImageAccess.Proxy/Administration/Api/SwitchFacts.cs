using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>What would happen to the pulls of an organization if an image type were allowed or not.</summary>
/// <param name="Same">It is switched so already.</param>
/// <param name="Since">From when on.</param>
/// <param name="Pulls">How many were judged.</param>
/// <param name="NewlyDenied">Repositories that would be denied, or denied once it is enforced (<c>observe</c>); the first 1,000.</param>
/// <param name="NewlyAllowed">Repositories that would be allowed; the first 1,000.</param>
/// <param name="NotKnown">How many pulls would depend on a publisher whom nobody knows yet.</param>
internal sealed record SwitchFacts(
    string Organization, string Type, bool Allowed, bool Same, DateTime Since, long Pulls, SwitchedPulls NewlyDenied, SwitchedPulls NewlyAllowed, long NotKnown)
{
    /// <summary>How the document writes each type that can be switched.</summary>
    public static readonly IReadOnlyDictionary<string, string> Members = new Dictionary<string, string>
    {
        ["official"] = "official",
        ["verified-publisher"] = "verifiedPublisher",
        ["community"] = "community",
    };

    /// <summary>Where the pulls were read: <c>database</c> or <c>audit files</c>.</summary>
    public string? Source { get; init; }

    /// <summary>Why the database was not read; null where it was.</summary>
    public string? NotInDatabase { get; init; }

    /// <summary>Pulls that were not judged, because there are too many kinds of them; null where all were.</summary>
    public long? NotJudged { get; init; }

    public static SwitchFacts Of(DraftEffect effect, string organization, string type, bool allowed, bool same, DateTimeOffset since) => new(
        organization,
        type,
        allowed,
        same,
        since.UtcDateTime,
        effect.Requests,
        SwitchedPulls.Of(effect.Changes.Where(change => change is { From: "allow", To: "deny" or "observe" })),
        SwitchedPulls.Of(effect.Changes.Where(change => change.To == "allow")),
        effect.Changes.Where(change => change.To == Policies.Decisions.Answer.Depends).Sum(change => change.Requests))
    {
        Source = effect.Pulls.Source.ToWireName(),
        NotInDatabase = effect.Pulls.NotInDatabase,
        NotJudged = effect.Pulls.Beyond > 0 ? effect.Pulls.Beyond : null,
    };
}

/// <summary>Pulls whose outcome would be another.</summary>
/// <param name="People">Of how many callers.</param>
public sealed record SwitchedPulls(int Repositories, int People, long Pulls, IReadOnlyList<SwitchedRepository> Items)
{
    private const int Maximum = 1000;

    internal static SwitchedPulls Of(IEnumerable<ChangedPulls> changes)
    {
        var all = changes.ToList();
        var repositories = all.GroupBy(change => change.Repository)
            .Select(group => new SwitchedRepository(group.Key, group.Select(change => change.Caller).Distinct().Count(), group.Sum(change => change.Requests)))
            .OrderByDescending(one => one.People).ThenByDescending(one => one.Pulls).ThenBy(one => one.Repository, StringComparer.Ordinal)
            .ToList();
        return new SwitchedPulls(repositories.Count, all.Select(change => change.Caller).Distinct().Count(), all.Sum(change => change.Requests), [.. repositories.Take(Maximum)]);
    }
}

/// <param name="People">Of how many callers.</param>
public sealed record SwitchedRepository(string Repository, int People, long Pulls);
