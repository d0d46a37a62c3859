using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What was last found of each part that <c>/readyz</c> looks at.</summary>
internal sealed class HealthMetrics(IMeterFactory meters) : IHealthCheckPublisher
{
    private volatile HealthReport? _report;

    public void Watch()
    {
        var meter = meters.Create("ImageAccess");
        meter.CreateObservableGauge("imageaccess.ready", Ready, null, "Whether a policy is in force: 1, else 0.");
        meter.CreateObservableGauge("imageaccess.degraded", Degraded, null, "1 for each part that does not work as it should, 0 for the others.");
    }

    public void Found(HealthReport report) => _report = report;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        Found(report);
        return Task.CompletedTask;
    }

    private IEnumerable<Measurement<int>> Ready() => _report is { } report ? [new(report.Status == HealthStatus.Unhealthy ? 0 : 1)] : [];

    private IEnumerable<Measurement<int>> Degraded() => _report is { } report
        ? report.Entries.Select(part => new Measurement<int>(part.Value.Status == HealthStatus.Healthy ? 0 : 1, new KeyValuePair<string, object?>("part", part.Key)))
        : [];
}
