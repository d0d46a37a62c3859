using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Roles;

/// <summary>Who says that somebody has a role.</summary>
/// <param name="Role">One role.</param>
/// <param name="Name"><see cref="Document"/>, <see cref="MemberList"/> or <see cref="OfTeam"/>.</param>
internal sealed record RoleSource(Core.Policies.Roles Role, string Name)
{
    public const string Document = "document";

    public const string MemberList = "member-list";

    /// <summary>The document, by a team that the member list says they are in.</summary>
    public const string OfTeam = "team";

    /// <summary>The team.</summary>
    public string? Team { get; init; }

    /// <summary>Also where the member list does not name the account.</summary>
    public bool IsExternal { get; init; }
}

/// <summary>Who has a role, or would have it if the member list named the account: a person, or a team of Docker Hub.</summary>
/// <param name="Organization">Where; null for what all organizations share.</param>
/// <param name="Name">The user name, or the team's.</param>
internal sealed record NamedHolder(string? Organization, string Name, bool IsTeam);

/// <summary>Who says who has which role beyond a member's: the document and the member lists. What counts of it at this moment says <see cref="RoleBook"/>.</summary>
internal sealed class RoleSources(IPolicyStore policies, MembershipDirectory directory)
{
    /// <summary>Of all organizations, and of what they share.</summary>
    public ILookup<NamedHolder, RoleSource> All()
    {
        var (document, lists) = (policies.Current.Document, directory.Book.Lists);
        return document.CompanyOwners.Select(owner => Written(null, owner, Core.Policies.Roles.CompanyOwner))
            .Concat(document.Organizations.SelectMany(organization => Of(organization, lists.GetValueOrDefault(organization.Name))))
            .ToLookup(held => held.Holder, held => held.Source);
    }

    private static IEnumerable<(NamedHolder Holder, RoleSource Source)> Of(OrganizationDocument organization, MemberList? list)
    {
        var written = organization.Owners.Select(name => Written(organization.Name, new RoleHolder(name, IsTeam: false, organization.ExternalOwners.Contains(name)), Core.Policies.Roles.Owner))
            .Concat(organization.Roles.Holders().Select(held => Written(organization.Name, held.Holder, held.Role)));
        var byTeam = organization.Roles.Holders().Where(held => held.Holder.IsTeam).ToLookup(held => held.Holder.Name, held => held.Role);
        return written.Concat((list?.Members ?? []).SelectMany(member => Listed(organization.Name, member, byTeam)));
    }

    private static IEnumerable<(NamedHolder Holder, RoleSource Source)> Listed(string organization, MemberRecord member, ILookup<string, Core.Policies.Roles> byTeam)
    {
        var holder = new NamedHolder(organization, member.Username, IsTeam: false);
        if (member.Role == OrganizationRole.Owner)
            yield return (holder, new RoleSource(Core.Policies.Roles.Owner, RoleSource.MemberList));
        foreach (var team in member.Teams)
        {
            foreach (var role in byTeam[team])
                yield return (holder, new RoleSource(role, RoleSource.OfTeam) { Team = team });
        }
    }

    private static (NamedHolder Holder, RoleSource Source) Written(string? organization, RoleHolder holder, Core.Policies.Roles role) =>
        (new NamedHolder(organization, holder.Name, holder.IsTeam), new RoleSource(role, RoleSource.Document) { IsExternal = holder.IsExternal });
}
