using System.Runtime.CompilerServices;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>The walk of one request of the registry API: parse, identify, decide, then answer or forward.</summary>
public sealed class RegistryEndpoint(
    AuditTrail trail,
    CallerIdentifier callers,
    Judges judges,
    ContentServer content,
    RegistryAddresses addresses,
    DenialResponses denials,
    OwnFaults faults,
    DecisionMetrics metrics,
    LateDecisions later,
    ClientLimits limits,
    ExceptionUses uses,
    TimeProvider time,
    ILogger<RegistryEndpoint> logger)
{
    public async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        await using var entry = trail.Open(http);

        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (!RegistryRequest.TryParse(http.Request.Method, target, out var request, out var error)
            || !addresses.TryFind(http, out var address, out error))
        {
            await ErrorBody.WriteAsync(http, error);
            return;
        }

        if (!RequestBody.TryAccept(http, request, out error))
        {
            await RequestBody.RefuseAsync(http, error);
            return;
        }

        try
        {
            await WalkAsync(http, entry, address, request);
        }
        catch (Exception exception) when (
            request is RepositoryRequest asked && entry.Decision is null && !http.RequestAborted.IsCancellationRequested && faults.Hold(address, asked.Asked))
        {
            logger.RequestFailed(exception);
            await RefuseAsync(http, entry, address, asked, OwnFaults.Failed);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WalkAsync(HttpContext http, AuditEntry entry, RegistryAddress address, RegistryRequest request)
    {
        var authorization = http.Request.Headers.Authorization;
        var identification = await callers.IdentifyAsync(authorization, http.RequestAborted);
        if (request is RepositoryRequest unidentified && faults.CauseOf(address, unidentified.Asked, identification, authorization) is { } cause)
        {
            await RefuseAsync(http, entry, address, unidentified, cause);
            return;
        }

        if (identification is Identification.Unavailable)
        {
            await ErrorBody.WriteAsync(http, new RegistryError(503, "UNAVAILABLE", "tokens cannot be verified at the moment, try again"));
            return;
        }

        if (identification is Identification.Invalid { Flaw: TokenFlaw.TooLong })
        {
            // No 401: the client would get the same token again, for ever.
            await ErrorBody.WriteAsync(http, new RegistryError(431, "UNSUPPORTED", "the token is longer than 64 KiB: ask for fewer scopes at once"));
            return;
        }

        if (identification is not Identification.Verified { Token: var token })
        {
            await RegistryChallenges.WriteAsync(http, address, request, identification is Identification.Invalid ? "invalid_token" : null);
            return;
        }

        if (request is not RepositoryRequest asked)
        {
            await ErrorBody.WriteAsync(http, 200, "application/json", "{}"u8.ToArray());
            return;
        }

        var judge = judges.For(token, http.Connection.RemoteIpAddress);
        (entry.WayIn, entry.Caller, entry.Request, entry.PolicyVersion) = (address.WayIn, judge.Caller, asked, judge.Policy.Version);
        var started = time.GetTimestamp();
        var judgement = await judge.DecideAsync(asked.Asked, http.RequestAborted);
        if (judgement.Decision.Permit is not { } permit)
        {
            Record(entry, judgement.Decision, started);
            await denials.WriteAsync(http, address, asked, judgement.Decision, entry.Id, judge.Policy.Version);
            return;
        }

        // Only after the decision: a mirror's client takes this for an ordinary error and falls back to Docker Hub, which must not happen for a denied repository.
        if (!token.Grants(asked.Repository, asked.Action))
        {
            await RegistryChallenges.WriteAsync(http, address, request, "insufficient_scope");
            return;
        }

        // Only after the decision, for the same reason.
        if (!limits.Requests.TryEnter(limits.ShareOf(http.Connection.RemoteIpAddress), out var slot))
        {
            await RefuseBusyAsync(http);
            return;
        }

        using var underWay = slot;
        Record(entry, judgement.Decision, started);
        if (asked is UploadStartRequest { Mount: { } mount } upload && await judge.FindPermitAsync(mount.Asked, http.RequestAborted) is { } source)
            asked = source.Mount(upload);
        if (asked is ManifestRequest { Method: "PUT" })
            await RequestBody.ReadManifestAsync(http);
        if (judgement.Decision.Outcome == AccessOutcome.Observe)
            http.Response.OnStarting(() => entry.Decision is { Outcome: AccessOutcome.Deny } ? Task.CompletedTask : WarnAsync(http.Response, judgement));

        var answer = await content.ServeAsync(http, asked, permit, address.Origin, address.Realm);
        if (await FindDenialAsync(judge, asked, judgement.Decision, answer, http.RequestAborted) is { } denial)
        {
            entry.Decision = denial;
            metrics.Decided(denial, time.GetElapsedTime(started));
            await denials.WriteAsync(http, address, asked, denial, entry.Id, judge.Policy.Version, isOfContent: true);
            return;
        }

        (entry.UpstreamStatus, entry.Source) = (answer.UpstreamStatus, answer.Source);
        if (asked is ManifestRequest && answer.Failure is null && http.Response.StatusCode < 400)
        {
            entry.ManifestServed();
            if (http.Response.StatusCode < 300)
                uses.Note(judgement.Decision.Exceptions, asked.Asked);
        }

        if (answer.Failure is { } failure && !http.Response.HasStarted)
            await ErrorBody.WriteAsync(http, failure);
        if (answer.Moved is var (from, to))
            await trail.RecordMovedTagAsync(asked.Repository.Value, asked.Subject, from.Value, to.Value, entry.Gone);
        if (judgement.Later is { } decision)
            later.Add(entry, decision, started);
    }

    /// <summary>What the content itself turned out to be: blocked, or outside of what is approved. By the snapshot that its permit is from.</summary>
    private async ValueTask<AccessDecision?> FindDenialAsync(
        Judge judge, RepositoryRequest request, AccessDecision allowed, ContentAnswer answer, CancellationToken cancellationToken) => answer switch
        {
            { Blocked: { } digest } => (await judge.DecideAsync(new Asked(request.Repository, Digest: digest), cancellationToken)).Decision,
            { Outside: { } outside } => denials.FindHeld(request) ?? PolicyEngine.DenyOutside(allowed, outside),
            { Unknown: { } cause } => PolicyEngine.DenyUndecided(judge.Policy, cause),
            _ => null,
        };

    private static Task RefuseBusyAsync(HttpContext http)
    {
        http.Response.Headers.RetryAfter = "5";
        return RequestBody.RefuseAsync(http, new RegistryError(429, "TOOMANYREQUESTS", "too many pulls and pushes are under way at once, try again in 5 seconds"));
    }

    /// <summary>Denies what could not be decided.</summary>
    private Task RefuseAsync(HttpContext http, AuditEntry entry, RegistryAddress address, RepositoryRequest request, string cause)
    {
        var (decision, version) = faults.Deny(cause);
        (entry.WayIn, entry.Request, entry.PolicyVersion) = (address.WayIn, request, version);
        Record(entry, decision, time.GetTimestamp());
        return denials.WriteAsync(http, address, request, decision, entry.Id, version);
    }

    private void Record(AuditEntry entry, AccessDecision decision, long started)
    {
        entry.Decide(decision);
        metrics.Decided(decision, time.GetElapsedTime(started));
    }

    private static async Task WarnAsync(HttpResponse response, Judgement judgement)
    {
        if (await judgement.WarningAsync() is { } message)
            RegistryWarning.Add(response, message);
    }
}
