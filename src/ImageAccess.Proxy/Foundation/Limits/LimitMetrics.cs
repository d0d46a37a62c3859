using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>What was refused because a limit was met, and how much is in use, by what is limited.</summary>
public sealed class LimitMetrics
{
    /// <summary>All that can be refused; each is counted from zero.</summary>
    private static readonly string[] Limits =
    [
        "connections", "admin connections", "tunnels", "requests", "console requests", "proxy sign-ins", "password checks", "sign-ins", "sign-ins under way",
        "catalog questions", "api tokens",
    ];

    private readonly Meter _meter;
    private readonly Counter<long> _limited;

    public LimitMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("ImageAccess");
        _limited = _meter.CreateCounter<long>("imageaccess.limited", "{refusal}", "What was refused because a limit was met, by what is limited.");
    }

    public void StartAtZero() => Array.ForEach(Limits, what => Limited(what, 0));

    public void Limited(string what) => Limited(what, 1);

    public void Watch(IReadOnlyList<SharedSlots> all) => _meter.CreateObservableGauge(
        "imageaccess.limit.used",
        () => all.Select(slots => new Measurement<int>(slots.InUse, new KeyValuePair<string, object?>("what", slots.What))),
        "{slot}",
        "What is under way of what is limited.");

    private void Limited(string what, int refusals) => _limited.Add(refusals, new KeyValuePair<string, object?>("what", what));
}
