using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

public static class RegistrySetup
{
    public static IServiceCollection AddRegistry(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<MirrorOptions>()
            .Configure(options => (options.Hold, options.PublicUrl) =
                (MirrorOptions.ReadHold(configuration.GetSection("Mirror:Hold")), configuration.GetValue<Uri?>("PublicUrl")))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<MirrorOptions>, MirrorOptionsValidator>();
        services.AddSingleton<RegistryAddresses>();
        services.AddSingleton<DenialResponses>();
        services.AddSingleton<OwnFaults>();
        services.AddSingleton<RegistryEndpoint>();
        services.AddSingleton<IssuedAnswers>();
        services.AddSingleton<TokenDenials>();
        services.AddSingleton<TokenEndpoint>();
        services.AddSingleton<SearchEndpoint>();
        services.AddSingleton<RegistryRouting>();
        return services;
    }

    /// <inheritdoc cref="RegistryRouting.AnswerAsMirrorAsync"/>
    public static void MapRegistry(this IApplicationBuilder app) => app.Run(app.ApplicationServices.GetRequiredService<RegistryRouting>().AnswerAsMirrorAsync);

    /// <inheritdoc cref="RegistryRouting.AnswerAsDockerHubAsync"/>
    public static void MapDockerHub(this IApplicationBuilder app) => app.Run(app.ApplicationServices.GetRequiredService<RegistryRouting>().AnswerAsDockerHubAsync);
}
