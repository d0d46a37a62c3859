using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// A user name that went to another account is an audit event. It stands where <see cref="PolicyAuditing"/> does, and for the
/// same reason: it stops after the directory and before the trail.
/// </summary>
internal sealed class AccountAuditing(MembershipDirectory directory, AuditTrail trail) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var change in directory.Changes.ReadAllAsync(CancellationToken.None))
            await trail.RecordAccountChangeAsync(change.Username, change.FormerId, change.Id);
    }
}

internal static class AccountAuditingSetup
{
    /// <summary>The member lists' share in the audit, and the policy's in the member lists.</summary>
    public static IServiceCollection AddAccountAuditing(this IServiceCollection services)
    {
        services.AddSingleton<PolicyVersionInForce>(provider => () => provider.GetRequiredService<IPolicyStore>().Current.Version);
        return services.AddHostedService<AccountAuditing>();
    }
}
