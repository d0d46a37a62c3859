using ImageAccess.Proxy.Audit;
using ImageAccess.Proxy.Cache;
using ImageAccess.Proxy.Catalog;
using ImageAccess.Proxy.Certificates;
using ImageAccess.Proxy.Content;
using ImageAccess.Proxy.Identity;
using ImageAccess.Proxy.Ingress;
using ImageAccess.Proxy.PolicyStore;
using ImageAccess.Proxy.Registry;
using ImageAccess.Proxy.Upstream;
using Microsoft.Extensions.Logging.Console;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The program's composition: a list of rooms, in the order of the walk.</summary>
public static class ProxyHost
{
    /// <param name="configuration">The whole configuration, its values normalized; nothing else is read.</param>
    /// <param name="adjust">A test's own doing, after everything else.</param>
    public static WebApplication Build(IConfiguration configuration, Action<WebApplicationBuilder>? adjust = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddConfiguration(configuration);
        AddLogging(builder.Logging);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        builder.AddListeners();

        builder.Services
            .AddTelemetry()
            .AddReadiness(builder.Configuration)
            .AddCertificates(builder.Configuration)
            .AddIngress(builder.Configuration)
            .AddIngressAuditing()
            .AddAudit(builder.Configuration)
            .AddHostedService<PolicyAuditing>()
            .AddAccountAuditing()
            .AddIdentity(builder.Configuration)
            .AddCatalog(builder.Configuration)
            .AddPolicyStore(builder.Configuration)
            .AddUpstream(builder.Configuration)
            .AddCache(builder.Configuration)
            .AddContent(builder.Configuration)
            .AddRegistry(builder.Configuration);
        adjust?.Invoke(builder);

        var app = builder.Build();
        app.MapWhen(http => http.CameInBy(Listener.Admin), admin => admin.MapReadiness());
        app.MapWhen(http => http.Features.Get<InterceptedName>() is not null, hub => hub.MapDockerHub());
        app.UseTrustedProxies();
        app.MapWhen(AuthorityEndpoint.IsAskedOfMirror, mirror => mirror.Run(AuthorityEndpoint.HandleAsync));
        app.MapRegistry();
        return app;
    }

    private static void AddLogging(ILoggingBuilder logging)
    {
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None); // it tells nothing of its own, but makes an activity and a scope for each request
        logging.AddFilter("System.Net.Http", LogLevel.Warning);
        logging.AddFilter("Yarp", LogLevel.Critical); // upstream's failures are told in our own words
    }
}
