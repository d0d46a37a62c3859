using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Foundation.Audit;

public sealed class AuditMetrics
{
    private readonly Counter<long> _written;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _failures;
    private long _droppedInAll;

    public AuditMetrics(IMeterFactory meters, PendingEvents pending)
    {
        var meter = meters.Create("ImageAccess");
        _written = meter.CreateCounter<long>("imageaccess.audit.written", "{event}", "Events written to the audit trail.");
        _dropped = meter.CreateCounter<long>("imageaccess.audit.dropped", "{event}", "Allowed events dropped because the queue was full.");
        _lost = meter.CreateCounter<long>("imageaccess.audit.lost", "{event}", "Events that could not be written before the program stopped.");
        _failures = meter.CreateCounter<long>("imageaccess.audit.failures", "{attempt}", "Attempts to write that failed.");
        meter.CreateObservableUpDownCounter("imageaccess.audit.queued", () => pending.Count, "{event}", "Events that wait to be written.");
    }

    public long DroppedInAll => Interlocked.Read(ref _droppedInAll);

    public void Written(int events) => _written.Add(events);

    public void Dropped()
    {
        Interlocked.Increment(ref _droppedInAll);
        _dropped.Add(1);
    }

    public void Lost(int events) => _lost.Add(events);

    public void WriteFailed() => _failures.Add(1);
}
