using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>What became of notifications.</summary>
internal sealed class NotificationMetrics
{
    private readonly Counter<long> _tried;
    private readonly Counter<long> _lost;

    public NotificationMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _tried = meter.CreateCounter<long>("imageaccess.notifications", "{notification}", "Tries to tell a receiver, by its outcome: sent, failed, given-up.");
        _lost = meter.CreateCounter<long>("imageaccess.notifications.lost", "{notification}", "Notifications that found no room in the outbox.");
    }

    public void StartAtZero(IEnumerable<IReceiver> receivers)
    {
        _lost.Add(0);
        foreach (var receiver in receivers)
        {
            foreach (var outcome in new[] { "sent", "failed", "given-up" })
                Tried(receiver.Name, outcome, 0);
        }
    }

    public void Tried(string receiver, string outcome) => Tried(receiver, outcome, 1);

    public void Lost(int count) => _lost.Add(count);

    private void Tried(string receiver, string outcome, int tries) =>
        _tried.Add(tries, new KeyValuePair<string, object?>("receiver", receiver), new("outcome", outcome));
}
