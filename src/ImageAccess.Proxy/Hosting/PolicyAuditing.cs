using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// A change of the policy that opens anything is an audit event. It stands between the trail and the store in the composition:
/// it stops after the store, whose changes then have an end, and before the trail.
/// </summary>
internal sealed class PolicyAuditing(IPolicyStore policies, AuditTrail trail) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var change in policies.Changes.ReadAllAsync(CancellationToken.None))
        {
            if (change.Opens.Count > 0)
                await trail.RecordPolicyChangeAsync(change.PreviousVersion, change.Version, change.Opens);
        }
    }
}
