namespace ImageAccess.Proxy.Policies.Decisions;

public static class DecisionsSetup
{
    /// <summary>The judges of requests, of checks and of drafts, the count of decisions, and the decisions that are found after the answer.</summary>
    public static IServiceCollection AddDecisions(this IServiceCollection services)
    {
        services.AddSingleton<Judges>();
        services.AddSingleton<Checks>();
        services.AddSingleton<DraftTrials>();
        services.AddSingleton<DecisionMetrics>();
        services.AddSingleton<LateDecisions>();
        services.AddHostedService(provider => provider.GetRequiredService<LateDecisions>());
        return services;
    }
}
