using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Usage;

internal static class UsageSetup
{
    public static IServiceCollection AddUsage(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<UsageOptions>().Bind(configuration.GetSection(UsageOptions.Section)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<UsageOptions>, UsageOptionsValidation>();
        services.AddMetrics();
        services.AddSingleton<UsageMetrics>();
        services.AddSingleton(provider => UsageStore.Of(provider.GetRequiredService<SqlDatabase>(), provider.GetRequiredService<KeyFile>()));
        services.AddSingleton<UsageFollower>();
        services.AddHostedService(provider => provider.GetRequiredService<UsageFollower>());
        services.AddSingleton<UsagePulls>();
        services.AddHealthChecks().AddCheck<UsageHealth>("usage");
        return services;
    }
}
