using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary>
/// Verifies a Docker Hub user name and access token as a caller's are, by the token service, or a token of the API. They are used once, and kept
/// nowhere. What is given for them is a token of ours.
/// </summary>
internal sealed class DockerHubLogin(
    UpstreamTokens upstream, DockerHubSignIn signIn, OrganizationTokens organizationTokens, CallerIdentifier callers, TokenSignIn tokens, SessionTokens sessions, AuditTrail trail,
    IOptions<ConsoleOptions> console, ILogger<DockerHubLogin> logger)
{
    /// <summary>Docker's own words, and one text for every refusal: whoever guesses learns nothing.</summary>
    public const string Refused = "Incorrect authentication credentials";

    private const string WayIn = "console";
    private const int MaximumLength = 1024;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private static readonly KeyValuePair<string, string>[] Parameters = [new("service", TokenClaims.ExpectedAudience), new("client_id", "imageaccess")];

    /// <exception cref="ProblemException">Nobody is signed in.</exception>
    public async Task<string> SignInAsync(HttpContext http, string user, string secret)
    {
        if (!sessions.AreReady)
            throw ProblemException.NotReady();
        return TokenSecret.IsOne(secret) ? await SignInByTokenAsync(http, secret) : sessions.Issue(await VerifyAsync(http, user, secret));
    }

    /// <summary>Whose credentials of Docker Hub these are; without a token of ours.</summary>
    /// <exception cref="ProblemException">Nobody's, or it cannot be asked.</exception>
    public async Task<Session> VerifyAsync(HttpContext http, string user, string secret)
    {
        if (console.Value.DockerHubSignIn == "off")
            throw new ProblemException(new Problem(403, "nobody signs in with Docker Hub credentials here (Console:DockerHubSignIn): use a token of this API"));
        var credentials = new SignInCredentials(user, [secret]);
        if (user.Length is 0 or > MaximumLength || secret.Length is 0 or > MaximumLength || user.Contains(':', StringComparison.Ordinal) || organizationTokens.Covers(secret) || TokenSecret.IsOne(secret))
        {
            await trail.RecordSignInAsync(WayIn, http.Connection.RemoteIpAddress, credentials.Name, "refused", upstreamStatus: null, http.RequestAborted);
            throw Unauthorized();
        }

        var caller = await IdentifyAsync(http, await AskAsync(http, credentials));
        return caller is { Name: { } name, Subject: { } account, IsOrganizationToken: false } ? new Session(name) { Account = account } : throw Unauthorized();
    }

    private async Task<string> SignInByTokenAsync(HttpContext http, string secret)
    {
        var bearer = await tokens.IdentifyAsync($"Bearer {secret}", http.Connection.RemoteIpAddress, takesSessions: false, http.RequestAborted);
        if (bearer.RetryAfter is { } retryAfter)
            throw Later(429, string.Create(CultureInfo.InvariantCulture, $"too many tokens were refused, try again in {retryAfter.TotalSeconds} s"), retryAfter);
        return bearer is { Actor: { } actor, Token: { } token } ? sessions.Issue(new Session(actor.Name) { Token = token.Id }) : throw Unauthorized();
    }

    /// <returns>A registry token that grants nothing.</returns>
    private async Task<string> AskAsync(HttpContext http, SignInCredentials credentials)
    {
        var basic = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credentials.User}:{credentials.Secrets[0]}")));
        try
        {
            var (answer, refusal) = await signIn.AskAsync(
                http, WayIn, credentials, Timeout, left => upstream.AskAsync(Parameters, basic, asForm: false, left, http.RequestAborted));
            if (refusal is not null)
                throw Later(refusal.Error.Status, refusal.Error.Message, refusal.RetryAfter);
            return (int)answer!.Status switch
            {
                200 => TokenAnswer.Read(answer.Body).Either ?? throw Unanswered("the answer has no token"),
                401 or 403 => throw Unauthorized(),
                var status => throw Unanswered(string.Create(CultureInfo.InvariantCulture, $"it answered {status}")),
            };
        }
        catch (UnansweredException exception)
        {
            throw exception.Answered is 401 or 403 ? Unauthorized() : Unanswered(exception.Cause);
        }
    }

    private async Task<Caller?> IdentifyAsync(HttpContext http, string token)
    {
        callers.LearnFrom(token);
        return await callers.IdentifyAsync($"Bearer {token}", http.RequestAborted) switch
        {
            Identification.Verified verified => verified.Token.Caller,
            Identification.Unavailable => throw Unanswered("the keys that verify its tokens are not known"),
            _ => null,
        };
    }

    private ProblemException Unanswered(string cause)
    {
        logger.NotAsked(cause);
        return Later(503, "Docker Hub cannot be asked about the credentials at the moment, try again in 5 s", TimeSpan.FromSeconds(5));
    }

    private static ProblemException Unauthorized() => new(new Problem(401, Refused));

    private static ProblemException Later(int status, string detail, TimeSpan retryAfter) => new(new Problem(status, detail)) { RetryAfter = retryAfter };
}

internal static partial class DockerApiLog
{
    [LoggerMessage(1, LogLevel.Warning, "Nobody can sign in to Docker's own API with Docker Hub credentials: the token service does not say whether they are right: {Cause}")]
    public static partial void NotAsked(this ILogger logger, string cause);
}
