using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

public static class PolicyStoreSetup
{
    public static IServiceCollection AddPolicyStore(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<PolicyStoreOptions>()
            .Bind(configuration.GetSection("Policy"))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .Validate(options => options.DataDirectory.Length > 0, "Data:Directory: name a directory")
            .Validate(
                options => FileRights.Of(options.DataDirectory) is not { IsWritableByOthers: true },
                "Data:Directory: others than its owner can write into it, and so decide whom this program believes: take the right from them with chmod go-w")
            .Validate(options => options.Source is null or "file" or "database", "Policy:Source: choose file or database")
            .Validate(options => options.File != "", "Policy:File: name a file, or leave the key out")
            .ValidateOnStart();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new DatabaseDocument(provider.GetRequiredService<SqlDatabase>().Name));
        services.AddSingleton(provider => new PolicyStore(
            provider.GetRequiredService<IOptions<PolicyStoreOptions>>().Value,
            provider.GetRequiredService<DatabaseDocument>(),
            provider.GetRequiredService<ExceptionStore>(),
            provider.GetRequiredService<FollowedStore>(),
            provider.GetRequiredService<AuditTrail>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<PolicyStore>>()));
        services.AddSingleton<IPolicyStore>(provider => provider.GetRequiredService<PolicyStore>());
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<PolicyStore>());
        services.AddMetrics();
        services.AddSingleton<PolicyMetrics>();
        services.AddSingleton<PolicyHistory>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<PolicyHistory>());
        services.AddSingleton(provider => new PolicyEdits(
            provider.GetRequiredService<SqlDatabase>(),
            provider.GetRequiredService<IOptions<PolicyStoreOptions>>().Value,
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<BlockExchange>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<BlockExchange>());
        services.AddSingleton<ExpiryWarnings>();
        services.AddSingleton<PolicyReader>();
        services.AddHostedService<PolicyWatcher>();
        services.AddHostedService(provider => provider.GetRequiredService<PolicyReader>());
        services.AddHostedService(provider => provider.GetRequiredService<BlockExchange>());
        services.AddHealthChecks().AddCheck<PolicyHealthCheck>("policy").AddCheck<BlockExchange>("blocks");
        return services;
    }
}
