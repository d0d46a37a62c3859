using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Denials;

internal static class DenialsSetup
{
    public static IServiceCollection AddDenials(this IServiceCollection services)
    {
        services.AddMetrics();
        services.AddSingleton<DenialMetrics>();
        services.AddSingleton<DenialQueue>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<DenialQueue>());
        return services;
    }
}
