using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>What of Docker Hub failed last and has not answered since.</summary>
public sealed class UpstreamHealth(TimeProvider time) : IHealthCheck
{
    private readonly ConcurrentDictionary<string, string> _troubles = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, long> _answered = new(StringComparer.Ordinal);

    /// <param name="kind"><c>registry</c> or <c>token</c>.</param>
    /// <param name="cause">The failure, in one sentence.</param>
    public void Failed(string kind, string cause) => _troubles[kind] = cause;

    public void Answered(string kind)
    {
        _answered[kind] = time.GetTimestamp();
        if (!_troubles.IsEmpty)
            _troubles.TryRemove(kind, out _);
    }

    /// <summary>Whether it has answered within a time, and has not failed since.</summary>
    public bool IsWell(string kind, TimeSpan within) =>
        !_troubles.ContainsKey(kind) && _answered.TryGetValue(kind, out var at) && time.GetElapsedTime(at) < within;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_troubles.IsEmpty ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", _troubles.Values.Order())));
}
