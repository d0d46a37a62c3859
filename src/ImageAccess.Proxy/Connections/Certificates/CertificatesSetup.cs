using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Certificates;

public static class CertificatesSetup
{
    public static IServiceCollection AddCertificates(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<CertificatesOptions>()
            .Configure(options => CertificatesOptions.Fill(options, configuration))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<CertificatesOptions>, CertificatesOptionsValidation>();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ServerCertificates>();
        services.AddSingleton<IReloadable>(provider => provider.GetRequiredService<ServerCertificates>());
        services.AddMetrics();
        services.AddSingleton<CertificateMetrics>();
        services.AddHostedService<CertificateUpkeep>();
        services.AddHealthChecks().AddCheck<CertificatesHealth>("certificates");
        return services;
    }
}

/// <summary>Looks at the files before the listeners open, and then every five seconds.</summary>
internal sealed class CertificateUpkeep(ServerCertificates certificates, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        certificates.Refresh();
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            certificates.Refresh();
    }
}

internal sealed class CertificatesHealth(ServerCertificates certificates) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(certificates.Concern is { } concern ? HealthCheckResult.Degraded(concern) : HealthCheckResult.Healthy());
}
