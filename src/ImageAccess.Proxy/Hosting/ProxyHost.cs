using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Registry;
using Microsoft.Extensions.Logging.Console;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The program's composition: a list of rooms, in the order of the walk.</summary>
public static class ProxyHost
{
    /// <param name="configuration">The whole configuration, its values normalized; nothing else is read.</param>
    /// <param name="adjust">What a test changes, after everything else.</param>
    public static WebApplication Build(IConfiguration configuration, Action<WebApplicationBuilder>? adjust = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddConfiguration(configuration);
        AddLogging(builder.Logging);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        builder.AddListeners();

        builder.Services
            .AddTelemetry(builder.Configuration)
            .AddAdminListener(builder.Configuration)
            .AddAudit(builder.Configuration) // before every room that records: it stops after them
            .AddDockerHub(builder.Configuration)
            .AddCertificates(builder.Configuration)
            .AddIngress(builder.Configuration)
            .AddIdentity(builder.Configuration)
            .AddCatalog(builder.Configuration)
            .AddPolicyStore(builder.Configuration)
            .AddUpstream()
            .AddCache(builder.Configuration)
            .AddContent(builder.Configuration)
            .AddDecisions()
            .AddRegistry(builder.Configuration);
        adjust?.Invoke(builder);

        var app = builder.Build();
        app.MapWhen(http => http.CameInBy(Listener.Admin), admin => admin.MapAdminListener());
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
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None); // it says nothing that we do not, and makes an activity and a scope for each request
        logging.AddFilter("System.Net.Http", LogLevel.Warning);
        logging.AddFilter("Yarp", LogLevel.Critical); // we log upstream's failures ourselves
    }
}
