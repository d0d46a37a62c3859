using System.Collections.Frozen;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// Judges for one caller by one snapshot of the policy: asks the policy engine, then the catalog where the answer depends on who
/// publishes the repository, then the engine again.
/// </summary>
internal sealed class Judge(PolicyView view, PublisherCatalog catalog, CatalogPayer payer)
{
    private static readonly FrozenSet<string> NoNamespaces = [];

    public Policy Policy => view.Policy;

    public Caller Caller => view.Caller;

    /// <summary>
    /// Decides a request. The catalog is asked only when a rule needs it. The request waits for the catalog only when it would be denied
    /// otherwise; where every organization that needs the answer only observes, the answer comes later.
    /// </summary>
    public async ValueTask<Judgement> DecideAsync(Asked asked, CancellationToken cancellationToken)
    {
        var decision = view.Decide(asked, PublisherFacts.NotAsked);
        if (!decision.NeedsPublisher)
            return new Judgement(decision, null);
        if (decision.Permit is null)
            return new Judgement(view.Decide(asked, await FindPublisherAsync(asked.Repository, cancellationToken)), null);

        var publisher = FindPublisherAsync(asked.Repository, CancellationToken.None);
        return publisher.IsCompletedSuccessfully
            ? new Judgement(view.Decide(asked, await publisher), null)
            : new Judgement(decision, DecideLaterAsync(asked, publisher));
    }

    /// <summary>Decides a request, and gives its permit alone; null for a denial.</summary>
    public async ValueTask<Permit?> FindPermitAsync(Asked asked, CancellationToken cancellationToken) =>
        (await DecideAsync(asked, cancellationToken)).Decision.Permit;

    /// <summary>
    /// Explains a decision to a person, who wants to know the category as well: the catalog is asked even when no rule needs it, and is
    /// always waited for.
    /// </summary>
    public async ValueTask<Explanation> ExplainAsync(Asked asked, CancellationToken cancellationToken)
    {
        var decision = view.Decide(asked, PublisherFacts.NotAsked);
        if (decision.Classification.Category != RepositoryCategory.Unknown)
            return new Explanation(decision, decision.Classification);
        if (asked.Repository.IsOfficial)
            return new Explanation(decision, RepositoryClassification.Official);

        var publisher = await FindPublisherAsync(asked.Repository, cancellationToken);
        decision = view.Decide(asked, publisher);
        return decision.Classification.Category != RepositoryCategory.Unknown
            ? new Explanation(decision, decision.Classification)
            : new Explanation(decision, RepositoryClassifier.Classify(asked.Repository, NoNamespaces, publisher));
    }

    private ValueTask<PublisherFacts> FindPublisherAsync(RepositoryName repository, CancellationToken cancellationToken) =>
        catalog.FindAsync(repository.Namespace, payer, cancellationToken);

    private async Task<AccessDecision> DecideLaterAsync(Asked asked, ValueTask<PublisherFacts> publisher) =>
        view.Decide(asked, await publisher);
}

/// <summary>The decision on a request.</summary>
/// <param name="Decision">What holds for the request.</param>
/// <param name="Later">Where an organization only observes and the publisher is not known yet: what the decision will turn out to have been.</param>
internal sealed record Judgement(AccessDecision Decision, Task<AccessDecision>? Later)
{
    /// <summary>The text of a denial that is only observed, as far as it is known by now.</summary>
    public async ValueTask<string?> WarningAsync()
    {
        var known = Later is null ? Decision : Later.IsCompletedSuccessfully ? await Later : null;
        return known is { Outcome: AccessOutcome.Observe } ? DenialText.Of(known).ToString() : null;
    }
}

/// <summary>A decision as a person is told it.</summary>
/// <param name="Decision">The decision.</param>
/// <param name="Classification">The category, also where the decision came about without it.</param>
internal sealed record Explanation(AccessDecision Decision, RepositoryClassification Classification);
