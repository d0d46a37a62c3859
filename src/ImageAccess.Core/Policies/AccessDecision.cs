using ImageAccess.Core.Classification;

namespace ImageAccess.Core.Policies;

/// <summary>The outcome of a decision; zero denies.</summary>
public enum AccessOutcome
{
    Deny,
    Allow,

    /// <summary>Allowed although a rule denies it, because the organization only observes.</summary>
    Observe,
}

public static class AccessOutcomeNames
{
    public static string ToWireName(this AccessOutcome outcome) => outcome switch
    {
        AccessOutcome.Allow => "allow",
        AccessOutcome.Observe => "observe",
        _ => "deny",
    };
}

/// <summary>The rules' names, in their order.</summary>
public static class PolicyRule
{
    public const string Block = "block";
    public const string Off = "off";
    public const string SignIn = "sign-in";
    public const string OrganizationToken = "organization-token";
    public const string Outsider = "outsider";
    public const string Owner = "owner";
    public const string Allowlist = "allowlist";
    public const string Exception = "exception";
    public const string BreakGlass = "break-glass";
    public const string Organization = "organization";
    public const string Official = "official";
    public const string VerifiedPublisher = "verified-publisher";
    public const string Community = "community";
    public const string Unknown = "unknown";

    public static IReadOnlyList<string> All { get; } =
        [Block, Off, SignIn, OrganizationToken, Outsider, Owner, Allowlist, Exception, BreakGlass, Organization, Official, VerifiedPublisher, Community, Unknown];
}

/// <summary>The engine's answer. An allow carries a permit; a denial carries its message.</summary>
public sealed class AccessDecision
{
    internal AccessDecision(AccessOutcome outcome, string rule, string? message, RepositoryClassification classification, Permit? permit)
    {
        Outcome = outcome;
        Rule = rule;
        Message = message;
        Classification = classification;
        Permit = permit;
    }

    public AccessOutcome Outcome { get; }

    /// <summary>The rule that answered (<see cref="PolicyRule"/>).</summary>
    public string Rule { get; }

    /// <summary>Why it is denied, or would be if the organization did not only observe; null for an allow.</summary>
    public string? Message { get; }

    /// <summary>Where a person can ask; follows the message.</summary>
    public string? Help { get; internal init; }

    /// <summary>Of a denial: the last day on which the allowlist approved the repository, when all its entries for it have expired.</summary>
    public DateOnly? ApprovalEnded { get; internal init; }

    /// <summary>Of a denial: the block, where the rule is <see cref="PolicyRule.Block"/>.</summary>
    public Block? Block { get; internal init; }

    /// <summary>The exceptions that opened it, where the rule is <see cref="PolicyRule.Exception"/>: of each organization those that come into question.</summary>
    public IReadOnlyList<GrantedException> Exceptions { get; internal init; } = [];

    /// <summary>Of a denial: what was asked for is a tag that is another image than the one that was approved.</summary>
    public bool HasMoved { get; internal init; }

    public RepositoryClassification Classification { get; }

    /// <summary>The organizations that the caller was judged under.</summary>
    public IReadOnlyList<string> Organizations { get; internal init; } = [];

    /// <summary>Of a denial of the image: those of the caller's own organizations that deny it. None for a caller who belongs to no organization.</summary>
    public IReadOnlyList<string> DeniedBy { get; internal init; } = [];

    /// <summary>
    /// A rule needs the publisher's record: decide again with it. Until then this decision holds. It is a denial when an organization
    /// enforces, and an allow when all organizations that need the record only observe.
    /// </summary>
    public bool NeedsPublisher { get; internal init; }

    /// <summary>Present exactly when content may be served.</summary>
    public Permit? Permit { get; }
}
