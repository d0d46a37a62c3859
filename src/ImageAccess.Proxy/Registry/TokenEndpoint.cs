using System.Text;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// The token face: <c>/token</c>, in both forms (distribution, "Token Authentication" and "OAuth 2"). The known parameters
/// go to the token service and nothing else; its answer comes back as it is, or, while it cannot answer, the token that it gave
/// for the same before. On the mirror nothing is refused here: to its client a refused token is an ordinary error, after which it
/// would turn to Docker Hub. Under Docker Hub's own name a token for a denied repository is refused to those clients that show the
/// reason best when they read it here.
/// </summary>
public sealed class TokenEndpoint(
    UpstreamTokens tokens,
    IssuedAnswers issuedBefore,
    CallerIdentifier callers,
    OrganizationTokens organizationTokens,
    RegistryFaces faces,
    AuditTrail trail,
    Judges judges,
    DecisionMetrics metrics,
    UpstreamMetrics upstream,
    TimeProvider time,
    ILogger<TokenEndpoint> logger)
{
    /// <summary>What a token request's form may measure, in bytes.</summary>
    private const int MaximumForm = 64 * 1024;

    /// <summary>
    /// How long the token service is waited for where its last answer can be repeated: clients themselves give up after 15 seconds.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

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
            TimeSpan? patience = issuedBefore.Find(request) is null ? null : Patience;
            await PassOnAsync(http, request, await tokens.AskAsync(request.Parameters, request.Basic, asForm, patience, http.RequestAborted));
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
            var issued = ReadTokens(answer.Body);
            Learn(request, issued);
            if (await IsDeniedAsync(http, request, issued.Token ?? issued.AccessToken))
                return;
        }

        foreach (var (name, value) in answer.Headers)
            http.Response.Headers[name] = value;
        await ErrorBody.WriteAsync(http, status, answer.ContentType ?? "application/json", answer.Body);
    }

    /// <summary>
    /// Answers with the token that the token service gave for the same before, if there is one. The policy is asked anew; no key is
    /// learnt: the token does not come from the token service now. A refusal is the truth, even one that breaks off: what was revoked
    /// does not live on.
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
        if (await IsDeniedAsync(http, request, repeated.Token))
            return true;

        upstream.TokenRepeated();
        http.Response.Headers.Warning = "110 - \"the token service cannot answer, this token is one that it issued before\"";
        await ErrorBody.WriteAsync(http, 200, "application/json", repeated.Body);
        return true;
    }

    /// <summary>
    /// Answers with the denial when all repositories that the token is for are denied to whom it was given; of a push, the one that a
    /// layer is mounted from may be.
    /// </summary>
    private async Task<bool> IsDeniedAsync(HttpContext http, TokenRequest request, string? token)
    {
        var repositories = request.Scopes.Select(scope => scope.Repository).OfType<RepositoryName>().Distinct().ToList();
        if (token is null || repositories.Count == 0
            || !faces.TryFind(http, out var face, out _) || !face.IsDockerHub || !ClientFamilies.ShowsTokenRefusals(http.Request.Headers.UserAgent)
            || await callers.IdentifyAsync("Bearer " + token, http.RequestAborted) is not Identification.Verified { Token: var verified })
            return false;

        await using var entry = trail.Open(http);
        var judge = judges.For(verified, http.Connection.RemoteIpAddress);
        (entry.Caller, entry.Repository, entry.PolicyVersion) = (judge.Caller, repositories[0], judge.Policy.Version);
        var started = time.GetTimestamp();
        AccessDecision? denial = null;
        foreach (var repository in repositories)
        {
            var decision = (await judge.DecideAsync(repository, http.RequestAborted)).Decision;
            if (decision.Permit is not null)
                return false;
            denial ??= decision;
        }

        entry.Decision = denial;
        metrics.Decided(denial!, time.GetElapsedTime(started));
        await DenialResponses.WriteTokenAsync(http, repositories[0], denial!, entry.Id, judge.Policy.Version);
        return true;
    }

    private static async Task<string> ReadFormAsync(HttpContext http)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = MaximumForm;
        using var reader = new StreamReader(http.Request.Body, Encoding.UTF8);
        return await reader.ReadToEndAsync(http.RequestAborted);
    }

    /// <summary>
    /// Before the client has the answer: with which key tokens are signed, which of them an organization access token gave, and what
    /// can be repeated. The two names mean one token; an answer in which they do not is not repeated.
    /// </summary>
    private void Learn(TokenRequest request, IssuedTokens issued)
    {
        var isOrganizationToken = request.Secrets().Any(organizationTokens.Covers);
        var (token, accessToken, refreshToken) = issued;
        if ((token ?? accessToken) is { } registryToken)
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

    private static IssuedTokens ReadTokens(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return new IssuedTokens(Text("token"), Text("access_token"), Text("refresh_token"));

            string? Text(string name) =>
                json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty(name, out var member)
                && member.ValueKind == JsonValueKind.String
                    ? member.GetString()
                    : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new IssuedTokens(null, null, null); // not for the proxy to judge: the client gets the answer as it is
        }
    }

    private sealed record IssuedTokens(string? Token, string? AccessToken, string? RefreshToken);
}

internal static partial class RegistryLog
{
    [LoggerMessage(1, LogLevel.Warning, "The token service failed: {Cause}")]
    public static partial void TokenServiceFailed(this ILogger logger, string cause);

    [LoggerMessage(2, LogLevel.Error, "A request failed in the proxy itself")]
    public static partial void RequestFailed(this ILogger logger, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "The search failed: {Cause}")]
    public static partial void SearchFailed(this ILogger logger, string cause);

    [LoggerMessage(5, LogLevel.Error, "A request came back to this program: a name of Docker Hub that it asks leads to itself; set Upstream:Addresses to where it really is")]
    public static partial void RequestCameBack(this ILogger logger);
}
