using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Decisions;
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
    DecisionMetrics metrics,
    LateDecisions later,
    TimeProvider time)
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

        var identification = await callers.IdentifyAsync(http.Request.Headers.Authorization, http.RequestAborted);
        if (identification is Identification.Unavailable)
        {
            await ErrorBody.WriteAsync(http, new RegistryError(503, "UNAVAILABLE", "tokens cannot be verified at the moment, try again"));
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
        (entry.Caller, entry.Request, entry.PolicyVersion) = (judge.Caller, asked, judge.Policy.Version);
        var started = time.GetTimestamp();
        var judgement = await judge.DecideAsync(asked.Repository, http.RequestAborted);
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

        Record(entry, judgement.Decision, started);
        if (asked is UploadStartRequest { Mount: { } mount } upload && await judge.FindPermitAsync(mount.From, http.RequestAborted) is { } source)
            asked = source.Mount(upload);
        if (asked is ManifestRequest { Method: "PUT" })
            await RequestBody.ReadManifestAsync(http);
        if (judgement.Decision.Outcome == AccessOutcome.Observe)
            http.Response.OnStarting(() => WarnAsync(http.Response, judgement));

        var answer = await content.ServeAsync(http, asked, permit, address.Origin, address.Realm);
        (entry.UpstreamStatus, entry.Source) = (answer.UpstreamStatus, answer.Source);
        if (answer.Failure is { } failure && !http.Response.HasStarted)
            await ErrorBody.WriteAsync(http, failure);
        if (answer.Moved is var (from, to))
            await trail.RecordMovedTagAsync(asked.Repository.Value, asked.Subject, from.Value, to.Value);
        if (judgement.Later is { } decision)
            later.Add(entry, decision, started);
    }

    private void Record(AuditEntry entry, AccessDecision decision, long started)
    {
        entry.Decision = decision;
        metrics.Decided(decision, time.GetElapsedTime(started));
    }

    private static async Task WarnAsync(HttpResponse response, Judgement judgement)
    {
        if (await judgement.WarningAsync() is { } message)
            response.Headers.Warning = $"299 - \"{message}\"";
    }
}
