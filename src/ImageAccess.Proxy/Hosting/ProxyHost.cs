using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Administration.DockerApi;
using ImageAccess.Proxy.Administration.Export;
using ImageAccess.Proxy.Administration.Incidents;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Administration.Reports;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Portal.Pages;
using ImageAccess.Proxy.Portal.SignIn;
using ImageAccess.Proxy.Registry;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The program's composition: a list of rooms, in the order of the walk.</summary>
public static class ProxyHost
{
    /// <param name="configuration">The whole configuration, its values normalized; nothing else is read.</param>
    /// <param name="adjust">What a test changes, after everything else.</param>
    public static WebApplication Build(IConfiguration configuration, Action<WebApplicationBuilder>? adjust = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { WebRootPath = Path.Combine(AppContext.BaseDirectory, "wwwroot") });
        builder.Configuration.AddConfiguration(configuration);
        builder.Configuration["ReloadStaticAssetsAtRuntime"] = "false"; // else whatever is asked for is looked for among the files too
        var hasStarted = false;
        AddLogging(builder.Logging, builder.Configuration, () => hasStarted);
        builder.Services.AddSingleton(TimeProvider.System);
        GracefulStop.Add(builder.Services, builder.Configuration);
        builder.AddListeners();

        builder.Services
            .AddTelemetry(builder.Configuration)
            .AddLimits(builder.Configuration)
            .AddAdminListener(builder.Configuration)
            .AddDatabase(builder.Configuration)
            .AddAudit(builder.Configuration) // before every room that records: it stops after them
            .AddDockerHub(builder.Configuration)
            .AddCertificates(builder.Configuration)
            .AddIngress(builder.Configuration)
            .AddIdentity(builder.Configuration)
            .AddCatalog(builder.Configuration)
            .AddExceptions(builder.Configuration)
            .AddPolicyStore(builder.Configuration)
            .AddFollowing(builder.Configuration) // reads once the policy is open
            .AddUpstream()
            .AddCache(builder.Configuration)
            .AddContent(builder.Configuration)
            .AddDecisions()
            .AddRegistry(builder.Configuration)
            .AddDenials()
            .AddNotifications(builder.Configuration)
            .AddRoles()
            .AddApiTokens()
            .AddChanges()
            .AddRequests()
            .AddUsage(builder.Configuration)
            .AddExport(builder.Configuration)
            .AddActivity()
            .AddIncidents()
            .AddReports()
            .AddApi()
            .AddDockerApi()
            .AddSignIn()
            .AddPages();
        adjust?.Invoke(builder);

        DataDirectory.Prepare(configuration);
        var app = builder.Build();
        app.Lifetime.ApplicationStarted.Register(() => hasStarted = true);
        app.MapWhen(http => http.CameInBy(Listener.Admin), admin => admin.MapAdminListener());
        app.MapWhen(http => http.Features.Get<InterceptedName>() is not null, hub => hub.MapDockerHub());
        app.UseTrustedProxies();
        app.MapWhen(http => http.CameInBy(Listener.Console), console => console.Run(app.Services.GetRequiredService<ConsoleListener>().HandleAsync));
        app.MapWhen(AuthorityEndpoint.IsAskedOfMirror, mirror => mirror.Run(AuthorityEndpoint.HandleAsync));
        app.MapRegistry();
        return app;
    }

    /// <summary>Why a part that works in the background has failed, which stops the program; null where none has.</summary>
    public static Exception? Failure(this WebApplication app) =>
        app.Services.GetServices<IHostedService>().OfType<BackgroundService>().Select(part => part.ExecuteTask?.Exception).FirstOrDefault(failure => failure is not null);

    /// <summary>Whether the log is JSON.</summary>
    public static bool IsJson(IConfiguration configuration) => configuration.GetSection(LogOptions.Section)[nameof(LogOptions.Format)] == LogOptions.Json;

    /// <remarks>Why a start failed is told in a line for each fault; the framework would tell it first, with its own stack.</remarks>
    private static void AddLogging(ILoggingBuilder logging, ConfigurationManager configuration, Func<bool> hasStarted)
    {
        logging.Services.AddOptions<LogOptions>().Bind(configuration.GetSection(LogOptions.Section)).ValidateOnStart();
        logging.Services.AddSingleton<IValidateOptions<LogOptions>, LogOptionsValidator>();
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        logging.AddConsoleFormatter<JsonLines, ConsoleFormatterOptions>();
        if (IsJson(configuration))
            logging.AddConsole(console => console.FormatterName = JsonLines.FormatterName);
        logging.ClearProviders(); // the console writes what is left of a kind of line
        logging.Services.AddSingleton<ConsoleLoggerProvider>();
        logging.Services.AddSingleton<ILoggerProvider, RepeatedLines>();
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        foreach (var teller in new[] { "Microsoft.Extensions.Hosting.Internal.Host", "Microsoft.AspNetCore.Server.Kestrel" })
            logging.AddFilter(teller, level => level >= LogLevel.Warning && hasStarted());
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None); // it says nothing that we do not, and makes an activity and a scope for each request
        logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None); // at every poll; Readiness tells each change once
        logging.AddFilter("System.Net.Http", LogLevel.Warning);
        logging.AddFilter("Yarp", LogLevel.Critical); // we log upstream's failures ourselves
    }
}
