using System.Diagnostics;
using System.Diagnostics.Metrics;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>Decisions by outcome, category and rule, and how long they took.</summary>
public sealed class DecisionMetrics
{
    private readonly Counter<long> _decisions;
    private readonly Histogram<double> _duration;

    public DecisionMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _decisions = meter.CreateCounter<long>("imageaccess.decisions", "{decision}", "Decisions by outcome, category and rule.");
        _duration = meter.CreateHistogram<double>("imageaccess.decision.duration", "s", "From the parsed request to its decision.");
    }

    /// <summary>Each rule's decisions, of the outcomes and categories that it can have.</summary>
    public void StartAtZero()
    {
        foreach (var rule in PolicyRule.All)
        {
            foreach (var outcome in Enum.GetValues<AccessOutcome>().Where(outcome => CanEnd(rule, outcome)))
            {
                foreach (var category in CategoriesOf(rule, outcome))
                    Decided(outcome, category, rule, 0);
            }
        }
    }

    /// <summary>Counts a decision, and names it in the request's span. A decision that still waits for the publisher is counted when it is found.</summary>
    public void Decided(AccessDecision decision, TimeSpan duration)
    {
        if (decision.NeedsPublisher)
            return;

        Activity.Current?.SetTag("imageaccess.outcome", decision.Outcome.ToWireName())
            .SetTag("imageaccess.rule", decision.Rule)
            .SetTag("imageaccess.category", decision.Classification.Category.ToWireName())
            .SetTag("imageaccess.organizations", decision.Organizations.ToArray());
        Decided(decision.Outcome, decision.Classification.Category, decision.Rule, 1);
        _duration.Record(duration.TotalSeconds, new KeyValuePair<string, object?>("outcome", decision.Outcome.ToWireName()));
    }

    private static bool CanEnd(string rule, AccessOutcome outcome) => rule switch
    {
        PolicyRule.Block => outcome == AccessOutcome.Deny,
        PolicyRule.Off or PolicyRule.Owner or PolicyRule.Allowlist or PolicyRule.BreakGlass or PolicyRule.Organization => outcome == AccessOutcome.Allow,
        PolicyRule.Exception => outcome != AccessOutcome.Observe,
        PolicyRule.SignIn or PolicyRule.OrganizationToken or PolicyRule.Outsider or PolicyRule.Unknown => outcome != AccessOutcome.Allow,
        _ => true,
    };

    private static RepositoryCategory[] CategoriesOf(string rule, AccessOutcome outcome) => rule switch
    {
        PolicyRule.Off or PolicyRule.Owner or PolicyRule.Allowlist or PolicyRule.Exception or PolicyRule.BreakGlass => Enum.GetValues<RepositoryCategory>(),
        PolicyRule.Organization => [RepositoryCategory.Organization],
        PolicyRule.Official => [RepositoryCategory.Official],
        PolicyRule.VerifiedPublisher => [RepositoryCategory.VerifiedPublisher],
        PolicyRule.Community when outcome == AccessOutcome.Allow => [RepositoryCategory.Community, RepositoryCategory.Unknown],
        PolicyRule.Community => [RepositoryCategory.Community],
        _ => [RepositoryCategory.Unknown],
    };

    private void Decided(AccessOutcome outcome, RepositoryCategory category, string rule, int decisions) => _decisions.Add(
        decisions,
        new KeyValuePair<string, object?>("outcome", outcome.ToWireName()),
        new KeyValuePair<string, object?>("category", category.ToWireName()),
        new KeyValuePair<string, object?>("rule", rule));
}
