using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Policies.Catalog;

public static class CatalogSetup
{
    public static IServiceCollection AddCatalog(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<CatalogOptions>()
            .Bind(configuration.GetSection("Catalog"))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .Validate(options => options.DataDirectory.Length > 0, "Data:Directory: name a directory")
            .ValidateOnStart();

        services.AddSingleton<CatalogMetrics>();
        services.AddSingleton<NamespaceFile>();
        services.AddSingleton(_ => new NamespaceMemory());

        // In the order in which they are asked.
        services.AddSingleton<FileCatalogSource>();
        services.AddSingleton<ICatalogSource>(provider => provider.GetRequiredService<FileCatalogSource>());
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<FileCatalogSource>());
        if (configuration.GetValue("Catalog:Hub", defaultValue: true))
            services.AddSingleton<ICatalogSource, HubCatalogSource>();

        services.AddSingleton<PublisherCatalog>();
        services.AddSingleton<CatalogUpkeep>();
        services.AddHostedService(provider => provider.GetRequiredService<CatalogUpkeep>());
        services.AddSingleton<IKept>(provider => provider.GetRequiredService<CatalogUpkeep>());
        services.AddHealthChecks().AddCheck<CatalogHealth>("catalog");
        return services;
    }
}

internal sealed class CatalogHealth(PublisherCatalog catalog, FileCatalogSource pins, NamespaceFile file) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = new[] { catalog.Trouble?.Cause, pins.Concern, file.Concern }.Where(concern => concern is not null).ToList();
        return Task.FromResult(concerns.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", concerns)));
    }
}
