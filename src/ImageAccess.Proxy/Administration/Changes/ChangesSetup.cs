using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Changes;

internal static class ChangesSetup
{
    public static IServiceCollection AddChanges(this IServiceCollection services)
    {
        services.AddSingleton(provider => new ChangeDesk(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<IOptions<PolicyStoreOptions>>().Value,
            () => provider.GetRequiredService<IPolicyStore>().Current,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<RoleBook>(),
            provider.GetRequiredService<AuditTrail>(),
            [.. provider.GetServices<IChangeFollower>()]));
        services.AddHostedService(provider => new ChangeRecorder(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<DatabaseState>(),
            provider.GetRequiredService<IOptions<DatabaseOptions>>().Value,
            provider.GetRequiredService<AuditTrail>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ChangeRecorder>>()));
        services.AddHostedService<ConfirmedAccountsReader>();
        return services;
    }
}
