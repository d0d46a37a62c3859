using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>Whether decisions come into the database. Requests go on either way.</summary>
internal sealed class UsageHealth(UsageFollower follower) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(follower.Concern is { } concern ? HealthCheckResult.Degraded(concern) : HealthCheckResult.Healthy());
}
