using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Cache;

public static class CacheSetup
{
    public static IServiceCollection AddCache(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddMetrics();
        services.AddSingleton<CacheMetrics>();
        if (!configuration.GetValue("Cache:Enabled", defaultValue: true))
        {
            services.AddSingleton<NoStore>();
            services.AddSingleton<IContentStore>(provider => provider.GetRequiredService<NoStore>());
            return services.AddSingleton<ILinkStore>(provider => provider.GetRequiredService<NoStore>());
        }

        services.AddOptions<CacheOptions>()
            .Configure(options => options.Read(configuration))
            .Validate(options => options.DataDirectory.Length > 0, "Data:Directory: name a directory")
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<CacheOptions>, CacheDirectoryValidation>();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<DirectoryStore>();
        services.AddSingleton<IContentStore>(provider => provider.GetRequiredService<DirectoryStore>());
        services.AddSingleton<ILinkStore>(provider => provider.GetRequiredService<DirectoryStore>().Links);
        services.AddHostedService<CacheUpkeep>();
        services.AddHealthChecks().AddCheck<CacheHealth>("cache");
        return services;
    }
}

internal sealed class CacheDirectoryValidation : IValidateOptions<CacheOptions>
{
    public ValidateOptionsResult Validate(string? name, CacheOptions options) =>
        options.FaultOfDirectory() is { } fault ? ValidateOptionsResult.Fail(fault) : ValidateOptionsResult.Success;
}

/// <summary>A cache that cannot be used degrades the proxy: it works without it, but slower.</summary>
internal sealed class CacheHealth(DirectoryStore store) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(store.Concern is { } concern ? HealthCheckResult.Degraded(concern) : HealthCheckResult.Healthy());
}
