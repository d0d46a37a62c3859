using System.Text;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// <c>/token</c>, as a query and as a form (distribution, "Token Authentication" and "OAuth 2"). The token service gets the known
/// parameters and nothing else, and the client gets its answer unchanged. While the token service cannot answer, the client gets the token
/// that was issued for the same request before.
/// </summary>
public sealed class TokenEndpoint(
    UpstreamTokens tokens,
    IssuedAnswers issuedBefore,
    CallerIdentifier callers,
    OrganizationTokens organizationTokens,
    TokenDenials denials,
    UpstreamMetrics upstream,
    ILogger<TokenEndpoint> logger)
{
    /// <summary>The largest form of a token request, in bytes.</summary>
    private const int MaximumForm = 64 * 1024;

    /// <summary>The timeout of the token service when its last answer can be repeated: clients themselves give up after 15 seconds.</summary>
    private static readonly TimeSpan RepeatableTimeout = TimeSpan.FromSeconds(5);

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
            TimeSpan? timeout = issuedBefore.Find(request) is null ? null : RepeatableTimeout;
            await PassOnAsync(http, request, await tokens.AskAsync(request.Parameters, request.Basic, asForm, timeout, http.RequestAborted));
        }
        catch (UnansweredException exception)
        {
            logger.TokenServiceFailed(exception.Cause);
            if (!await TryReplaceAsync(http, request, exception.Answered))
                await ErrorBody.WriteAsync(http, new RegistryError(exception.Status, "UNAVAILABLE", exception.Message));
        }
    }

    private async Task PassOnAsync(HttpContext http, TokenRequest request, UpstreamDocument answer)
    {
        var status = (int)answer.Status;
        if (status >= 500)
            logger.TokenServiceFailed($"it answered {status}");
        if (status >= 400 && await TryReplaceAsync(http, request, status))
            return;

        if (status == 200)
        {
            var issued = TokenAnswer.Read(answer.Body);
            Learn(request, issued);
            if (await denials.TryDenyAsync(http, request, issued.Either))
                return;
        }

        foreach (var (name, value) in answer.Headers)
            http.Response.Headers[name] = value;
        await ErrorBody.WriteAsync(http, status, answer.ContentType ?? "application/json", answer.Body);
    }

    /// <summary>
    /// Answers with the token that was issued for the same request before, if there is one. The policy is asked again. No signing key is
    /// learnt, because the token does not come from the token service now. A 4xx of the token service counts even when its body is
    /// incomplete: a credential that was revoked gets no token any more.
    /// </summary>
    /// <param name="http">The exchange with the client.</param>
    /// <param name="request">What it asks for.</param>
    /// <param name="status">What the token service answered, if it did.</param>
    private async Task<bool> TryReplaceAsync(HttpContext http, TokenRequest request, int? status)
    {
        if (status is >= 400 and < 500)
            issuedBefore.Forget(request, withSecret: status is 401 or 403);
        if (issuedBefore.Find(request) is not { } repeated)
            return false;

        if (request.Secrets().Any(organizationTokens.Covers))
            organizationTokens.Mark(repeated.Token);
        if (await denials.TryDenyAsync(http, request, repeated.Token))
            return true;

        upstream.TokenRepeated();
        http.Response.Headers.Warning = "110 - \"the token service cannot answer, this token is one that it issued before\"";
        await ErrorBody.WriteAsync(http, 200, "application/json", repeated.Body);
        return true;
    }

    private static async Task<string> ReadFormAsync(HttpContext http)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaximumForm;
        using var reader = new StreamReader(http.Request.Body, Encoding.UTF8);
        return await reader.ReadToEndAsync(http.RequestAborted);
    }

    /// <summary>
    /// Before the client has the answer, remembers which key signs tokens, which tokens were issued to an organization access token, and
    /// what can be repeated. <c>token</c> and <c>access_token</c> are the same token; an answer in which they differ is not repeated.
    /// </summary>
    private void Learn(TokenRequest request, TokenAnswer issued)
    {
        var isOrganizationToken = request.Secrets().Any(organizationTokens.Covers);
        var (token, accessToken, refreshToken) = issued;
        if (issued.Either is { } registryToken)
        {
            callers.LearnFrom(registryToken);
            if (accessToken is null || accessToken == registryToken)
                issuedBefore.Remember(request, registryToken);
        }

        if (!isOrganizationToken)
            return;
        if (token is not null)
            organizationTokens.Mark(token);
        if (accessToken is not null && accessToken != token)
            organizationTokens.Mark(accessToken);
        if (refreshToken is not null)
            organizationTokens.MarkRefresh(refreshToken);
    }
}
