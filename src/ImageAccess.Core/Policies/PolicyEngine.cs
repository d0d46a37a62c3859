using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>Applies the rules in their order. The first that applies decides; when none applies, the request is denied.</summary>
public static class PolicyEngine
{
    /// <param name="policy">One snapshot, the same for the whole request.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="asked">What for; reading and writing are judged alike, but for exceptions.</param>
    /// <param name="publisher">
    /// What is known about the repository's namespace. Begin with <see cref="PublisherFacts.NotAsked"/>:
    /// <see cref="AccessDecision.NeedsPublisher"/> tells whether a rule needs more.
    /// </param>
    /// <param name="now">The instant of the request, for what expires.</param>
    public static AccessDecision Decide(Policy policy, Caller caller, Asked asked, PublisherFacts publisher, DateTimeOffset now)
    {
        var repository = asked.Repository;
        if (policy.Blocks.Find(asked) is { } block)
            return DenyBlocked(policy, caller, block);
        if (!policy.IsEnabled)
            return Conclude(policy, AccessOutcome.Allow, Allow(PolicyRule.Off, RepositoryClassification.Unknown), repository, []);

        var own = OwnRuns(policy, caller);
        var judgedUnder = NamesOf(own, policy);
        if (JudgeCaller(policy, caller, isMember: own.Count > 0) is { } refusal)
        {
            return Conclude(policy, policy.Enforces(now) ? AccessOutcome.Deny : AccessOutcome.Observe, refusal, repository, judgedUnder);
        }

        // An image that belongs to no organization has the same category in every run, so the first of several denials is enough.
        Verdict? denied = null, observed = null, allowed = null;
        List<string>? deniedBy = null;
        var granted = asked.IsPull && policy.Exceptions.Count > 0 ? new Granted(policy, asked, now) : null;
        foreach (var run in own.Count > 0 ? own : EveryOrganization(policy))
        {
            var verdict = Judge(run, asked, publisher, now, granted, policy);
            if (verdict.Allows)
                allowed = allowed is null or { Rule: PolicyRule.Off } || verdict.Rule is PolicyRule.Exception or PolicyRule.BreakGlass ? verdict : allowed;
            else if (policy.Observes(run.Organization, now))
                observed ??= verdict;
            else
                (denied, deniedBy) = (denied ?? verdict, own.Count > 0 ? [.. deniedBy ?? [], run.Organization.Name] : null);
        }

        if (denied is not null)
            return Conclude(policy, AccessOutcome.Deny, denied, repository, judgedUnder, deniedBy: deniedBy);
        if (observed is not null)
            return Conclude(policy, AccessOutcome.Observe, observed, repository, judgedUnder, granted);
        return allowed is not null
            ? Conclude(policy, AccessOutcome.Allow, allowed, repository, judgedUnder, granted)
            : Conclude(policy, AccessOutcome.Deny, CannotTell(repository, publisher, null), repository, judgedUnder);
    }

    /// <summary>The organizations that the caller is judged under; the default one where he belongs to none.</summary>
    public static IReadOnlyList<string> OrganizationsOf(Policy policy, Caller caller) => NamesOf(OwnRuns(policy, caller), policy);

    /// <summary>Denies without a judgement: who asks, or what holds, could not be found out.</summary>
    /// <param name="policy">What the denial stands for.</param>
    /// <param name="cause">Why, in words that a user understands.</param>
    public static AccessDecision DenyUndecided(Policy policy, string cause) =>
        new(AccessOutcome.Deny, PolicyRule.Unknown, $"image access unavailable: {cause}", RepositoryClassification.Unknown, null)
        {
            Help = policy.DefaultOrganization?.Help,
            Organizations = NamesOf([], policy),
        };

