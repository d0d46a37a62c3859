using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// Metrics and traces: our own, and what ASP.NET Core, Kestrel, HttpClient and the runtime have built in. Sent by OTLP
/// when the standard <c>OTEL_EXPORTER_OTLP_*</c> variables name a receiver; always readable at <c>/metrics</c>.
/// </summary>
internal sealed class Telemetry : IHostedService, IDisposable
{
    /// <summary>The meters of this program.</summary>
    public const string MeterName = "ImageAccess";

    /// <summary>Milliseconds that a collection, or the last sending, may take.</summary>
    private const int CollectTimeout = 5000;

    private readonly PrometheusExporter _exporter = new();
    private readonly MeterProvider _meters;
    private readonly TracerProvider? _tracers;
    private readonly Lock _collecting = new();

    /// <param name="factory">The host's own: what another host of this process measures is not this one's.</param>
    public Telemetry(IMeterFactory factory)
    {
        var sends = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Any(name => name.StartsWith("OTEL_EXPORTER_OTLP_", StringComparison.Ordinal) && name.EndsWith("ENDPOINT", StringComparison.Ordinal));

        var meters = Sdk.CreateMeterProviderBuilder()
            .AddMeter(MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime")
            .AddView(instrument => instrument.Meter.Scope is null || instrument.Meter.Scope == factory ? null : MetricStreamConfiguration.Drop)
            .AddReader(new BaseExportingMetricReader(_exporter));
        _meters = (sends ? meters.AddOtlpExporter() : meters).Build();
        if (sends)
            _tracers = Sdk.CreateTracerProviderBuilder().AddSource("Microsoft.AspNetCore", "System.Net.Http").AddOtlpExporter().Build();
    }

    /// <summary>Everything measured, in the Prometheus text format.</summary>
    public string Collect()
    {
        lock (_collecting)
        {
            return _exporter.Collect?.Invoke(CollectTimeout) == true ? _exporter.Text : "";
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _tracers?.Shutdown(CollectTimeout);
        _meters.Shutdown(CollectTimeout);
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        _tracers?.Dispose();
        _meters.Dispose();
        _exporter.Dispose();
    }
}

internal static class TelemetrySetup
{
    public static IServiceCollection AddTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.AddSingleton<Telemetry>();
        services.AddHostedService(provider => provider.GetRequiredService<Telemetry>());
        return services;
    }
}
