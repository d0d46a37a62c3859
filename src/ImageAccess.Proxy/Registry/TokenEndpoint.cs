using System.Text;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Identity;
using ImageAccess.Proxy.Upstream;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// The token face: <c>/token</c>, in both forms (distribution, "Token Authentication" and "OAuth 2"). The known parameters
/// go to the token service and nothing else; its answer comes back as it is. Nothing is refused here: to a mirror's client
/// a refused token is an ordinary error, after which it would turn to Docker Hub.
/// </summary>
public sealed class TokenEndpoint(
    UpstreamTokens tokens, CallerIdentifier callers, OrganizationTokens organizationTokens, ILogger<TokenEndpoint> logger)
{
    /// <summary>What a token request's form may measure, in bytes.</summary>
    private const int MaximumForm = 64 * 1024;

    public async Task HandleAsync(HttpContext http)
    {
        if (!HttpMethods.IsPost(http.Request.Method) && !HttpMethods.IsGet(http.Request.Method))
        {
            await ErrorBody.WriteAsync(http, RegistryError.MethodNotAllowed("GET, POST"));
            return;
        }

        var asForm = HttpMethods.IsPost(http.Request.Method);
        if (!asForm && RequestBody.IsPresent(http))
        {
            await RequestBody.RefuseAsync(http, RegistryError.Unsupported("a GET of this endpoint has no body"));
            return;
        }

        var encoded = asForm ? await ReadFormAsync(http) : http.Request.QueryString.Value is ['?', .. var query] ? query : "";
        if (!TokenRequest.TryParse(encoded, http.Request.Headers.Authorization, asForm, out var request, out var error))
        {
            await ErrorBody.WriteAsync(http, error);
            return;
        }

        try
        {
            var answer = await tokens.AskAsync(request.Parameters, request.Basic, asForm, http.RequestAborted);
            if ((int)answer.Status == 200)
                Learn(request, answer.Body);
            foreach (var (name, value) in answer.Headers)
                http.Response.Headers[name] = value;
            await ErrorBody.WriteAsync(http, (int)answer.Status, answer.ContentType ?? "application/json", answer.Body);
        }
        catch (HttpRequestException exception)
        {
            logger.TokenServiceFailed(exception.Message);
            await ErrorBody.WriteAsync(http, new RegistryError(502, "UNAVAILABLE", "the token service of Docker Hub could not be reached"));
        }
        catch (TimeoutException exception)
        {
            logger.TokenServiceFailed(exception.Message);
            await ErrorBody.WriteAsync(http, new RegistryError(504, "UNAVAILABLE", "the token service of Docker Hub did not answer in time"));
        }
    }

    private static async Task<string> ReadFormAsync(HttpContext http)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaximumForm;
        using var reader = new StreamReader(http.Request.Body, Encoding.UTF8);
        return await reader.ReadToEndAsync(http.RequestAborted);
    }

    /// <summary>
    /// Before the client has the answer: with which key tokens are signed, and which of them an organization access token gave.
    /// </summary>
    private void Learn(TokenRequest request, ReadOnlyMemory<byte> body)
    {
        var isOrganizationToken = request.Secrets().Any(organizationTokens.Covers);
        var (token, accessToken, refreshToken) = ReadTokens(body);
        if ((token ?? accessToken) is { } issued)
            callers.LearnFrom(issued);
        if (!isOrganizationToken)
            return;
        if (token is not null)
            organizationTokens.Mark(token);
        if (accessToken is not null && accessToken != token)
            organizationTokens.Mark(accessToken);
        if (refreshToken is not null)
            organizationTokens.MarkRefresh(refreshToken);
    }

    private static (string? Token, string? AccessToken, string? RefreshToken) ReadTokens(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return (Text("token"), Text("access_token"), Text("refresh_token"));

            string? Text(string name) =>
                json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty(name, out var member)
                && member.ValueKind == JsonValueKind.String
                    ? member.GetString()
                    : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return default; // not for the proxy to judge: the client gets the answer as it is
        }
    }
}

internal static partial class RegistryLog
{
    [LoggerMessage(1, LogLevel.Warning, "The token service failed: {Cause}")]
    public static partial void TokenServiceFailed(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Error, "A request failed in the proxy itself")]
    public static partial void RequestFailed(this ILogger logger, Exception exception);

    [LoggerMessage(3, LogLevel.Error, "What would have been decided was not found")]
    public static partial void LateDecisionFailed(this ILogger logger, Exception exception);
}
