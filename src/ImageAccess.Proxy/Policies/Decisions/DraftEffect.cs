using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>What a draft of the policy would have changed in pulls that happened: each is judged by it, and the outcomes are compared.</summary>
internal sealed class DraftEffect
{
    private readonly List<ChangedPulls> _changes = [];
    private readonly Policy _byRepository;
    private readonly DateOnly _today;

    /// <param name="policy">The draft, with the blocks and the exceptions beside it.</param>
    /// <param name="pulls">The pulls.</param>
    /// <param name="today">The day in UTC.</param>
    /// <param name="concerns">Of these callers alone; null for all.</param>
    public DraftEffect(Policy policy, IPulls pulls, DateOnly today, Func<Caller, bool>? concerns = null, CancellationToken cancellationToken = default)
    {
        (Policy, Pulls, _today) = (policy, pulls, today);
        var known = new Dictionary<(string Caller, string Memberships), bool>();
        _byRepository = policy.With(new Core.Policies.Exceptions([.. policy.Exceptions.All.Where(exception => exception.Root is null && exception.Tag is null)], policy.Exceptions.Version));
        var inForce = policy.Blocks.All.Select(block => block.Id).ToHashSet();
        foreach (var (pull, requests) in pulls.Requests)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!IsConcerned(pull))
                continue;
            Requests += requests;
            if ((pull.Block is { } id && inForce.Contains(id)) || IsExcepted(pull))
                continue; // by a tag or a digest, which the pull is not counted by
            var (outcome, rule) = Answer.Of(new PolicyView(_byRepository, pull.ToCaller(), today), AskedBy(pull), pulls.PublisherOf(pull.ToRepository()));
            if (outcome != pull.Outcome)
                _changes.Add(new ChangedPulls(pull.Outcome, outcome, rule, pull.Caller, pull.Repository, requests));
        }

        bool IsConcerned(Pull pull)
        {
            if (concerns is null)
                return true;
            var key = (pull.Caller, pull.Memberships);
            return known.TryGetValue(key, out var isConcerned) ? isConcerned : known[key] = concerns(pull.ToCaller());
        }
    }

    public Policy Policy { get; }

    public IPulls Pulls { get; }

    /// <summary>All that were judged.</summary>
    public long Requests { get; }

    public IReadOnlyList<ChangedPulls> Changes => _changes;

    /// <summary>The same, those of one repository together: what is denied first, then the most requests.</summary>
    public IEnumerable<ChangedRepository> ByRepository() => _changes
        .GroupBy(change => (change.From, change.To, change.Rule, change.Repository))
        .Select(group => new ChangedRepository(group.Key.From, group.Key.To, group.Key.Rule, group.Key.Repository, group.Sum(change => change.Requests))
        {
            Callers = [.. group.GroupBy(change => change.Caller).OrderByDescending(one => one.Sum(change => change.Requests)).ThenBy(one => one.Key, StringComparer.Ordinal).Select(one => one.Key)],
        })
        .OrderBy(row => Answer.Rank(row.To))
        .ThenByDescending(row => row.Requests)
        .ThenBy(row => row.Repository, StringComparer.Ordinal);

    /// <summary>Exceptions for some images of the repository decided it, and would again.</summary>
    private bool IsExcepted(Pull pull) => pull.IsOfException && RuleOf(Policy, pull) == PolicyRule.Exception && RuleOf(_byRepository, pull) != PolicyRule.Exception;

    private string RuleOf(Policy policy, Pull pull) =>
        new PolicyView(policy, pull.ToCaller(), _today).Decide(AskedBy(pull), Pulls.PublisherOf(pull.ToRepository())).Rule;

    private static Asked AskedBy(Pull pull) => new(pull.ToRepository()) { IsPull = true };
}

/// <summary>Pulls of one caller and repository whose outcome would be another.</summary>
/// <param name="From">What it was: <c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
/// <param name="To">What it would be: one of these, or <c>unknown</c>.</param>
/// <param name="Rule">The rule that would decide.</param>
/// <param name="Caller">As the trail names the caller.</param>
/// <param name="Repository">The repository.</param>
/// <param name="Requests">How many.</param>
internal sealed record ChangedPulls(string From, string To, string Rule, string Caller, string Repository, long Requests);

/// <summary>Pulls of one repository whose outcome would be another, and would be decided by the same rule.</summary>
internal sealed record ChangedRepository(string From, string To, string Rule, string Repository, long Requests)
{
    /// <summary>Who has pulled it, those with the most requests first.</summary>
    public IReadOnlyList<string> Callers { get; init; } = [];
}

/// <summary>What a policy answers without a catalog.</summary>
internal static class Answer
{
    /// <summary>The answer depends on the publisher, who is not known.</summary>
    public const string Depends = "unknown";

    /// <summary>The order of outcomes: what is denied first, what is allowed last.</summary>
    public static int Rank(string outcome) => outcome switch { "deny" => 0, Depends => 1, "observe" => 2, _ => 3 };

    public static (string Outcome, string Rule) Of(PolicyView view, Asked asked, PublisherFacts publisher)
    {
        var forecast = view.Foresee(asked, publisher);
        var outcome = forecast.IfVerified?.Outcome ?? forecast.Decision.Outcome;
        return (forecast.IfCommunity is { } community && community.Outcome != outcome ? Depends : outcome.ToWireName(), forecast.Decision.Rule);
    }
}
