using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>What was refused because a limit was met, and how much is in use, by what is limited.</summary>
public sealed class LimitMetrics
{
    private readonly Meter _meter;
    private readonly Counter<long> _limited;

    public LimitMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("ImageAccess");
        _limited = _meter.CreateCounter<long>("imageaccess.limited", "{refusal}", "What was refused because a limit was met, by what is limited.");
    }

    public void Limited(string what) => _limited.Add(1, new KeyValuePair<string, object?>("what", what));

    public void Watch(IReadOnlyList<SharedSlots> all) => _meter.CreateObservableGauge(
        "imageaccess.limit.used",
        () => all.Select(slots => new Measurement<int>(slots.InUse, new KeyValuePair<string, object?>("what", slots.What))),
        "{slot}",
        "What is under way of what is limited.");
}
