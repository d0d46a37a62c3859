using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>Whether the trail can be written, and reaches back as far as it should. Requests go on if not.</summary>
public sealed class AuditHealthCheck(AuditWriter writer, PendingEvents pending, IAuditSink sink) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = new List<string>();
        if (writer.Failure is { } failure)
            concerns.Add($"the audit trail cannot be written: {failure}");
        if (pending.IsOverflowing)
            concerns.Add("the queue is full: allowed events are dropped, others wait in memory");
        if (pending.IsLosing)
            concerns.Add("the memory for them is full: denials are lost");
        if (pending.Names.Concern is { } unnamed)
            concerns.Add(unnamed);
        if (sink.Concern is { } concern)
            concerns.Add(concern);
        return Task.FromResult(concerns.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", concerns)));
    }
}
