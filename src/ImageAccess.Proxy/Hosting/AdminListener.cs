using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The admin listener: <c>/livez</c>, <c>/readyz</c>, <c>/metrics</c>, <c>/ca.crt</c> and <c>/check</c>.</summary>
internal static class AdminListener
{
    private const int MaximumExpiring = 20;

    public static IServiceCollection AddAdminListener(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddHealthChecks().AddCheck("disk", new DiskHealth(configuration["Data:Directory"]!));
        services.AddSingleton<CheckEndpoint>();
        services.AddSingleton<EgressReport>();
        return services;
    }

    public static void MapAdminListener(this IApplicationBuilder admin) => admin.Run(http => (http.Request.Method, http.Request.Path.Value) switch
    {
        ("GET" or "HEAD", "/livez") => http.Response.WriteAsync("alive\n"),
        ("GET" or "HEAD", "/readyz") => WriteReadinessAsync(http),
        ("GET" or "HEAD", "/metrics") => WriteMetricsAsync(http),
        ("GET" or "HEAD", AuthorityEndpoint.Path) => AuthorityEndpoint.HandleAsync(http),
        ("GET", CheckAnswer.Path) => http.RequestServices.GetRequiredService<CheckEndpoint>().HandleAsync(http),
        _ => WriteNotFoundAsync(http),
    });

    /// <summary>
    /// 503 only when the policy is not in force. What is degraded is told and does not change the status:
    /// a proxy must not drop out of service because Docker Hub is down.
    /// </summary>
    private static async Task WriteReadinessAsync(HttpContext http)
    {
        var services = http.RequestServices;
        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(http.RequestAborted);
        var policy = services.GetRequiredService<IPolicyStore>().State?.Policy ?? Policy.Off;
        var today = DateOnly.FromDateTime(services.GetRequiredService<TimeProvider>().GetUtcNow().UtcDateTime);

        http.Response.StatusCode = report.Status == HealthStatus.Unhealthy ? 503 : 200;
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("status", report.Status switch { HealthStatus.Healthy => "ready", HealthStatus.Degraded => "degraded", _ => "not ready" });
        json.WriteString("imageAccess", policy.IsEnabled ? "on" : "off");
        json.WriteString("policyVersion", policy.Version);
        json.WriteStartObject("organizations");
        foreach (var organization in policy.Organizations)
            json.WriteString(organization.Name, organization.Mode(today));
        json.WriteEndObject();
        if (services.GetRequiredService<EgressReport>().Concern is { } egress)
            json.WriteString("egress", egress);
        WriteExpiring(json, ExpiringEntries.Find(policy, today));
        json.WriteStartObject("degraded");
        foreach (var (name, entry) in report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy))
            json.WriteString(name, entry.Description ?? entry.Exception?.GetType().Name ?? "unknown");
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Approvals that end within two weeks: the soonest of them.</summary>
    private static void WriteExpiring(Utf8JsonWriter json, IReadOnlyList<ExpiringEntry> entries)
    {
        json.WriteStartArray("expiring");
        foreach (var entry in entries.Take(MaximumExpiring))
        {
            json.WriteStartObject();
            json.WriteString("organization", entry.Organization);
            json.WriteString("repository", entry.Repository);
            json.WriteString("expires", entry.Expires.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static Task WriteMetricsAsync(HttpContext http)
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return http.Response.WriteAsync(http.RequestServices.GetRequiredService<PrometheusExporter>().Read());
    }

    private static Task WriteNotFoundAsync(HttpContext http)
    {
        http.Response.StatusCode = 404;
        return http.Response.WriteAsync("here are /livez, /readyz, /metrics, /ca.crt and /check?image=IMAGE\n");
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
