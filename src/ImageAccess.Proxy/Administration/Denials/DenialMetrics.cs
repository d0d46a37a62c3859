using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Administration.Denials;

/// <summary>How many denials never came into the database.</summary>
public sealed class DenialMetrics
{
    private readonly Counter<long> _dropped;

    public DenialMetrics(IMeterFactory meters) => _dropped = meters.Create("ImageAccess").CreateCounter<long>(
        "imageaccess.denials.dropped", "{denial}", "Denials that waited for the database and made room for later ones; the audit trail has them.");

    public void StartAtZero() => _dropped.Add(0);

    public void Dropped() => _dropped.Add(1);
}
