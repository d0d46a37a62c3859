using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress;

public static class IngressSetup
{
    /// <summary>The gateway, the forward proxy, and what tunnels may lead to.</summary>
    public static IServiceCollection AddIngress(this IServiceCollection services, IConfiguration configuration)
    {
        var isLedOn = (configuration["Listen:Gateway"] ?? configuration["Listen:ForwardProxy"]) is not null;
        services.AddOptions<EgressOptions>()
            .Bind(configuration.GetSection("Egress"))
            .Configure(options => options.Parent = isLedOn ? configuration.GetValue<Uri?>("Upstream:Proxy") : null)
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<EgressOptions>, EgressOptionsValidator>();
        services.AddOptions<ForwardProxyOptions>().Bind(configuration.GetSection("ForwardProxy")).ValidateOnStart();
        services.AddSingleton<IValidateOptions<ForwardProxyOptions>, ForwardProxyOptionsValidator>();
        services.AddSingleton<IngressMetrics>();
        services.AddSingleton<Refusals>();
        services.AddSingleton<EgressPolicy>();
        services.AddSingleton<DockerHubAddresses>();
        services.AddSingleton<TunnelDialer>();
        services.AddSingleton<Tunnels>();
        services.AddHostedService(provider => provider.GetRequiredService<Tunnels>());
        services.AddSingleton<ProxyUsers>();
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<ProxyUsers>());
        services.AddSingleton<ProxySignIn>();
        services.AddSingleton<ForwardProxy>();
        services.AddSingleton<Gateway>();
        return services;
    }

    /// <summary>What a listener does with a connection before TLS.</summary>
    public static IConnectionBuilder UseGateway(this IConnectionBuilder listener, IServiceProvider services)
    {
        var gateway = services.GetRequiredService<Gateway>();
        return listener.Use(next => connection => gateway.HandleAsync(connection, next));
    }

    /// <inheritdoc cref="UseGateway"/>
    public static IConnectionBuilder UseForwardProxy(this IConnectionBuilder listener, IServiceProvider services)
    {
        var proxy = services.GetRequiredService<ForwardProxy>();
        return listener.Use(next => connection => proxy.HandleAsync(connection, next));
    }
}
