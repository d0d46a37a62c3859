using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>Degraded while a key was needed and could not be learnt.</summary>
internal sealed class TokenKeysHealth(TokenKeys keys) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(keys.Trouble is { } cause
            ? HealthCheckResult.Degraded($"no token can be verified: {cause}")
            : HealthCheckResult.Healthy());
}
