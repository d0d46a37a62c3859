using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Identity;

public static class IdentitySetup
{
    public static IServiceCollection AddIdentity(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<IdentityOptions>()
            .Bind(configuration.GetSection(IdentityOptions.Section))
            .Configure(o =>
            {
                if (configuration["Upstream:Auth"] is { Length: > 0 } auth)
                    o.TokenService = auth;
                o.DataDirectory = configuration["Data:Directory"] ?? "";
            })
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<IdentityOptions>, IdentityOptionsValidation>();

        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddSingleton<IdentityMetrics>();
        services.AddSingleton<OrganizationTokens>();
        services.AddSingleton<DockerHubSignIn>();
        services.AddSingleton<AnonymousToken>();
        services.AddSingleton<TokenKeys>();
        services.AddHostedService(provider => provider.GetRequiredService<TokenKeys>());
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<TokenKeys>());
        services.AddSingleton<IKept>(provider => provider.GetRequiredService<TokenKeys>());
        services.AddSingleton(provider => new CallerIdentifier(
            provider.GetRequiredService<TokenKeys>(),
            provider.GetRequiredService<IOptions<IdentityOptions>>(),
            provider.GetRequiredService<OrganizationTokens>(),
            provider.GetRequiredService<IdentityMetrics>(),
            provider.GetRequiredService<ILogger<CallerIdentifier>>(),
            provider.GetRequiredService<TimeProvider>()));
        services.AddHealthChecks().AddCheck<TokenKeysHealth>("identity");
        return services.AddMembers(configuration);
    }
}
