using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace ImageAccess.Proxy.Policies.Exceptions;

public static class ExceptionsSetup
{
    public static IServiceCollection AddExceptions(this IServiceCollection services, IConfiguration configuration)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new ExceptionStore(
            new ExceptionsOptions { DataDirectory = configuration["Data:Directory"] ?? "" },
            provider.GetRequiredService<AuditTrail>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ExceptionStore>>()));
        services.AddSingleton<ExceptionUses>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<ExceptionUses>());
        services.AddHostedService<ExceptionsReader>();
        services.AddHealthChecks().AddCheck<ExceptionsHealth>("exceptions");
        return services;
    }
}
