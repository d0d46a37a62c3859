using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>Sends the trail to each receiver; one that hangs holds up no other, and no request knows of any.</summary>
internal sealed class TrailExport(
    TrailReceivers receivers, IOptions<AuditOptions> audit, IOptions<ExportOptions> options, ExportMetrics metrics, TimeProvider time, ILogger<TrailExport> logger)
    : BackgroundService, IHealthCheck
{
    public IReadOnlyList<TrailExporter> Exporters { get; } =
    [
        .. receivers.All.Select(receiver => new TrailExporter(
            receiver, audit.Value.FilePath, Path.Combine(options.Value.DataDirectory, $"export.{receiver.Name}.json"), metrics, time, logger)),
    ];

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = Exporters.Select(exporter => exporter.Concern).OfType<string>().ToList();
        return Task.FromResult(concerns.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", concerns)));
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(Exporters.Select(exporter => RunAsync(exporter, stoppingToken)));

    private async Task RunAsync(TrailExporter exporter, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await exporter.LookAsync(cancellationToken);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return; // whatever the stop broke off is no failure
            }

            await Task.Delay(exporter.Wait, time, cancellationToken);
        }
    }
}
