using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Tokens;

internal static class TokensSetup
{
    public static IServiceCollection AddApiTokens(this IServiceCollection services)
    {
        services.AddSingleton<TokenUpkeep>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<TokenUpkeep>());
        services.AddHostedService(provider => provider.GetRequiredService<TokenUpkeep>());
        services.AddSingleton<SessionTokens>();
        services.AddSingleton<TokenSignIn>();
        return services;
    }
}
