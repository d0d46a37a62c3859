using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace ImageAccess.Proxy.Foundation.Audit;

public static class AuditSetup
{
    public static IServiceCollection AddAudit(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<AuditOptions>()
            .Bind(configuration.GetSection("Audit"))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .Validate(options => options.DataDirectory.Length > 0, "Data:Directory: name a directory")
            .Validate(options => options.File != "", "Audit:File: name a file, or leave the key out")
            .Validate(options => options.File?.EndsWith(AuditHead.Extension, StringComparison.Ordinal) is not true, "Audit:File: a name that ends with .head is that of the record beside it; choose another")
            .Validate(options => options.MaximumSize >= AuditOptions.SmallestMaximumSize, "Audit:MaximumSize: choose at least 2MiB")
            .Validate(options => options.Keep >= TimeSpan.FromDays(1), "Audit:Keep: choose 1d or more, as 90d")
            .Validate(options => options.Callers is AuditOptions.Names or AuditOptions.Pseudonyms, "Audit:Callers: write names or pseudonyms")
            .ValidateOnStart();

        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        if (configuration["Audit:Callers"] == AuditOptions.Pseudonyms)
            AddPseudonyms(services);
        else
            services.AddSingleton(CallerNames.Plain);
        services.AddSingleton(provider => new PendingEvents(PendingEvents.DefaultCapacity, provider.GetRequiredService<TimeProvider>()) { Names = provider.GetRequiredService<CallerNames>() });
        services.AddSingleton<AuditMetrics>();
        services.AddSingleton<AuditTrail>();
        services.AddSingleton<IAuditSink, FileAuditSink>();
        services.AddSingleton<AuditWriter>();
        services.AddHostedService(provider => provider.GetRequiredService<AuditWriter>());
        services.AddHealthChecks().AddCheck<AuditHealthCheck>("audit");
        return services;
    }

    /// <summary>They begin before any event is written.</summary>
    private static void AddPseudonyms(IServiceCollection services)
    {
        services.AddSingleton<Pseudonyms>();
        services.AddSingleton<CallerNames>(provider => provider.GetRequiredService<Pseudonyms>());
        services.AddSingleton<PseudonymsReader>();
        services.AddSingleton<IDatabaseWriter>(provider => provider.GetRequiredService<PseudonymsReader>());
        services.AddHostedService(provider => provider.GetRequiredService<PseudonymsReader>());
    }
}
