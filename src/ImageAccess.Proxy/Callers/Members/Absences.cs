using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>The owners by the policy who count as members, because their organization's member list does not name them.</summary>
/// <param name="Organization">Whose they would be.</param>
/// <param name="ReadAt">When the list was read.</param>
/// <param name="Names">Their user names; never empty.</param>
internal sealed record AbsentOwners(string Organization, DateTimeOffset ReadAt, IReadOnlyList<string> Names)
{
    private const int MaximumTold = 10;

    public static IReadOnlyList<AbsentOwners> Find(Policy policy, MemberBook book) =>
    [
        .. from organization in policy.Document.Organizations
           let names = organization.Owners.Except(organization.ExternalOwners).Where(name => book.Lacks(book.Named(name), organization.Name)).ToList()
           where names.Count > 0
           select new AbsentOwners(organization.Name, book.Lists[organization.Name].ReadAt, names),
    ];

    /// <summary>The names for a line that is not to be endless.</summary>
    public override string ToString() => PrintableText.ListOf(Names, MaximumTold);
}

/// <summary>A role that the policy gives by name, and that these do not have, because no member list names them where one should.</summary>
/// <param name="Organization">In which organization; null for what all of them share.</param>
/// <param name="Role">As the API writes it.</param>
/// <param name="Names">Their user names; never empty.</param>
internal sealed record AbsentRole(string? Organization, string Role, IReadOnlyList<string> Names)
{
    private const int MaximumTold = 5;

    public static IReadOnlyList<AbsentRole> Find(Policy policy, MemberBook book) =>
    [
        .. from owners in AbsentOwners.Find(policy, book)
           select new AbsentRole(owners.Organization, "owner", owners.Names),
        .. from organization in policy.Document.Organizations
           from held in organization.Roles.Holders()
           where held.Holder is { IsTeam: false, IsExternal: false } && book.Lacks(book.Named(held.Holder.Name), organization.Name)
           group held.Holder.Name by (organization.Name, held.Role) into lost
           select new AbsentRole(lost.Key.Name, NameOf(lost.Key.Role), [.. lost.Distinct()]),
        .. from lost in OfCompany(policy, book)
           select lost,
    ];

    /// <summary>With how many there are beyond a few.</summary>
    public override string ToString() => $"{Role} of {Organization ?? "the company"}: {PrintableText.ListOf(Names, MaximumTold)}";

    /// <summary>A company owner has to be on one of the lists that were read.</summary>
    private static IEnumerable<AbsentRole> OfCompany(Policy policy, MemberBook book)
    {
        var read = policy.Organizations.Select(organization => organization.Name).Where(book.Lists.ContainsKey).ToList();
        var external = policy.Document.CompanyOwners.Where(owner => owner.IsExternal).Select(owner => owner.Name).ToHashSet(StringComparer.Ordinal);
        var lost = policy.Document.CompanyOwners.Select(owner => owner.Name).Distinct()
            .Where(name => !external.Contains(name) && read.Count > 0 && read.TrueForAll(organization => book.Lacks(book.Named(name), organization)))
            .ToList();
        if (lost.Count > 0)
            yield return new AbsentRole(null, "company-owner", lost);
    }

    private static string NameOf(Roles role) => role switch
    {
        Roles.Administrator => "administrator",
        Roles.Approver => "approver",
        Roles.Auditor => "auditor",
        _ => "on-call",
    };
}

/// <summary>Tells in the log, once for each, which owners count as members and who has lost a role.</summary>
internal sealed class AbsenceWarnings(MembershipDirectory directory, IPolicyStore policies, ILogger<AbsenceWarnings> logger)
{
    private readonly Lock _gate = new();
    private HashSet<(string Organization, string Name)> _said = [];
    private HashSet<(string? Organization, string Role, string Name)> _saidOfRoles = [];

    /// <summary>The roles that are lost at this moment.</summary>
    public IReadOnlyList<AbsentRole> Roles => policies.State is { } state ? AbsentRole.Find(state.Policy, directory.Book) : [];

    /// <summary>Looks now, and each time that another policy has come into force.</summary>
    public void Watch()
    {
        policies.WhenChanged(_ => Look());
        Look();
    }

    public void Look()
    {
        if (policies.State is not { } state)
            return;
        lock (_gate)
        {
            var absent = AbsentOwners.Find(state.Policy, directory.Book);
            foreach (var owners in absent)
            {
                var news = owners.Names.Where(name => !_said.Contains((owners.Organization, name))).ToList();
                if (news.Count > 0)
                    logger.OwnersAbsent(owners.Organization, owners.ReadAt, owners with { Names = news });
            }

            _said = [.. absent.SelectMany(owners => owners.Names, (owners, name) => (owners.Organization, name))];
            LookAtRoles(state.Policy);
        }
    }

    private void LookAtRoles(Policy policy)
    {
        var lost = AbsentRole.Find(policy, directory.Book).Where(role => role.Role != "owner").ToList(); // those have been told
        foreach (var role in lost)
        {
            var news = role.Names.Where(name => !_saidOfRoles.Contains((role.Organization, role.Role, name))).ToList();
            if (news.Count > 0)
                logger.RolesAbsent(role with { Names = news });
        }

        _saidOfRoles = [.. lost.SelectMany(role => role.Names, (role, name) => (role.Organization, role.Role, name))];
    }
}
