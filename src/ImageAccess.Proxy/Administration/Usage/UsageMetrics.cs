using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>Decisions on their way from the audit files into the database.</summary>
internal sealed class UsageMetrics
{
    private readonly Counter<long> _written;
    private readonly Counter<long> _skipped;
    private readonly Counter<long> _missed;
    private readonly Counter<long> _failures;
    private long _waiting;

    public UsageMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _written = meter.CreateCounter<long>("imageaccess.usage.written", "{decision}", "Decisions of the audit trail that came into the database.");
        _skipped = meter.CreateCounter<long>("imageaccess.usage.skipped", "{line}", "Lines of the audit trail that are not in the database: malformed, too long, or of a day that is kept no longer or has not come.");
        _missed = meter.CreateCounter<long>("imageaccess.usage.missed", "By", "Bytes of the audit trail that were removed before they were read into the database.");
        _failures = meter.CreateCounter<long>("imageaccess.usage.failures", "{attempt}", "Attempts to bring decisions into the database that failed.");
        meter.CreateObservableUpDownCounter("imageaccess.usage.waiting", () => Waiting, "By", "Bytes of the audit trail that wait to be read into the database.");
    }

    public long Waiting
    {
        get => Interlocked.Read(ref _waiting);
        set => Interlocked.Exchange(ref _waiting, value);
    }

    public void StartAtZero()
    {
        Array.ForEach([_written, _missed, _failures], counter => counter.Add(0));
        foreach (var reason in new[] { "malformed", "old", "future" })
            Skipped(reason, 0);
    }

    public void Written(UsageBatch batch, UsageAdded added)
    {
        _written.Add(added.New);
        Skipped("malformed", batch.Malformed + batch.TooLong);
        Skipped("old", added.Old);
        Skipped("future", added.Future);
    }

    public void Missed(long bytes) => _missed.Add(bytes);

    public void Failed() => _failures.Add(1);

    private void Skipped(string reason, int lines) => _skipped.Add(lines, new KeyValuePair<string, object?>("reason", reason));
}
