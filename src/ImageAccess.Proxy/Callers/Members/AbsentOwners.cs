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

/// <summary>Tells in the log, once for each, which owners count as members.</summary>
internal sealed class AbsentOwnerWarnings(MembershipDirectory directory, IPolicyStore policies, ILogger<AbsentOwnerWarnings> logger)
{
    private readonly Lock _gate = new();
    private HashSet<(string Organization, string Name)> _said = [];

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
        }
    }
}
