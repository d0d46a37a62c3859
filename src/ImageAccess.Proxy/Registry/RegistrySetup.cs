using ImageAccess.Core.Oci;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>The mirror listener's face.</summary>
public sealed class MirrorOptions
{
    /// <summary>Denials take the form at which a mirror's client gives up: <c>Mirror:Hold</c>.</summary>
    public bool Hold { get; set; } = true;

    /// <summary>Under which address clients reach the mirror listener: <c>PublicUrl</c>.</summary>
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
        services.AddSingleton<RegistryChallenges>();
        services.AddSingleton<DenialResponses>();
        services.AddSingleton<DecisionMetrics>();
        services.AddSingleton<LateDecisions>();
        services.AddHostedService(provider => provider.GetRequiredService<LateDecisions>());
        services.AddSingleton<RegistryEndpoint>();
        services.AddSingleton<TokenEndpoint>();
        return services;
    }

    /// <summary>Everything that the mirror listener answers. The raw target decides: routing would decode it and ignore its case.</summary>
    public static void MapRegistry(this IApplicationBuilder app)
    {
        app.Run(async http =>
        {
            try
            {
                if (RequestBody.IsAmbiguous(http.Request))
                    await RequestBody.RefuseAsync(http, RegistryError.Unsupported("a request has a Content-Length or the Transfer-Encoding chunked, and nothing besides"));
                else if (IsToken(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget))
                    await http.RequestServices.GetRequiredService<TokenEndpoint>().HandleAsync(http);
                else
                    await http.RequestServices.GetRequiredService<RegistryEndpoint>().HandleAsync(http);
            }
            catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
            {
                // The client left; there is nobody to answer.
            }
            catch (BadHttpRequestException exception) when (!http.Response.HasStarted)
            {
                var error = exception.StatusCode == StatusCodes.Status413PayloadTooLarge
                    ? new RegistryError(413, "SIZE_INVALID", "the request's body is too large")
                    : new RegistryError(exception.StatusCode, "UNSUPPORTED", "the request could not be read");
                await ErrorBody.WriteAsync(http, error);
            }
            catch (Exception exception) when (!http.Response.HasStarted)
            {
                http.RequestServices.GetRequiredService<ILogger<RegistryEndpoint>>().RequestFailed(exception);
                http.Response.Clear();
                await ErrorBody.WriteAsync(http, new RegistryError(500, "UNAVAILABLE", "the request failed in the proxy itself"));
            }
        });
    }

    private static bool IsToken(ReadOnlySpan<char> target) =>
        target.StartsWith("/token", StringComparison.Ordinal) && (target.Length == 6 || target[6] == '?');
}
