using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The admin listener: <c>/livez</c>, <c>/readyz</c>, <c>/metrics</c>, <c>/ca.crt</c>, <c>/check</c> and <c>/api/v1/cache</c>.</summary>
internal static class AdminListener
{
    public static IServiceCollection AddAdminListener(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddHealthChecks().AddCheck("disk", new DiskHealth(configuration["Data:Directory"]!)).AddCheck<TrustReport>("trust");
        services.AddHostedService<UpstreamProbe>();
        services.AddSingleton<Readiness>();
        services.AddSingleton<HealthMetrics>();
        services.AddSingleton<CheckEndpoint>();
        services.AddSingleton<CacheEndpoint>();
        services.AddSingleton<EgressReport>();
        services.AddSingleton<TrustReport>();
        return services;
    }

    public static void MapAdminListener(this IApplicationBuilder admin) => admin.Run(http => (http.Request.Method, http.Request.Path.Value) switch
    {
        ("GET" or "HEAD", "/livez") => http.Response.WriteAsync("alive\n"),
        ("GET" or "HEAD", "/readyz") => http.RequestServices.GetRequiredService<Readiness>().WriteAsync(http),
        ("GET" or "HEAD", "/metrics") => WriteMetricsAsync(http),
        ("GET" or "HEAD", AuthorityEndpoint.Path) => AuthorityEndpoint.HandleAsync(http),
        ("GET", CheckAnswer.Path) => http.RequestServices.GetRequiredService<CheckEndpoint>().HandleAsync(http),
        ("DELETE", ForgottenImage.Path) => http.RequestServices.GetRequiredService<CacheEndpoint>().HandleAsync(http),
        _ => WriteNotFoundAsync(http),
    });

    private static async Task WriteMetricsAsync(HttpContext http)
    {
        var health = await http.RequestServices.GetRequiredService<HealthCheckService>().CheckHealthAsync(http.RequestAborted);
        http.RequestServices.GetRequiredService<HealthMetrics>().Found(health);
        var isOpenMetrics = PrefersOpenMetrics(http.Request);
        http.Response.ContentType = isOpenMetrics ? $"{PrometheusExporter.OpenMetrics}; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
        await http.Response.WriteAsync(http.RequestServices.GetRequiredService<PrometheusExporter>().Read(isOpenMetrics));
    }

    /// <summary>Whoever does not ask for it gets Prometheus' own format.</summary>
    private static bool PrefersOpenMetrics(HttpRequest request)
    {
        var accepted = request.GetTypedHeaders().Accept;
        var wanted = QualityOf(PrometheusExporter.OpenMetrics);
        return wanted > 0 && wanted >= QualityOf("text/plain");

        double QualityOf(string mediaType) => accepted.Where(one => one.MediaType.Equals(mediaType, StringComparison.OrdinalIgnoreCase)).Select(one => one.Quality ?? 1).DefaultIfEmpty().Max();
    }

    private static Task WriteNotFoundAsync(HttpContext http)
    {
        http.Response.StatusCode = 404;
        return http.Response.WriteAsync("here are /livez, /readyz, /metrics, /ca.crt, /check?image=IMAGE and, for DELETE, /api/v1/cache?image=IMAGE\n");
    }

    private sealed class DiskHealth(string directory) : IHealthCheck
    {
        /// <summary>Bytes below which the audit and the kept policy are in danger.</summary>
        private const long Enough = 100 * 1024 * 1024;

        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            var free = new DriveInfo(directory).AvailableFreeSpace;
            return Task.FromResult(free >= Enough
                ? HealthCheckResult.Healthy()
                : HealthCheckResult.Degraded($"the data directory's disk has {free / 1024 / 1024} MiB left"));
        }
    }
}
