using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

public static class DockerHubSetup
{
    /// <summary>Docker Hub as this proxy reaches it: how connections are made, its token service, its search and its API.</summary>
    public static IServiceCollection AddDockerHub(this IServiceCollection services, IConfiguration configuration)
    {
        var addresses = configuration.GetSection("Upstream:Addresses");
        services.AddOptions<UpstreamOptions>().Bind(configuration.GetSection("Upstream")).ValidateOnStart();
        services.AddSingleton<IValidateOptions<UpstreamOptions>>(new UpstreamOptionsValidator(addresses));
        services.AddSingleton<IHostResolver>(HostResolver.Read(addresses, []));
        services.AddSingleton<ViaStamp>();
        services.AddSingleton<UpstreamClock>();
        services.AddSingleton<UpstreamConnections>();
        services.AddMetrics();
        services.AddSingleton<UpstreamMetrics>();
        services.AddSingleton<UpstreamHealth>();
        services.AddSingleton<PullBudget>();
        services.AddHealthChecks().AddCheck<UpstreamHealth>("upstream").AddCheck<UpstreamClock>("clock").AddCheck<PullBudget>("pull-budget");
        services.AddSingleton<UpstreamTokens>();
        services.AddSingleton<UpstreamSearch>();
        services.AddSingleton<HubApi>();
        return services;
    }
}
