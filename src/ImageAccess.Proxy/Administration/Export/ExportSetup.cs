using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Export;

internal static class ExportSetup
{
    public static IServiceCollection AddExport(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ExportOptions>()
            .Bind(configuration.GetSection(ExportOptions.Section))
            .Configure(options => options.DataDirectory = configuration["Data:Directory"] ?? "")
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<ExportOptions>, ExportOptionsValidation>();
        services.AddMetrics();
        services.AddSingleton<ExportMetrics>();
        services.AddSingleton(ReceiversOf);
        services.AddSingleton<TrailExport>();
        services.AddHostedService(provider => provider.GetRequiredService<TrailExport>());
        services.AddHealthChecks().AddCheck<TrailExport>("export");
        return services;
    }

    private static TrailReceivers ReceiversOf(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<ExportOptions>>().Value;
        var (connections, time) = (provider.GetRequiredService<UpstreamConnections>(), provider.GetRequiredService<TimeProvider>());
        var all = new List<ITrailReceiver>();
        if (options.Syslog.IsWanted)
            all.Add(new SyslogReceiver(options.Syslog, connections, time));
        if (options.Otlp.IsWanted)
            all.Add(new OtlpReceiver(options.Otlp, connections, time));
        return new TrailReceivers(all);
    }
}

/// <summary>All who get the trail.</summary>
internal sealed class TrailReceivers(IReadOnlyList<ITrailReceiver> all) : IDisposable
{
    public IReadOnlyList<ITrailReceiver> All { get; } = all;

    public void Dispose()
    {
        foreach (var receiver in All.OfType<IDisposable>())
            receiver.Dispose();
    }
}
