using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>Applies the rules in their order. The first that applies decides; when none applies, the request is denied.</summary>
public static class PolicyEngine
{
    /// <param name="policy">One snapshot, the same for the whole request.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="repository">What for; reading and writing are judged alike.</param>
    /// <param name="publisher">
    /// What is known about the repository's namespace. Begin with <see cref="PublisherFacts.NotAsked"/>:
    /// <see cref="AccessDecision.NeedsPublisher"/> tells whether a rule needs more.
    /// </param>
    /// <param name="today">The day in UTC, for what expires.</param>
    public static AccessDecision Decide(Policy policy, Caller caller, RepositoryName repository, PublisherFacts publisher, DateOnly today)
    {
        if (!policy.IsEnabled)
            return Conclude(AccessOutcome.Allow, Allow(PolicyRule.Off, RepositoryClassification.Unknown), repository, []);

        var own = OwnRuns(policy, caller);
        IReadOnlyList<string> judgedUnder = own.Count > 0 ? own.ConvertAll(run => run.Organization.Name) : [policy.DefaultOrganization!.Name];
        if (JudgeCaller(policy, caller, isMember: own.Count > 0) is { } refusal)
        {
            var enforced = policy.Organizations.Any(o => o.Enabled && !o.Observes(today));
            return Conclude(enforced ? AccessOutcome.Deny : AccessOutcome.Observe, refusal, repository, judgedUnder);
        }

        // An image that belongs to no organization has the same category in every run, so the first of several denials is enough.
        Verdict? denied = null, observed = null, allowed = null;
        foreach (var run in own.Count > 0 ? own : EveryOrganization(policy))
        {
            var verdict = Judge(run, repository, publisher, today);
            if (verdict.Allows)
                allowed = allowed is null or { Rule: PolicyRule.Off } ? verdict : allowed;
            else if (run.Organization.Observes(today))
                observed ??= verdict;
            else
                denied ??= verdict;
        }

        if (denied is not null)
            return Conclude(AccessOutcome.Deny, denied, repository, judgedUnder);
        if (observed is not null)
            return Conclude(AccessOutcome.Observe, observed, repository, judgedUnder);
        return allowed is not null
            ? Conclude(AccessOutcome.Allow, allowed, repository, judgedUnder)
            : Conclude(AccessOutcome.Deny, CannotTell(repository, publisher, null), repository, judgedUnder);
    }

    /// <summary>Applies the rules that look only at the caller; null when none of them denies.</summary>
    private static Verdict? JudgeCaller(Policy policy, Caller caller, bool isMember)
    {
        var callers = policy.Document.Callers;
        var organization = policy.DefaultOrganization;
        if (caller.IsAnonymous)
        {
            return callers.DenyAnonymous
                ? Deny(PolicyRule.SignIn, "image access denied: sign in with your organization account", organization)
                : null;
        }

        var account = AccountOf(policy, caller);
        if (callers.DenyOrganizationTokens && (account is not null || caller.IsOrganizationToken))
        {
            return Deny(
                PolicyRule.OrganizationToken,
                "image access denied: organization access tokens are not supported, use a personal access token",
                account ?? organization);
        }

        return callers.DenyOutsiders && !isMember
            ? Deny(PolicyRule.Outsider, $"image access denied: {caller.DisplayName} is not a member of {organization!.Name}", organization)
            : null;
    }

