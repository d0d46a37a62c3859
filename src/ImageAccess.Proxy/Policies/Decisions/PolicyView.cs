using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// One policy, as one caller meets it at one instant. Whoever wants to know what the policy engine says asks here: with a catalog
/// through a <see cref="Judge"/>, without one directly.
/// </summary>
internal readonly record struct PolicyView(Policy Policy, Caller Caller, DateTimeOffset Now)
{
    /// <summary>At the beginning of a day in UTC.</summary>
    public PolicyView(Policy policy, Caller caller, DateOnly day)
        : this(policy, caller, new DateTimeOffset(day, TimeOnly.MinValue, TimeSpan.Zero))
    {
    }

    /// <param name="asked">What the caller asks for.</param>
    /// <param name="publisher">What is known of its publisher.</param>
    public AccessDecision Decide(Asked asked, PublisherFacts publisher) =>
        PolicyEngine.Decide(Policy, Caller, asked, publisher, Now);

    /// <summary>For where no catalog can be asked: when the answer depends on a publisher who is not known, both answers that it may be.</summary>
    /// <param name="asked">What the caller asks for.</param>
    /// <param name="known">What is known of its publisher without a catalog; <see cref="PublisherFacts.NotAsked"/> for nothing.</param>
    public Forecast Foresee(Asked asked, PublisherFacts known)
    {
        var decision = Decide(asked, known);
        return decision.NeedsPublisher
            ? new Forecast(decision, Assume(asked, NamespaceBadge.VerifiedPublisher), Assume(asked, NamespaceBadge.None))
            : new Forecast(decision, null, null);
    }

    private AccessDecision Assume(Asked asked, NamespaceBadge badge) =>
        Decide(asked, PublisherFacts.Known(new NamespaceRecord(asked.Repository.Namespace, badge, "assumed", DateTimeOffset.UnixEpoch)));
}

/// <summary>What the policy engine says without a catalog.</summary>
/// <param name="Decision">The decision with what is known.</param>
/// <param name="IfVerified">The decision if the publisher is a verified one; null when it does not depend on the publisher.</param>
/// <param name="IfCommunity">The decision if it is not.</param>
internal sealed record Forecast(AccessDecision Decision, AccessDecision? IfVerified, AccessDecision? IfCommunity);