    /// <summary>Denies content that turns out to be outside of the images that an allow was limited to.</summary>
    /// <param name="allowed">The decision that the content was asked for with.</param>
    /// <param name="outside">What was found.</param>
    public static AccessDecision DenyOutside(AccessDecision allowed, OutsideException outside)
    {
        var limit = outside.Limit;
        var message = outside.Moved is { } moved
            ? $"image access denied: {moved.Pattern} was approved as {moved.Approved}, and has changed since"
            : $"image access denied: only approved images of {NameOf(limit.Exceptions[0].Pattern.Asked!.Value.Repository)} are allowed";
        return new AccessDecision(AccessOutcome.Deny, PolicyRule.Exception, message, allowed.Classification, null)
        {
            Help = limit.Help,
            HasMoved = outside.Moved is not null,
            Exceptions = outside.Moved is { } one ? [one] : limit.Exceptions,
            Organizations = allowed.Organizations,
        };
    }

    /// <summary>Denies whoever asks, also where image access is off or no organization is known.</summary>
    private static AccessDecision DenyBlocked(Policy policy, Caller caller, Block block) => new(
        AccessOutcome.Deny, PolicyRule.Block, $"image access denied: {block.Pattern} is blocked", RepositoryClassification.Unknown, null)
    {
        Block = block,
        Help = policy.DefaultOrganization?.Help,
        Organizations = NamesOf(OwnRuns(policy, caller), policy),
    };

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
    private static Verdict Judge(Run run, Asked asked, PublisherFacts publisher, DateTimeOffset now, Granted? granted, Policy policy)
    {
        var (organization, repository) = (run.Organization, asked.Repository);
        var classification = RepositoryClassifier.Classify(repository, run.Namespaces, publisher);
        if (!organization.Enabled)
            return Allow(PolicyRule.Off, classification);
        if (run.IsExempt)
            return Allow(PolicyRule.Owner, classification);
        var approvedThrough = organization.ApprovedThrough(repository);
        if (DateOnly.FromDateTime(now.UtcDateTime) <= approvedThrough)
            return Allow(PolicyRule.Allowlist, classification);
        if (granted?.OpenWhole(organization) == true)
            return Allow(PolicyRule.Exception, classification);
        if (asked.IsPull && policy.Opens(organization, repository, now))
            return Allow(PolicyRule.BreakGlass, classification);

        var verdict = JudgeCategory(organization, repository, publisher, classification, approvedThrough);
        return !verdict.Allows && (!verdict.NeedsPublisher || organization is { AllowsCommunity: false, AllowsVerifiedPublisher: false })
            && granted?.OpenPart(organization, policy.Observes(organization, now)) == true
            ? Allow(PolicyRule.Exception, classification)
            : verdict;
    }

    private static Verdict JudgeCategory(
        OrganizationPolicy organization, RepositoryName repository, PublisherFacts publisher, RepositoryClassification classification, DateOnly? approvedThrough)
    {
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
                    : CannotTell(repository, publisher, organization, approvedThrough);
        }

