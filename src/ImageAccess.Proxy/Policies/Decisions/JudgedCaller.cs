using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>The caller for whom a person checks an image: an anonymous one, a user, a plain member of an organization, or a user who is a member too.</summary>
internal sealed record JudgedCaller(string? User, string? Organization)
{
    /// <summary>Whose questions to the catalog it takes.</summary>
    public CatalogPayer Payer { get; init; } = CatalogPayer.Namespace;

    /// <summary>What other organizations the user belongs to, and what they say, is not to be told.</summary>
    public bool IsOfOneAlone { get; init; }

    /// <summary>Finds the caller in a policy, whose own lists say what the user is.</summary>
    public bool TryResolve(Policy policy, [NotNullWhen(true)] out Caller? caller, out string problem)
    {
        caller = null;
        problem = "";
        if (User is { } user && !AccountName.IsUser(user.ToLowerInvariant()))
            problem = "that is no user name";
        else if (Organization is { } organization && policy.Organizations.All(known => known.Name != organization))
            problem = policy.Organizations.Count == 0
                ? "the policy names no organization"
                : $"the policy's organizations are {string.Join(", ", policy.Organizations.Select(known => known.Name))}";
        else if (User is null && Organization is null)
            caller = Caller.Anonymous;
        else
            caller = Caller.SignedIn(User, User ?? ToString(), Organization is null ? [] : [new Membership(Organization, OrganizationRole.Member)]);
        return caller is not null;
    }

    /// <summary>The caller as the one organization knows him, where no other is to be told of.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="caller">With all that is known of him.</param>
    public Caller Reduce(Policy policy, Caller caller) => IsOfOneAlone && Organization is not null
        ? Caller.SignedIn(null, ToString(), [new Membership(Organization, (policy.RolesOf(caller, Organization) & Roles.Owner) != Roles.None ? OrganizationRole.Owner : OrganizationRole.Member)])
        : caller;

    public override string ToString() => (User, Organization) switch
    {
        (null, null) => "an anonymous caller",
        (null, _) => $"a member of {Organization}",
        (_, null) => User,
        _ => $"{User}, a member of {Organization}",
    };
}
