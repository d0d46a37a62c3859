using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>What of Docker Hub failed last and has not answered since.</summary>
public sealed class UpstreamHealth : IHealthCheck
{
    private readonly ConcurrentDictionary<string, string> _troubles = new(StringComparer.Ordinal);

    /// <param name="kind"><c>registry</c> or <c>token</c>.</param>
    /// <param name="cause">The failure, in one sentence.</param>
    public void Failed(string kind, string cause) => _troubles[kind] = cause;

    public void Answered(string kind)
    {
        if (!_troubles.IsEmpty)
            _troubles.TryRemove(kind, out _);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_troubles.IsEmpty ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", _troubles.Values.Order())));
}
