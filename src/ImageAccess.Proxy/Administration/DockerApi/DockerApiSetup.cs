using ImageAccess.Proxy.Administration.Api;

namespace ImageAccess.Proxy.Administration.DockerApi;

internal static class DockerApiSetup
{
    public static IServiceCollection AddDockerApi(this IServiceCollection services)
    {
        services.AddSingleton<DockerHubLogin>();
        services.AddSingleton<SettingsDesk>();
        services.AddSingleton<IOperations, LoginOperations>();
        services.AddSingleton<IOperations, SettingsOperations>();
        services.AddSingleton<IOperations, AuditLogOperations>();
        return services;
    }
}
