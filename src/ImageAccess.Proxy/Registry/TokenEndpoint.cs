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
    DockerHubSignIn signIn,
    RegistryAddresses addresses,
    OwnFaults faults,
    UpstreamMetrics upstream,
    ILogger<TokenEndpoint> logger)
{
    /// <summary>The largest form of a token request, in bytes: as much as a query may measure.</summary>
    private const int MaximumForm = RegistryRequest.MaximumTarget;

    /// <summary>How long a client waits, for its turn and for the token service together, when the last answer can be repeated: clients themselves give up after 15 seconds.</summary>
    private static readonly TimeSpan RepeatableTimeout = TimeSpan.FromSeconds(5);

    /// <summary>And when something stands in for a token: a client that gives up first asks Docker Hub.</summary>
    private static readonly TimeSpan StandInTimeout = TimeSpan.FromSeconds(10);

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
            TimeSpan? within = issuedBefore.Find(request) is not null ? RepeatableTimeout : StandsIn(http, request) ? StandInTimeout : null;
            var (answer, refusal) = await signIn.AskAsync(
                http, addresses.WayInOf(http), request.Credentials(), within, left => tokens.AskAsync(request.Parameters, request.Basic, asForm, left, http.RequestAborted));
            if (answer is not null)
                await PassOnAsync(http, request, answer);
            else if (!await TryInsteadAsync(http, request, refusal!))
                await ErrorBody.WriteAsync(http, refusal!);
        }
        catch (UnansweredException exception)
        {
            logger.TokenServiceFailed(exception.Cause);
            if (!await TryReplaceAsync(http, request, exception.Answered) && !await TryStandInAsync(http, request, OwnFaults.NoToken))
                await ErrorBody.WriteAsync(http, new RegistryError(exception.Status, "UNAVAILABLE", exception.Message));
        }
        catch (Exception exception) when (!http.Response.HasStarted && !http.RequestAborted.IsCancellationRequested)
        {
            logger.RequestFailed(exception);
            if (!await TryStandInAsync(http, request, OwnFaults.NoToken))
                await ErrorBody.WriteAsync(http, new RegistryError(500, "UNAVAILABLE", OwnFaults.Failed));
        }
    }

    private async Task PassOnAsync(HttpContext http, TokenRequest request, UpstreamDocument answer)
    {
        var status = (int)answer.Status;
        if (!SaysSomething(status))
            logger.TokenServiceFailed($"it answered {status}");
        if (status >= 400 && await TryReplaceAsync(http, request, status))
            return;
        if (!SaysSomething(status) && await TryStandInAsync(http, request, OwnFaults.NoToken))
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
    /// learnt, because the token does not come from the token service now. A refusal by the token service counts even when its body is
    /// incomplete: a credential that was revoked gets no token any more.
    /// </summary>
    /// <param name="http">The exchange with the client.</param>
    /// <param name="request">What it asks for.</param>
    /// <param name="status">What the token service answered, if it did.</param>
    private async Task<bool> TryReplaceAsync(HttpContext http, TokenRequest request, int? status)
    {
        if (status is { } said and >= 400 && SaysSomething(said))
            issuedBefore.Forget(request, withSecret: said is 401 or 403);
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

    /// <summary>Where nothing was asked. Who only waited in vain gets a token that was issued before; who failed to sign in too often does not.</summary>
    private async Task<bool> TryInsteadAsync(HttpContext http, TokenRequest request, SignInRefusal refusal) => refusal.IsBusy
        ? await TryReplaceAsync(http, request, status: null) || await TryStandInAsync(http, request, OwnFaults.TooManyWaiting)
        : await TryStandInAsync(http, request, OwnFaults.TooManySignIns);

    /// <summary>Whether a status says anything of the request: a limit that was met or a request that was not waited for is an outage, like 5xx.</summary>
    private static bool SaysSomething(int status) => status is not (408 or 429) and < 500;

    /// <summary>Answers with what stands in for a token, where the client would go to Docker Hub without one.</summary>
    private async Task<bool> TryStandInAsync(HttpContext http, TokenRequest request, StandIn standIn)
    {
        if (!StandsIn(http, request))
            return false;
        http.Response.Headers.Warning = $"199 - \"{standIn.Reason}, this is no token: nothing can be pulled with it\"";
        await ErrorBody.WriteAsync(http, 200, "application/json", standIn.Body);
        return true;
    }

    private bool StandsIn(HttpContext http, TokenRequest request) =>
        addresses.TryFind(http, out var address, out _) && faults.StandsIn(address, request, http.Request.Headers.UserAgent);

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
