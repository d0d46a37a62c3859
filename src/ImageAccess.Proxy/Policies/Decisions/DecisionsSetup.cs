namespace ImageAccess.Proxy.Policies.Decisions;

public static class DecisionsSetup
{
    /// <summary>Who judges, what is counted of it, and what is found later.</summary>
    public static IServiceCollection AddDecisions(this IServiceCollection services)
    {
        services.AddSingleton<Judges>();
        services.AddSingleton<DecisionMetrics>();
        services.AddSingleton<LateDecisions>();
        services.AddHostedService(provider => provider.GetRequiredService<LateDecisions>());
        return services;
    }
}
