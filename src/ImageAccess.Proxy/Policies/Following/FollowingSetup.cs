using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Following;

public static class FollowingSetup
{
    /// <summary>Docker Hub's own switches, for the organizations whose policy follows them. What begins to read them comes after what opens the policy.</summary>
    public static IServiceCollection AddFollowing(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<FollowOptions>()
            .Bind(configuration.GetSection(FollowOptions.Section))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<FollowOptions>, FollowOptionsValidation>();
        services.AddSingleton<FollowedStore>();
        services.AddSingleton<HubSettingsSource>();
        services.AddSingleton<FollowRefresh>();
        services.AddHostedService(provider => provider.GetRequiredService<FollowRefresh>());
        services.AddHealthChecks().AddCheck<FollowHealth>("follow");
        return services;
    }
}
