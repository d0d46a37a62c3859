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
            .Validate(options => options.File != "", "Policy:File: name a file, or leave the key out")
            .ValidateOnStart();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<FilePolicyStore>();
        services.AddSingleton<IPolicyStore>(provider => provider.GetRequiredService<FilePolicyStore>());
        services.AddSingleton<ExpiryWarnings>();
        services.AddHostedService<PolicyWatcher>();
        services.AddHealthChecks().AddCheck<PolicyHealthCheck>("policy");
        return services;
    }
}
