using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using OpenTelemetry;
using OpenTelemetry.Context.Propagation;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// Metrics and traces: our own, and what ASP.NET Core, Kestrel, HttpClient and the runtime measure. OTLP sends them when the standard
/// <c>OTEL_EXPORTER_OTLP_*</c> variables name a receiver; the metrics are always readable at <c>/metrics</c>.
/// </summary>
internal static class Telemetry
{
    /// <summary>The meter of this program.</summary>
    private const string MeterName = "ImageAccess";

    /// <remarks>Without a receiver nothing listens to activities: none is made for a request.</remarks>
    public static IServiceCollection AddTelemetry(this IServiceCollection services, IConfiguration configuration)
    {
        var sends = configuration.GetChildren().Any(variable =>
            variable.Key.StartsWith("OTEL_EXPORTER_OTLP_", StringComparison.Ordinal) && variable.Key.EndsWith("ENDPOINT", StringComparison.Ordinal));

        Sdk.SetDefaultTextMapPropagator(new TraceContextPropagator()); // else the instrumentation itself would write headers into what is asked of Docker Hub
        services.AddSingleton<PrometheusExporter>();
        services.ConfigureOpenTelemetryMeterProvider((provider, meters) => meters
            .AddView(OfThisHost(provider.GetRequiredService<IMeterFactory>()))
            .AddReader(new BaseExportingMetricReader(provider.GetRequiredService<PrometheusExporter>())));
        var telemetry = services.AddOpenTelemetry().WithMetrics(meters =>
        {
            meters.AddMeter(MeterName).AddAspNetCoreInstrumentation().AddHttpClientInstrumentation().AddRuntimeInstrumentation();
            if (sends)
                meters.SetExemplarFilter(ExemplarFilterType.TraceBased).AddOtlpExporter();
        });
        if (sends)
        {
            services.AddSingleton<IHealthCheckPublisher>(provider => provider.GetRequiredService<HealthMetrics>()); // where nobody asks for /metrics
            telemetry.WithTracing(traces => traces.AddAspNetCoreInstrumentation().AddHttpClientInstrumentation().AddOtlpExporter());
        }

        services.AddHostedService<FirstCounts>(); // behind the SDK's own, which begins to listen
        return services;
    }

    /// <summary>Another host of the same process has meters of its own, which are not this one's.</summary>
    private static Func<Instrument, MetricStreamConfiguration?> OfThisHost(IMeterFactory factory) =>
        instrument => instrument.Meter.Scope is null || instrument.Meter.Scope == factory ? null : MetricStreamConfiguration.Drop;
}
