using System.Collections.Frozen;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>A compiled policy: an immutable snapshot, one for the whole of a request.</summary>
public sealed class Policy
{
    internal Policy(PolicyDocument document, string version)
    {
        Document = document;
        Version = version;
        Organizations = [.. document.Organizations.Select(o => new OrganizationPolicy(o))];
        IsEnabled = Organizations.Any(o => o.Enabled);
        DefaultOrganization = Organizations.FirstOrDefault(o => o.Name == document.DefaultOrganization)
            ?? (Organizations.Count > 0 ? Organizations[0] : null);
        OrganizationAccounts = Organizations
            .SelectMany(o => o.Namespaces.Append(o.Name).Select(account => (account, o)))
            .DistinctBy(pair => pair.account)
            .ToFrozenDictionary(pair => pair.account, pair => pair.o);
    }

    /// <summary>No document, no organization: image access is off.</summary>
    public static Policy Off { get; } = new(new PolicyDocument(), "none");

    public PolicyDocument Document { get; }

    /// <summary>The version of this document: the beginning of the SHA-256 of its bytes.</summary>
    public string Version { get; }

    public IReadOnlyList<OrganizationPolicy> Organizations { get; }

    /// <summary>The organization named in messages and events for callers who belong to none.</summary>
    public OrganizationPolicy? DefaultOrganization { get; }

    public bool IsEnabled { get; }

    /// <summary>User names of organization access tokens: an organization's name and namespaces.</summary>
    internal FrozenDictionary<string, OrganizationPolicy> OrganizationAccounts { get; }
}

/// <summary>One organization's part of a policy.</summary>
public sealed class OrganizationPolicy
{
    private readonly OrganizationDocument _document;
    private readonly FrozenSet<string> _owners;
    private readonly FrozenSet<string> _members;
    private readonly FrozenDictionary<string, DateOnly> _approvedRepositories;
    private readonly FrozenDictionary<string, DateOnly> _approvedNamespaces;

    internal OrganizationPolicy(OrganizationDocument document)
    {
        _document = document;
        Namespaces = (document.Namespaces.Count == 0 ? [document.Name] : document.Namespaces).ToFrozenSet();
        _owners = document.Owners.ToFrozenSet();
        _members = document.Members.ToFrozenSet();
        _approvedRepositories = LastDays(document.Allowlist.Where(entry => entry.Repository is not null), entry => entry.Repository!.Value);
        _approvedNamespaces = LastDays(document.Allowlist.Where(entry => entry.Repository is null), entry => entry.Namespace);
    }

    public string Name => _document.Name;

    public FrozenSet<string> Namespaces { get; }

    public bool Enabled => _document.Enabled;

    public string? Help => _document.Help;

    public bool AllowsOfficial => _document.AllowOfficial;

    public bool AllowsVerifiedPublisher => _document.AllowVerifiedPublisher;

    public bool AllowsCommunity => _document.AllowCommunity;

    /// <param name="today">The day in UTC.</param>
    public bool Observes(DateOnly today) => _document.Observe && (_document.ObserveUntil is not { } until || today <= until);

    /// <summary><c>off</c>, <c>observe</c> or <c>enforce</c>.</summary>
    public string Mode(DateOnly today) => !Enabled ? "off" : Observes(today) ? "observe" : "enforce";

    internal OrganizationRole RoleOf(Caller caller)
    {
        var listed = caller.IsNameSuspended ? null : caller.Name;
        if (listed is not null && _owners.Contains(listed))
            return OrganizationRole.Owner;

        var role = listed is not null && _members.Contains(listed) ? OrganizationRole.Member : OrganizationRole.None;
        foreach (var membership in caller.Memberships)
        {
            if (membership.Organization == Name && membership.Role > role)
                role = membership.Role;
        }

        return role;
    }

    /// <summary>Whether the allowlist names the repository, or its whole namespace, on this day.</summary>
    internal bool Approves(RepositoryName repository, DateOnly today) =>
        (_approvedRepositories.TryGetValue(repository.Value, out var last) && today <= last)
        || (_approvedNamespaces.TryGetValue(repository.Namespace, out last) && today <= last);

    /// <summary>The last day of each name; of several entries with the same name, the one that lasts longest counts.</summary>
    private static FrozenDictionary<string, DateOnly> LastDays(IEnumerable<AllowlistEntry> entries, Func<AllowlistEntry, string> name) =>
        entries.GroupBy(name).ToFrozenDictionary(group => group.Key, group => group.Max(entry => entry.Expires ?? DateOnly.MaxValue));
}
