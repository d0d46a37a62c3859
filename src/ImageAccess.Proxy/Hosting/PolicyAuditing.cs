using ImageAccess.Proxy.Audit;
using ImageAccess.Proxy.PolicyStore;

namespace ImageAccess.Proxy.Hosting;

/// <summary>A change of the policy that opens anything is an audit event.</summary>
internal sealed class PolicyAuditing(IPolicyStore policies, AuditTrail trail) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var change in policies.Changes.ReadAllAsync(stoppingToken))
        {
            if (change.Opens.Count > 0)
                await trail.RecordPolicyChangeAsync(change.PreviousVersion, change.Version, change.Opens);
        }
    }
}
