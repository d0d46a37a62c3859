using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>Whether the trail can be written. Requests go on if it cannot.</summary>
public sealed class AuditHealthCheck(AuditWriter writer, PendingEvents pending) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var overflow = pending.IsOverflowing ? "the queue is full: allowed events are dropped and denials wait" : null;
        return Task.FromResult((writer.Failure, overflow) switch
        {
            (null, null) => HealthCheckResult.Healthy(),
            (null, _) => HealthCheckResult.Degraded(overflow),
            ({ } failure, null) => HealthCheckResult.Degraded($"the audit trail cannot be written: {failure}"),
            ({ } failure, _) => HealthCheckResult.Degraded($"the audit trail cannot be written: {failure}; {overflow}"),
        });
    }
}
