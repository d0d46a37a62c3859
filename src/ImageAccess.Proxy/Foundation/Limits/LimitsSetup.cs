using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Limits;

public static class LimitsSetup
{
    /// <summary>What clients may use up: from the section <c>Limits</c>, else from the machine.</summary>
    public static IServiceCollection AddLimits(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddMetrics();
        services.AddSingleton<LimitMetrics>();
        services.AddOptions<LimitOptions>()
            .Bind(configuration.GetSection("Limits"))
            .Configure(options => options.TrustedProxies = configuration.GetSection("Listen:TrustedProxies").Get<List<string>>() ?? [])
            .PostConfigure(options => options.Complete(Machine.Read()))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<LimitOptions>, LimitOptionsValidator>();
        services.AddSingleton<ClientLimits>();
        services.AddHealthChecks().AddCheck<LimitsHealth>("limits");
        return services;
    }
}
