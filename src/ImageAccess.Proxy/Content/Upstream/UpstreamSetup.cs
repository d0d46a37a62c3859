using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Upstream;

public static class UpstreamSetup
{
    /// <summary>Docker Hub's registry and token service, and how every client of this program connects.</summary>
    public static IServiceCollection AddUpstream(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<UpstreamOptions>().Bind(configuration.GetSection("Upstream")).ValidateOnStart();
        services.AddSingleton<IValidateOptions<UpstreamOptions>, UpstreamOptionsValidator>();
        services.AddHttpForwarder();
        services.AddSingleton<IHostResolver>(HostResolver.Read(configuration.GetSection("Upstream:Addresses"), []));
        services.AddSingleton<ViaStamp>();
        services.AddSingleton<UpstreamConnections>();
        services.AddSingleton<UpstreamMetrics>();
        services.AddSingleton<UpstreamHealth>();
        services.AddSingleton<UpstreamRegistry>();
        services.AddSingleton<UpstreamRelay>();
        services.AddSingleton<UpstreamWrites>();
        services.AddSingleton<UpstreamTokens>();
        services.AddSingleton<UpstreamSearch>();
        services.ConfigureHttpClientDefaults(client =>
            client.ConfigurePrimaryHttpMessageHandler(provider => provider.GetRequiredService<UpstreamConnections>().ToDockerHub()));
        services.AddHealthChecks().AddCheck<UpstreamHealth>("upstream");
        return services;
    }
}
