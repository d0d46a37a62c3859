using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>Makes the judge of each request, from what is in force at that moment.</summary>
public sealed class Judges(IPolicyStore policies, MembershipDirectory directory, PublisherCatalog catalog, TimeProvider time)
{
    internal Judge For(HttpContext http, VerifiedToken token)
    {
        var policy = policies.Current;
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        return new Judge(policy, directory.Describe(token.Caller, policy.Version), http.Connection.RemoteIpAddress, catalog, today);
    }
}

/// <summary>Asks the policy engine for one request: one snapshot of the policy, one caller, one day. The catalog is asked when a rule needs it.</summary>
internal sealed class Judge(Policy policy, Caller caller, IPAddress? address, PublisherCatalog catalog, DateOnly today)
{
    public Caller Caller => caller;

    public string PolicyVersion => policy.Version;

    /// <summary>Who asks the catalog: the user, else the address; of IPv6 the network, in which one machine has all the addresses that it wants.</summary>
    private string CatalogCaller => caller.Subject is { } subject ? $"user {subject}" : $"address {NetworkOf(address)}";

    public async ValueTask<Judgement> DecideAsync(RepositoryName repository, CancellationToken cancellationToken)
    {
        var decision = Decide(repository, PublisherFacts.NotAsked);
        if (!decision.NeedsPublisher)
            return new Judgement(decision, null);
        if (decision.Permit is null)
            return new Judgement(Decide(repository, await catalog.FindAsync(repository.Namespace, CatalogCaller, cancellationToken)), null);

        // Everyone who needs to know only observes: nobody waits. What the rule says is found beside the answer, or after it.
        var publisher = catalog.FindAsync(repository.Namespace, CatalogCaller, CancellationToken.None);
        return publisher.IsCompletedSuccessfully
            ? new Judgement(Decide(repository, await publisher), null)
            : new Judgement(decision, LaterAsync(repository, publisher));
    }

    public async ValueTask<Permit?> FindPermitAsync(RepositoryName repository, CancellationToken cancellationToken) =>
        (await DecideAsync(repository, cancellationToken)).Decision.Permit;

    private AccessDecision Decide(RepositoryName repository, PublisherFacts publisher) =>
        PolicyEngine.Decide(policy, caller, repository, publisher, today);

    private async Task<AccessDecision> LaterAsync(RepositoryName repository, ValueTask<PublisherFacts> publisher) =>
        Decide(repository, await publisher);

    private static string? NetworkOf(IPAddress? address)
    {
        address = address is null ? null : PublicAddress.Plain(address);
        if (address is not { AddressFamily: AddressFamily.InterNetworkV6 })
            return address?.ToString();
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return $"{new IPAddress(bytes)}/64";
    }
}

/// <summary>A decision, and where an organization only observes, what it will turn out to have been.</summary>
internal sealed record Judgement(AccessDecision Decision, Task<AccessDecision>? Later)
{
    /// <summary>The message of a denial that is only observed, as far as it is known by now.</summary>
    public async ValueTask<string?> WarningAsync()
    {
        var known = Later is null ? Decision : Later.IsCompletedSuccessfully ? await Later : null;
        return known is { Outcome: AccessOutcome.Observe } ? known.Message : null;
    }
}
