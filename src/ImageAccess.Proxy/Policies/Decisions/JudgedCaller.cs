using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>The caller for whom a person checks an image: an anonymous one, a user, a plain member of an organization, or a user who is a member too.</summary>
internal sealed record JudgedCaller(string? User, string? Organization)
{
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

    public override string ToString() => (User, Organization) switch
    {
        (null, null) => "an anonymous caller",
        (null, _) => $"a member of {Organization}",
        (_, null) => User,
        _ => $"{User}, a member of {Organization}",
    };
}
