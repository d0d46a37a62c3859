using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Store;
using static ImageAccess.Core.Policies.Roles;

namespace ImageAccess.Proxy.Administration.Roles;

/// <summary>Looks roles up, on every question, in the policy in force and the member lists. Nothing is remembered: who lost a role has it no longer.</summary>
internal sealed class RoleBook(IPolicyStore policies, MembershipDirectory directory, NamedAccounts accounts)
{
    private const Core.Policies.Roles All = Member | Auditor | Approver | Administrator | Owner | OnCall | CompanyOwner;

    /// <summary>The actor's roles now.</summary>
    /// <param name="actor">Who.</param>
    /// <param name="organization">In which organization; null for what all organizations share.</param>
    public Core.Policies.Roles Of(Actor actor, string? organization)
    {
        if (actor.IsServer)
            return All;
        if (actor.Fixed is not { } roles)
            return OfPerson(actor.Name, actor.Account, organization) & (actor.Most ?? All);
        if (actor.Organization is not null)
            return actor.Organization == organization ? roles & ~CompanyOwner : None;
        return organization is null ? roles & CompanyOwner : roles;
    }

    public Core.Policies.Roles OfPerson(string username, string? organization) => OfPerson(username, account: null, organization);

    /// <summary>Whether a person may not even ask for access in an organization, or may no more.</summary>
    public bool HasLeft(string username, string organization) => !Rights.Allow(OfPerson(username, organization), Operation.AskForAccess);

    /// <summary>Of a name that more than one account was seen with, nobody has a role until it is known which account asks.</summary>
    private Core.Policies.Roles OfPerson(string username, string? account, string? organization)
    {
        if (policies.State is not { Policy: var policy } || username.Length == 0)
            return None;
        var caller = account is null
            ? directory.DescribeHolder(Caller.SignedIn(username, username), policy)
            : directory.Describe(Caller.SignedIn(username, account), policy);
        if (account is null && accounts.IsDisputed(caller.Name!, policy))
            caller = caller.WithNameSuspended();
        return policy.RolesOf(caller, organization);
    }
}
