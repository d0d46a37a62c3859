using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.DependencyInjection.Extensions;

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
            .Validate(options => options.File != "", "Policy:File: name a file, or leave the key out")
            .ValidateOnStart();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<FilePolicyStore>();
        services.AddSingleton<IPolicyStore>(provider => provider.GetRequiredService<FilePolicyStore>());
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<FilePolicyStore>());
        services.AddSingleton<PolicyHistory>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<PolicyHistory>());
        services.AddSingleton<ExpiryWarnings>();
        services.AddHostedService<PolicyWatcher>();
        services.AddHealthChecks().AddCheck<PolicyHealthCheck>("policy");
        return services;
    }
}
