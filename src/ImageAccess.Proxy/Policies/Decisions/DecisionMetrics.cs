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

    /// <summary>Counts a decision, and names it in the request's span. A decision that still waits for the publisher is counted when it is found.</summary>
    public void Decided(AccessDecision decision, TimeSpan duration)
    {
        if (decision.NeedsPublisher)
            return;

        Activity.Current?.SetTag("imageaccess.outcome", decision.Outcome.ToWireName()).SetTag("imageaccess.rule", decision.Rule);
        var outcome = new KeyValuePair<string, object?>("outcome", decision.Outcome.ToWireName());
        _decisions.Add(
            1,
            outcome,
            new KeyValuePair<string, object?>("category", decision.Classification.Category.ToWireName()),
            new KeyValuePair<string, object?>("rule", decision.Rule));
        _duration.Record(duration.TotalSeconds, outcome);
    }
}
