using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Foundation.Audit;

public sealed class AuditMetrics
{
    private readonly Counter<long> _written;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _merged;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _removed;
    private long _droppedInAll;

    public AuditMetrics(IMeterFactory meters, PendingEvents pending)
    {
        var meter = meters.Create("ImageAccess");
        _written = meter.CreateCounter<long>("imageaccess.audit.written", "{event}", "Events written to the audit trail.");
        _dropped = meter.CreateCounter<long>("imageaccess.audit.dropped", "{event}", "Allowed events dropped because the queue was full.");
        _merged = meter.CreateCounter<long>("imageaccess.audit.merged", "{event}", "Denials without a line of their own, counted in a closing line.");
        _lost = meter.CreateCounter<long>("imageaccess.audit.lost", "{event}", "Events that found no place in memory while the trail could not be written, or were not written before the program stopped.");
        _failures = meter.CreateCounter<long>("imageaccess.audit.failures", "{attempt}", "Attempts to write that failed.");
        _removed = meter.CreateCounter<long>("imageaccess.audit.removed", "By", "Bytes of the audit trail that were removed before their age, because it was full.");
        meter.CreateObservableUpDownCounter("imageaccess.audit.queued", () => pending.Count, "{event}", "Events that wait to be written.");
    }

    public long DroppedInAll => Interlocked.Read(ref _droppedInAll);

    public void StartAtZero() => Array.ForEach([_written, _dropped, _merged, _lost, _failures, _removed], counter => counter.Add(0));

    public void Written(int events) => _written.Add(events);

    public void Dropped()
    {
        Interlocked.Increment(ref _droppedInAll);
        _dropped.Add(1);
    }

    public void Merged() => _merged.Add(1);

    public void Lost(int events) => _lost.Add(events);

    public void Removed(long bytes) => _removed.Add(bytes);

    public void WriteFailed() => _failures.Add(1);
}
