using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Ingress;
using ImageAccess.Proxy.Upstream;
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
        services.AddSingleton<RegistryFaces>();
        services.AddSingleton<Judges>();
        services.AddSingleton<DenialResponses>();
        services.AddSingleton<DecisionMetrics>();
        services.AddSingleton<LateDecisions>();
        services.AddHostedService(provider => provider.GetRequiredService<LateDecisions>());
        services.AddSingleton<RegistryEndpoint>();
        services.AddSingleton<IssuedAnswers>();
        services.AddSingleton<TokenEndpoint>();
        services.AddSingleton<SearchEndpoint>();
        return services;
    }

    /// <summary>Everything that the mirror listener answers. The raw target decides: routing would decode it and ignore its case.</summary>
    public static void MapRegistry(this IApplicationBuilder app) => app.Run(http => AnswerAsync(http, AnswerAsMirrorAsync));

    /// <summary>Everything that is answered under Docker Hub's own names.</summary>
    public static void MapDockerHub(this IApplicationBuilder app) => app.Run(http => AnswerAsync(http, AnswerAsDockerHubAsync));

    private static Task AnswerAsMirrorAsync(HttpContext http, string target) => IsToken(target)
        ? http.RequestServices.GetRequiredService<TokenEndpoint>().HandleAsync(http)
        : http.RequestServices.GetRequiredService<RegistryEndpoint>().HandleAsync(http);

    private static Task AnswerAsDockerHubAsync(HttpContext http, string target)
    {
        var name = http.Features.GetRequiredFeature<InterceptedName>();
        if (!IsMeant(http.Request.Host, name.Host))
            return RequestBody.RefuseAsync(http, new RegistryError(421, "UNSUPPORTED", "the Host header names another host than the connection"));

        return name.Role switch
        {
            DockerHubRole.TokenService when IsToken(target) => http.RequestServices.GetRequiredService<TokenEndpoint>().HandleAsync(http),
            DockerHubRole.Registry when SearchEndpoint.Covers(target) => http.RequestServices.GetRequiredService<SearchEndpoint>().HandleAsync(http, target),
            DockerHubRole.Registry => http.RequestServices.GetRequiredService<RegistryEndpoint>().HandleAsync(http),
            _ => ErrorBody.WriteAsync(http, new RegistryError(404, "UNSUPPORTED", "here is /token alone")),
        };
    }

    private static async Task AnswerAsync(HttpContext http, Func<HttpContext, string, Task> answer)
    {
        try
        {
            if (RequestBody.IsAmbiguous(http.Request))
                await RequestBody.RefuseAsync(http, RegistryError.Unsupported("a request has a Content-Length or the Transfer-Encoding chunked, and nothing besides"));
            else if (http.RequestServices.GetRequiredService<ViaStamp>().IsIn(http.Request.Headers.Via))
                await RefuseLoopAsync(http);
            else
                await answer(http, http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
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
    }

    /// <summary>What this program sent to Docker Hub came back to it (RFC 5842, section 7.2).</summary>
    private static Task RefuseLoopAsync(HttpContext http)
    {
        if (http.RequestServices.GetRequiredService<ViaStamp>().TellOnce())
            http.RequestServices.GetRequiredService<ILogger<RegistryEndpoint>>().RequestCameBack();
        return RequestBody.RefuseAsync(
            http, new RegistryError(508, "UNAVAILABLE", "the proxy's own request came back to it: Docker Hub's names lead to the proxy itself, set Upstream:Addresses"));
    }

    private static bool IsMeant(HostString host, HostName name) =>
        HostName.TryParse(host.Host, out var named) && named.Equals(name) && host.Port is null or 443;

    private static bool IsToken(ReadOnlySpan<char> target) =>
        target.StartsWith("/token", StringComparison.Ordinal) && (target.Length == 6 || target[6] == '?');
}
