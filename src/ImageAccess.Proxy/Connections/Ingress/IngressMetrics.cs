using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>Tunnels, and connections that were refused.</summary>
public sealed class IngressMetrics
{
    private readonly UpDownCounter<long> _open;
    private readonly Counter<long> _refusals;

    public IngressMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _open = meter.CreateUpDownCounter<long>("imageaccess.tunnels", "{tunnel}", "Tunnels to other hosts that are open.");
        _refusals = meter.CreateCounter<long>("imageaccess.ingress.refusals", "{connection}", "Connections that were refused, by way in and reason.");
    }

    public void TunnelOpened() => _open.Add(1);

    public void TunnelClosed() => _open.Add(-1);

    public void StartAtZero()
    {
        _open.Add(0);
        foreach (var wayIn in new[] { WayIn.Gateway, WayIn.ForwardProxy })
        {
            foreach (var reason in RefusalReason.All)
                Refused(wayIn, reason, 0);
        }
    }

    /// <summary>Counts it. The label <c>face</c> is the former name of <c>way_in</c>.</summary>
    public void Refused(string wayIn, string reason) => Refused(wayIn, reason, 1);

    private void Refused(string wayIn, string reason, int connections) => _refusals.Add(
        connections,
        new KeyValuePair<string, object?>("face", wayIn),
        new KeyValuePair<string, object?>("reason", reason),
        new KeyValuePair<string, object?>("way_in", wayIn));
}
