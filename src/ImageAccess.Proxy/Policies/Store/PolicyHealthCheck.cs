using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>Which policy is in force, and whether it is the one that the administrator wrote last.</summary>
public sealed class PolicyHealthCheck(IPolicyStore store, TimeProvider time) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (store.State is not { } state)
            return Task.FromResult(HealthCheckResult.Unhealthy("no policy is in force"));

        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var facts = new Dictionary<string, object>
        {
            ["version"] = state.Policy.Version,
            ["since"] = state.Since,
            ["imageAccess"] = state.Policy.IsEnabled ? "on" : "off",
            ["organizations"] = state.Policy.Organizations.ToDictionary(o => o.Name, o => o.Mode(today)),
        };
        return Task.FromResult(state.Concern is { } concern
            ? HealthCheckResult.Degraded(concern, data: facts)
            : HealthCheckResult.Healthy(state.Policy.IsEnabled ? null : "image access is off", facts));
    }
}