        Verdict Switch(bool allows, string rule, string kind) => allows
            ? Allow(rule, classification)
            : Deny(rule, $"image access denied: {kind} images not allowed", organization, classification, approvedThrough);
    }

    /// <summary>A run for each organization that the caller belongs to, each with the namespaces of all of them, or of the whole company.</summary>
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
                own.Add(new Run(organization, IsExempt(policy, role), policy.NamespacesFor(organization)));
        }

        if (own.Count < 2 || policy.Document.Company)
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
            every.Add(new Run(organization, IsExempt: false, policy.NamespacesFor(organization)));
        return every;
    }

    private static bool IsExempt(Policy policy, OrganizationRole role) =>
        role == OrganizationRole.Owner && !policy.Document.Callers.JudgeOwners;

    /// <summary>Whom the caller is judged under.</summary>
    private static List<string> NamesOf(List<Run> own, Policy policy) => own.Count > 0
        ? own.ConvertAll(run => run.Organization.Name)
        : policy.DefaultOrganization is { } organization ? [organization.Name] : [];

    /// <summary>As people write it.</summary>
    private static string NameOf(RepositoryName repository) => repository.IsOfficial ? repository.Value[(RepositoryName.Library.Length + 1)..] : repository.Value;

    private static OrganizationPolicy? AccountOf(Policy policy, Caller caller) =>
        caller.Name is { } name ? policy.OrganizationAccounts.GetValueOrDefault(name) : null;

    private static Verdict Allow(string rule, RepositoryClassification classification) =>
        new(true, rule, null, classification, null, NeedsPublisher: false);

    private static Verdict Deny(
        string rule, string message, OrganizationPolicy? organization, RepositoryClassification? classification = null, DateOnly? approvalEnded = null) =>
        new(false, rule, message, classification ?? RepositoryClassification.Unknown, organization, NeedsPublisher: false) { ApprovalEnded = approvalEnded };

    private static Verdict CannotTell(
        RepositoryName repository, PublisherFacts publisher, OrganizationPolicy? organization, DateOnly? approvalEnded = null) => new(
        false,
        PolicyRule.Unknown,
        $"image access unavailable: the publisher of {repository.Namespace} could not be verified, try again",
        RepositoryClassification.Unknown,
        organization,
        NeedsPublisher: ReferenceEquals(publisher, PublisherFacts.NotAsked))
        {
            ApprovalEnded = approvalEnded,
        };

    private static AccessDecision Conclude(
        Policy policy, AccessOutcome outcome, Verdict verdict, RepositoryName repository, IReadOnlyList<string> organizations, Granted? granted = null, List<string>? deniedBy = null) =>
        new(
            outcome,
            verdict.Rule,
            verdict.Message,
            verdict.Classification,
            outcome == AccessOutcome.Deny ? null : new Permit(repository, policy.Blocks, granted?.Limits ?? [], organizations))
        {
            Exceptions = verdict.Rule == PolicyRule.Exception ? granted?.Exceptions ?? [] : [],
            Help = verdict.Organization?.Help,
            ApprovalEnded = verdict.ApprovalEnded,
            Organizations = organizations,
            DeniedBy = deniedBy ?? [],
            NeedsPublisher = verdict.NeedsPublisher,
        };

    /// <summary>The exceptions that come into question for one request, and those that have opened something so far.</summary>
    private sealed class Granted(Policy policy, Asked asked, DateTimeOffset now)
    {
        private List<GrantedException>? _exceptions;
        private List<PermitLimit>? _limits;

        public IReadOnlyList<GrantedException> Exceptions => _exceptions ?? (IReadOnlyList<GrantedException>)[];

        public IReadOnlyList<PermitLimit> Limits => _limits ?? (IReadOnlyList<PermitLimit>)[];

        public bool OpenWhole(OrganizationPolicy organization)
        {
            if (policy.Exceptions.FindWhole(organization.Name, asked.Repository, policy.Document.Exceptions, now) is not { } exception)
                return false;
            (_exceptions ??= []).Add(exception);
            return true;
        }

        /// <param name="organization">Whose exceptions.</param>
        /// <param name="observes">It refuses nothing, so it limits nothing.</param>
        public bool OpenPart(OrganizationPolicy organization, bool observes)
        {
            if (policy.Exceptions.FindParts(organization.Name, asked, policy.Document.Exceptions, now) is not { Count: > 0 } exceptions)
                return false;
            (_exceptions ??= []).AddRange(exceptions);
            if (!observes)
                (_limits ??= []).Add(new PermitLimit(organization, exceptions));
            return true;
        }
    }

    private sealed record Run(OrganizationPolicy Organization, bool IsExempt, IReadOnlySet<string> Namespaces);

    private sealed record Verdict(
        bool Allows,
        string Rule,
        string? Message,
        RepositoryClassification Classification,
        OrganizationPolicy? Organization,
        bool NeedsPublisher)
    {
        /// <inheritdoc cref="AccessDecision.ApprovalEnded"/>
        public DateOnly? ApprovalEnded { get; init; }
    }
}
