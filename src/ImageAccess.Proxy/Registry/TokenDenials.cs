using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Refuses a token for denied repositories: under Docker Hub's own name, and to those clients that show the reason best when the token is
/// refused. On the mirror every client gets its token: it takes a refused one for an ordinary error and falls back to Docker Hub.
/// </summary>
public sealed class TokenDenials(
    CallerIdentifier callers, RegistryAddresses addresses, AuditTrail trail, Judges judges, DenialResponses denials, DecisionMetrics metrics, TimeProvider time)
{
    /// <summary>
    /// Answers with the denial when all repositories of the token are denied to its caller. When only some are denied, the client gets the
    /// token: a push may name a repository beside its own, from which it would mount a layer.
    /// </summary>
    /// <param name="http">The exchange with the client.</param>
    /// <param name="request">What it asks for.</param>
    /// <param name="token">The token that it would get, if there is one.</param>
    internal async Task<bool> TryDenyAsync(HttpContext http, TokenRequest request, string? token)
    {
        var repositories = request.Scopes.Select(scope => scope.Repository).OfType<RepositoryName>().Distinct().ToList();
        if (token is null || repositories.Count == 0
            || !addresses.TryFind(http, out var address, out _) || !address.IsDockerHub || !ClientFamilies.ShowsTokenRefusals(http.Request.Headers.UserAgent)
            || await callers.IdentifyAsync("Bearer " + token, http.RequestAborted) is not Identification.Verified { Token: var verified })
            return false;

        await using var entry = trail.Open(http);
        var judge = judges.For(verified, http.Connection.RemoteIpAddress);
        (entry.WayIn, entry.Caller, entry.Repository, entry.PolicyVersion) = (address.WayIn, judge.Caller, repositories[0], judge.Policy.Version);
        var started = time.GetTimestamp();
        AccessDecision? denial = null;
        foreach (var repository in repositories)
        {
            var decision = (await judge.DecideAsync(new Asked(repository) { IsPull = true }, http.RequestAborted)).Decision;
            if (decision.Permit is not null)
                return false;
            denial ??= decision;
        }

        entry.Decision = denial;
        metrics.Decided(denial!, time.GetElapsedTime(started));
        await denials.WriteTokenAsync(http, repositories[0], denial!, entry.Id, judge.Policy.Version);
        return true;
    }
}
