namespace ImageAccess.Proxy.Registry;

/// <summary>How the mirror listener answers.</summary>
public sealed class MirrorOptions
{
    /// <summary>A denial takes the form after which the client does not fall back to Docker Hub: <c>Mirror:Hold</c>.</summary>
    public bool Hold { get; set; } = true;

    /// <summary>The address under which clients reach the mirror listener: <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; set; }
}

public static class RegistrySetup
{
    public static IServiceCollection AddRegistry(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<MirrorOptions>()
            .Bind(configuration.GetSection("Mirror"))
            .Configure(options => options.PublicUrl = configuration.GetValue<Uri?>("PublicUrl"))
            .Validate(
                options => options.PublicUrl is not { } url || (url.IsAbsoluteUri && url.Scheme is "http" or "https" && url.PathAndQuery == "/"),
                "PublicUrl: not an http or https address without a path, as https://mirror.example.com")
            .ValidateOnStart();
        services.AddSingleton<RegistryAddresses>();
        services.AddSingleton<DenialResponses>();
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