    /// <summary>Applies the rules that look at the repository, for one organization.</summary>
    private static Verdict Judge(Run run, RepositoryName repository, PublisherFacts publisher, DateOnly today)
    {
        var organization = run.Organization;
        var classification = RepositoryClassifier.Classify(repository, run.Namespaces, publisher);
        if (!organization.Enabled)
            return Allow(PolicyRule.Off, classification);
        if (run.Role == OrganizationRole.Owner)
            return Allow(PolicyRule.Owner, classification);
        if (organization.Approves(repository, today))
            return Allow(PolicyRule.Allowlist, classification);

        switch (classification.Category)
        {
            case RepositoryCategory.Organization:
                return Allow(PolicyRule.Organization, classification);
            case RepositoryCategory.Official:
                return Switch(organization.AllowsOfficial, PolicyRule.Official, "official");
            case RepositoryCategory.VerifiedPublisher:
                return Switch(organization.AllowsVerifiedPublisher, PolicyRule.VerifiedPublisher, "verified publisher");
            case RepositoryCategory.Community:
                return Switch(organization.AllowsCommunity, PolicyRule.Community, "community");
            default:
                // Only the publisher's record tells these two categories apart, and both are allowed: the record is not needed.
                return organization is { AllowsCommunity: true, AllowsVerifiedPublisher: true }
                    ? Allow(PolicyRule.Community, classification)
                    : CannotTell(repository, publisher, organization);
        }

        Verdict Switch(bool allows, string rule, string kind) => allows
            ? Allow(rule, classification)
            : Deny(rule, $"image access denied: {kind} images not allowed", organization, classification);
    }

    /// <summary>A run for each organization that the caller belongs to, each with the namespaces of all of them.</summary>
    private static List<Run> OwnRuns(Policy policy, Caller caller)
    {
        var own = new List<Run>();
        if (caller.IsAnonymous)
            return own;

        var account = AccountOf(policy, caller);
        foreach (var organization in policy.Organizations)
        {
            var role = organization.RoleOf(caller);
            if (role == OrganizationRole.None && organization == account)
                role = OrganizationRole.Member;
            if (role != OrganizationRole.None)
                own.Add(new Run(organization, role, organization.Namespaces));
        }

        if (own.Count < 2)
            return own;
        var all = new HashSet<string>();
        foreach (var run in own)
            all.UnionWith(run.Namespaces);
        return own.ConvertAll(run => run with { Namespaces = all });
    }

    /// <summary>A caller who belongs to no organization is judged as a plain member of each, so that signing out opens nothing.</summary>
    private static List<Run> EveryOrganization(Policy policy)
    {
        var every = new List<Run>(policy.Organizations.Count);
        foreach (var organization in policy.Organizations)
            every.Add(new Run(organization, OrganizationRole.Member, organization.Namespaces));
        return every;
    }

    private static OrganizationPolicy? AccountOf(Policy policy, Caller caller) =>
        caller.Name is { } name ? policy.OrganizationAccounts.GetValueOrDefault(name) : null;

    private static Verdict Allow(string rule, RepositoryClassification classification) =>
        new(true, rule, null, classification, null, NeedsPublisher: false);

    private static Verdict Deny(string rule, string message, OrganizationPolicy? organization, RepositoryClassification? classification = null) =>
        new(false, rule, message, classification ?? RepositoryClassification.Unknown, organization, NeedsPublisher: false);

    private static Verdict CannotTell(RepositoryName repository, PublisherFacts publisher, OrganizationPolicy? organization) => new(
        false,
        PolicyRule.Unknown,
        $"image access unavailable: the publisher of {repository.Namespace} could not be verified, try again",
        RepositoryClassification.Unknown,
        organization,
        NeedsPublisher: ReferenceEquals(publisher, PublisherFacts.NotAsked));

    private static AccessDecision Conclude(
        AccessOutcome outcome, Verdict verdict, RepositoryName repository, IReadOnlyList<string> organizations) =>
        new(outcome, verdict.Rule, verdict.Message, verdict.Classification, outcome == AccessOutcome.Deny ? null : new Permit(repository))
        {
            Help = verdict.Organization?.Help,
            Organizations = organizations,
            NeedsPublisher = verdict.NeedsPublisher,
        };

    private sealed record Run(OrganizationPolicy Organization, OrganizationRole Role, IReadOnlySet<string> Namespaces);

    private sealed record Verdict(
        bool Allows,
        string Rule,
        string? Message,
        RepositoryClassification Classification,
        OrganizationPolicy? Organization,
        bool NeedsPublisher);
}
