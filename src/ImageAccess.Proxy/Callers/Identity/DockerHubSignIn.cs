using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Caching.Memory;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// Signing in at Docker Hub through this proxy. Docker Hub judges; here failures are counted and are events, and who has failed too often is
/// refused for a while, so that nobody tries passwords under the proxy's address. Credentials that Docker Hub has accepted lately pass, whatever
/// others do.
/// </summary>
public sealed class DockerHubSignIn(AuditTrail trail, ClientLimits limits, LimitMetrics metrics, TimeProvider time) : IDisposable
{
    /// <summary>How many sign-ins with unknown credentials are under way at once: as many may fail beyond the budget.</summary>
    private const int AtOnce = 16;

    private const int MaximumWaiting = 1000;
    private const int MaximumWaitingOfAddress = 100;
    private const int MaximumAccepted = 10_000;

    private static readonly TimeSpan AcceptedFor = TimeSpan.FromHours(1);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly KeyedHash _hash = new();
    private readonly SignInBudget _budget = new("sign-ins", time, metrics);
    private readonly FairSlots _turns = new(AtOnce, MaximumWaiting, MaximumWaitingOfAddress);

    /// <summary>The hashes of credentials that Docker Hub has accepted.</summary>
    private readonly MemoryCache _accepted = new(new MemoryCacheOptions { SizeLimit = MaximumAccepted, Clock = new CacheClock(time) });

    /// <summary>How many wait for their turn.</summary>
    internal int Waiting => _turns.Waiting;

    public void Dispose()
    {
        _budget.Dispose();
        _accepted.Dispose();
    }

    /// <summary>Asks Docker Hub with a client's credentials.</summary>
    /// <param name="http">The exchange with the client.</param>
    /// <param name="wayIn">By which way in; null where that is not known.</param>
    /// <param name="credentials">Null where the client does not sign in.</param>
    /// <param name="within">How long the wait for a turn and the question may take together; null where each has a time of its own.</param>
    /// <param name="ask">Asks, within what is left of that.</param>
    /// <param name="proves">Whether a 200 says that the credentials are right. What may answer without looking at them only refuses.</param>
    /// <returns>The answer, or why nothing was asked.</returns>
    internal async Task<(UpstreamDocument? Answer, SignInRefusal? Refusal)> AskAsync(
        HttpContext http, string? wayIn, SignInCredentials? credentials, TimeSpan? within, Func<TimeSpan?, Task<UpstreamDocument>> ask, bool proves = true)
    {
        if (credentials is null)
            return (await ask(within), null);
        var attempt = AttemptOf(http, wayIn, credentials, proves);
        if (IsAccepted(attempt))
            return (await JudgeAsync(attempt, () => ask(within)), null);
        if (await FindRefusalAsync(attempt) is { } refusal)
            return (null, refusal);

        var started = time.GetTimestamp();
        using var turn = await _turns.TryEnterAsync(attempt.Line, within ?? Timeout, time, http.RequestAborted); // tries that come together do not all pass before the first has failed
        if (turn is null)
            metrics.Limited("sign-ins under way");
        var left = within - time.GetElapsedTime(started);
        if (turn is null || left <= TimeSpan.Zero)
            return (null, await RefuseBusyAsync(attempt));
        if (!IsAccepted(attempt) && await FindRefusalAsync(attempt) is { } late) // others may have failed meanwhile
            return (null, late);
        return (await JudgeAsync(attempt, () => ask(left)), null);
    }

    private Attempt AttemptOf(HttpContext http, string? wayIn, SignInCredentials credentials, bool proves)
    {
        var fingerprint = _hash.Of([credentials.User, .. credentials.Secrets]);
        var account = credentials.User.Length > 0 ? credentials.User.ToLowerInvariant() : fingerprint.ToString();
        return new Attempt(http, wayIn, limits.ShareOf(http.Connection.RemoteIpAddress), account, credentials.Name, fingerprint, proves);
    }

    private bool IsAccepted(Attempt attempt) => _accepted.TryGetValue(attempt.Fingerprint, out _);

    private async Task<SignInRefusal?> FindRefusalAsync(Attempt attempt)
    {
        if (!_budget.IsSpent(attempt.Address, attempt.Account, out var retryAfter))
            return null;
        var message = string.Create(CultureInfo.InvariantCulture, $"too many sign-ins have failed, try again in {retryAfter.TotalSeconds} s");
        return await RefuseAsync(attempt, "limit", new RegistryError(429, "TOOMANYREQUESTS", message), retryAfter);
    }

    private async Task<SignInRefusal> RefuseBusyAsync(Attempt attempt)
    {
        var error = new RegistryError(503, "UNAVAILABLE", "too many sign-ins wait for Docker Hub, try again in 5 s");
        return (await RefuseAsync(attempt, "busy", error, TimeSpan.FromSeconds(5))) with { IsBusy = true };
    }

    private async Task<SignInRefusal> RefuseAsync(Attempt attempt, string reason, RegistryError error, TimeSpan retryAfter)
    {
        await RecordAsync(attempt, reason, status: null);
        return new SignInRefusal(error, retryAfter);
    }

    private async Task<UpstreamDocument> JudgeAsync(Attempt attempt, Func<Task<UpstreamDocument>> ask)
    {
        try
        {
            var answer = await ask();
            await ConcludeAsync(attempt, (int)answer.Status, Refuses(answer));
            return answer;
        }
        catch (UnansweredException exception) when (exception.Answered is 401 or 403)
        {
            await ConcludeAsync(attempt, exception.Answered.Value, isRefused: true);
            throw;
        }
    }

    private async Task ConcludeAsync(Attempt attempt, int status, bool isRefused)
    {
        if (isRefused)
        {
            _accepted.Remove(attempt.Fingerprint);
            _budget.Failed(attempt.Address, attempt.Account);
            await RecordAsync(attempt, "refused", status);
        }
        else if (status == 200 && attempt.Proves)
        {
            _accepted.Set(attempt.Fingerprint, true, new MemoryCacheEntryOptions { SlidingExpiration = AcceptedFor, Size = 1 });
            _budget.Succeeded(attempt.Address, attempt.Account);
        }
    }

    /// <summary>Whether the answer refuses the credentials; by a form that may be <c>400 invalid_grant</c> too (RFC 6749, section 5.2).</summary>
    private static bool Refuses(UpstreamDocument answer)
    {
        if ((int)answer.Status != 400)
            return (int)answer.Status is 401 or 403;
        try
        {
            using var json = JsonDocument.Parse(answer.Body);
            return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("error", out var error) && error.ValueEquals("invalid_grant");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private ValueTask RecordAsync(Attempt attempt, string reason, int? status) => trail.RecordSignInAsync(
        attempt.WayIn,
        attempt.Http.Connection.RemoteIpAddress,
        attempt.Name,
        reason,
        status,
        attempt.Http.RequestAborted);

    /// <summary>One request that signs in.</summary>
    private sealed record Attempt(HttpContext Http, string? WayIn, ClientShare? Address, string Account, string? Name, Fingerprint Fingerprint, bool Proves)
    {
        /// <summary>With whom it takes turns.</summary>
        public ClientShare Line => Address ?? ClientShare.OfUser(Account);
    }
}

/// <summary>Docker Hub is not asked: too many have failed to sign in, or too many wait.</summary>
internal sealed record SignInRefusal(RegistryError Error, TimeSpan RetryAfter)
{
    /// <summary>Nobody has failed: too many wait.</summary>
    public bool IsBusy { get; init; }
}
