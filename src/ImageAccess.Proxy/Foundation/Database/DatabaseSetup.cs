using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Database;

internal static class DatabaseSetup
{
    public static IServiceCollection AddDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<DatabaseOptions>()
            .Bind(configuration.GetSection(DatabaseOptions.Section))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, DatabaseOptionsValidation>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => SqlDatabase.Of(provider.GetRequiredService<IOptions<DatabaseOptions>>().Value));
        services.AddSingleton<DatabaseState>();
        services.AddHostedService<DatabaseUpkeep>();
        services.AddHealthChecks().AddCheck<DatabaseHealth>("database");
        services.AddKeys(configuration);
        return services;
    }
}
