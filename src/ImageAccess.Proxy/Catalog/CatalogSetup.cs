using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Catalog;

/// <summary>Where namespaces are looked up.</summary>
public sealed class CatalogOptions
{
    /// <summary>The Hub API's address: <c>Upstream:Hub</c>.</summary>
    public Uri Hub { get; set; } = new("https://hub.docker.com");
}

public static class CatalogSetup
{
    public static IServiceCollection AddCatalog(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<CatalogOptions>().Bind(configuration.GetSection("Upstream"));
        services.AddHttpClient(HubCatalogSource.ClientName);
        services.AddSingleton<ICatalogSource, HubCatalogSource>();
        services.AddSingleton<PublisherCatalog>();
        services.AddHealthChecks().AddCheck<CatalogHealth>("catalog");
        return services;
    }
}

internal sealed class CatalogHealth(PublisherCatalog catalog) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(catalog.Trouble is { } trouble ? HealthCheckResult.Degraded(trouble) : HealthCheckResult.Healthy());
}

internal static partial class CatalogLog
{
    [LoggerMessage(1, LogLevel.Warning, "A publisher could not be verified: {Cause}")]
    public static partial void PublisherUnavailable(this ILogger logger, string cause);
}
