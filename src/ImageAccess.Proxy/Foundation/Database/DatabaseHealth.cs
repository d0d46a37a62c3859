using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>Whether what people decide can be kept. It asks nobody: requests go on either way.</summary>
internal sealed class DatabaseHealth(DatabaseState state) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(state.Concern is { } concern
            ? HealthCheckResult.Degraded($"{concern}. The policy in force stays, and what has to be written waits")
            : HealthCheckResult.Healthy());
}
