using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>A token of the API that somebody wants to have.</summary>
internal sealed record TokenGrant
{
    /// <summary>The characters of a label.</summary>
    public const int MaximumLabel = 64;

    public static readonly TimeSpan DefaultLifetime = TimeSpan.FromDays(90);

    public static readonly TimeSpan ShortestLifetime = TimeSpan.FromDays(1);

    public static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(365);

    public required string Role { get; init; }

    /// <summary>Null for every organization.</summary>
    public string? Organization { get; init; }

    /// <summary>The Docker Hub user without whose role it ends; null for one of the server's own.</summary>
    public string? Person { get; init; }

    /// <summary>The token that it is made with; null on the server.</summary>
    public long? Parent { get; init; }

    public required string Label { get; init; }

    public TimeSpan Lifetime { get; init; } = DefaultLifetime;

    /// <summary>What is wrong with it; the part that is wrong, and a sentence after it.</summary>
    public IEnumerable<(string Part, string Fault)> Faults(Policy policy)
    {
        var role = RoleNames.Find(Role);
        if (role == Core.Policies.Roles.None)
            yield return ("role", $"'{PrintableText.Of(Role)}' is not one of {RoleNames.All}");
        if (role == Core.Policies.Roles.CompanyOwner && Organization is not null)
            yield return ("organization", "does not go with the role company-owner, which is for every organization");
        if (Organization is not null && policy.Organizations.All(known => known.Name != Organization))
            yield return ("organization", $"'{PrintableText.Of(Organization)}' is not in the policy");
        if (Person is not null && !AccountName.IsUser(Person))
            yield return ("for", $"'{PrintableText.Of(Person)}' is no user name of Docker Hub");
        if (PrintableText.FaultOf(Label, MaximumLabel) is { } fault)
            yield return ("label", fault);
        if (Lifetime < ShortestLifetime || Lifetime > LongestLifetime)
            yield return ("expires", "must be 1 to 365 days from now");
    }
}
