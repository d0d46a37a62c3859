using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Chooses the endpoint that answers, by the raw target: ASP.NET's routing would decode it and ignore its case. The endpoints are injected
/// once, because resolving one for each request would create a service scope for each.
/// </summary>
internal sealed class RegistryRouting(
    RegistryEndpoint registry, TokenEndpoint token, SearchEndpoint search, ViaStamp via, ILogger<RegistryEndpoint> logger)
{
    /// <summary>Answers a request on the mirror listener.</summary>
    public Task AnswerAsMirrorAsync(HttpContext http) => AnswerAsync(http, null);

    /// <summary>Answers a request to one of Docker Hub's own names.</summary>
    public Task AnswerAsDockerHubAsync(HttpContext http) => AnswerAsync(http, http.Features.GetRequiredFeature<InterceptedName>());

    private async Task AnswerAsync(HttpContext http, InterceptedName? name)
    {
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        try
        {
            if (RequestBody.IsAmbiguous(http.Request))
                await RequestBody.RefuseAsync(http, RegistryError.Unsupported("a request has a Content-Length or the Transfer-Encoding chunked, and nothing besides"));
            else if (target.Length > RegistryRequest.MaximumTarget)
                await RequestBody.RefuseAsync(http, RegistryError.TargetTooLong);
            else if (via.IsIn(http.Request.Headers.Via))
                await RefuseLoopAsync(http);
            else
                await RouteAsync(WithoutUpgrade(http), name, target);
        }
        catch (Exception exception) when (HasLeft(http, exception))
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
            logger.RequestFailed(exception);
            http.Response.Clear();
            await ErrorBody.WriteAsync(http, new RegistryError(500, "UNAVAILABLE", "the request failed in the proxy itself"));
        }
    }

    /// <summary>Reading a body may fail before the request is known to be aborted.</summary>
    private static bool HasLeft(HttpContext http, Exception failure) =>
        failure is ConnectionResetException or ConnectionAbortedException
        || (failure is IOException or OperationCanceledException && http.RequestAborted.IsCancellationRequested);

    /// <summary>
    /// An offer to change the protocol is ignored, as a server may do (RFC 9110, section 7.8): the forwarder of writes would act on it by itself,
    /// and send another method than the one that is judged here.
    /// </summary>
    private static HttpContext WithoutUpgrade(HttpContext http)
    {
        if (http.Request.Headers.Connection.Count > 0)
            http.Features.Set<IHttpUpgradeFeature>(null);
        return http;
    }

    private Task RouteAsync(HttpContext http, InterceptedName? name, string target) => name switch
    {
        not null when !IsMeant(http.Request.Host, name.Host) =>
            RequestBody.RefuseAsync(http, new RegistryError(421, "UNSUPPORTED", "the Host header names another host than the connection")),
        null or { Role: DockerHubRole.TokenService } when IsToken(target) => token.HandleAsync(http),
        { Role: DockerHubRole.Registry } when SearchEndpoint.Covers(target) => search.HandleAsync(http, target),
        null or { Role: DockerHubRole.Registry } => registry.HandleAsync(http),
        _ => ErrorBody.WriteAsync(http, new RegistryError(404, "UNSUPPORTED", "only /token is here")),
    };

    /// <summary>Refuses a request that this program sent to Docker Hub and that came back to it (RFC 5842, section 7.2).</summary>
    private Task RefuseLoopAsync(HttpContext http)
    {
        if (via.TellOnce())
            logger.RequestCameBack();
        return RequestBody.RefuseAsync(
            http, new RegistryError(508, "UNAVAILABLE", "the proxy's own request came back to it: Docker Hub's names lead to the proxy itself, set Upstream:Addresses"));
    }

    private static bool IsMeant(HostString host, HostName name) =>
        HostName.TryParse(host.Host, out var named) && named.Equals(name) && host.Port is null or 443;

    private static bool IsToken(ReadOnlySpan<char> target) =>
        target.StartsWith("/token", StringComparison.Ordinal) && (target.Length == 6 || target[6] == '?');
}
