namespace ImageAccess.Proxy.Content.Upstream;

public static class UpstreamSetup
{
    /// <summary>Docker Hub's registry, asked for those who show a permit.</summary>
    public static IServiceCollection AddUpstream(this IServiceCollection services)
    {
        services.AddHttpForwarder();
        services.AddSingleton<AcceptForms>();
        services.AddSingleton<IdleLimits>();
        services.AddSingleton<RedirectTargets>();
        services.AddSingleton<UpstreamRegistry>();
        services.AddSingleton<UpstreamRelay>();
        services.AddSingleton<UpstreamWrites>();
        return services;
    }
}
