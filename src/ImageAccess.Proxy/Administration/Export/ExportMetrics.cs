using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>Events on their way from the audit files to receivers.</summary>
internal sealed class ExportMetrics
{
    private readonly Counter<long> _sent;
    private readonly Counter<long> _rejected;
    private readonly Counter<long> _skipped;
    private readonly Counter<long> _missed;
    private readonly Counter<long> _failures;
    private readonly ConcurrentDictionary<string, long> _waiting = new();

    public ExportMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _sent = meter.CreateCounter<long>("imageaccess.export.sent", "{event}", "Events of the audit trail that a receiver has.");
        _rejected = meter.CreateCounter<long>("imageaccess.export.rejected", "{event}", "Events of the audit trail that a receiver has refused for good.");
        _skipped = meter.CreateCounter<long>("imageaccess.export.skipped", "{line}", "Lines of the audit trail that are no event and were not sent.");
        _missed = meter.CreateCounter<long>("imageaccess.export.missed", "{line}", "Lines of the audit trail that were gone before a receiver had them.");
        _failures = meter.CreateCounter<long>("imageaccess.export.failures", "{attempt}", "Attempts to send events of the audit trail that failed.");
        meter.CreateObservableUpDownCounter(
            "imageaccess.export.waiting",
            () => _waiting.Select(each => new Measurement<long>(each.Value, Tag(each.Key))),
            "By",
            "Bytes of the audit trail that wait for a receiver.");
    }

    public void StartAtZero(IEnumerable<ITrailReceiver> receivers)
    {
        foreach (var receiver in receivers)
        {
            Array.ForEach([_sent, _rejected, _skipped, _missed, _failures], counter => counter.Add(0, Tag(receiver.Name)));
            _waiting.TryAdd(receiver.Name, 0);
        }
    }

    public long Waiting(string receiver) => _waiting.GetValueOrDefault(receiver);

    public void Waiting(string receiver, long bytes) => _waiting[receiver] = bytes;

    public void Sent(string receiver, ExportBatch batch, long rejected)
    {
        _sent.Add(batch.Events.Count - rejected, Tag(receiver));
        _rejected.Add(rejected, Tag(receiver));
        _skipped.Add(batch.Malformed, Tag(receiver));
    }

    public void Missed(string receiver, long lines) => _missed.Add(lines, Tag(receiver));

    public void Failed(string receiver) => _failures.Add(1, Tag(receiver));

    private static KeyValuePair<string, object?> Tag(string receiver) => new("receiver", receiver);
}
