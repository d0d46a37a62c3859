using System.Diagnostics.Metrics;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Registry;

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

    public void Decided(AccessDecision decision, TimeSpan duration)
    {
        var outcome = new KeyValuePair<string, object?>("outcome", decision.Outcome.ToWireName());
        _decisions.Add(
            1,
            outcome,
            new KeyValuePair<string, object?>("category", decision.Classification.Category.ToWireName()),
            new KeyValuePair<string, object?>("rule", decision.Rule));
        _duration.Record(duration.TotalSeconds, outcome);
    }
}
