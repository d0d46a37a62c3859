using System.Collections.Frozen;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>A compiled policy: an immutable snapshot, one for the whole of a request.</summary>
public sealed class Policy
{
    private readonly FrozenSet<string> _people;
    private readonly FrozenDictionary<string, string[]> _ownerships;
    private readonly FrozenSet<string>? _companyNamespaces;
    private readonly FrozenDictionary<string, string> _accounts;

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
        _companyNamespaces = document.Company ? Organizations.SelectMany(o => o.Namespaces).ToFrozenSet() : null;
        _people = document.Organizations.SelectMany(o => o.Owners.Concat(o.Members)).ToFrozenSet();
        _ownerships = document.Organizations
            .SelectMany(o => o.Owners.Except(o.ExternalOwners).Select(owner => (owner, o.Name)))
            .GroupBy(pair => pair.owner, pair => pair.Name)
            .ToFrozenDictionary(owned => owned.Key, owned => owned.ToArray());
        _accounts = document.Accounts.ToFrozenDictionary(named => named.Name, named => named.Account);
    }

    /// <summary>No document, no organization: image access is off.</summary>
    public static Policy Off { get; } = new(new PolicyDocument(), "none");

    public PolicyDocument Document { get; }

    /// <summary>The blocks that stand beside the document.</summary>
    public Blocks Blocks { get; private set; } = Blocks.None;

    /// <summary>The exceptions that stand beside the document.</summary>
    public Exceptions Exceptions { get; private set; } = Exceptions.None;

    /// <summary>The version of this document: the beginning of the SHA-256 of its bytes.</summary>
    public string Version { get; }

    public IReadOnlyList<OrganizationPolicy> Organizations { get; }

    /// <summary>The organization named in messages and events for callers who belong to none.</summary>
    public OrganizationPolicy? DefaultOrganization { get; }

    public bool IsEnabled { get; }

    /// <summary>Whether it may deny on this day (UTC): it is on, and not every organization only observes.</summary>
    public bool Enforces(DateOnly today) => Organizations.Any(o => o.Enabled && !o.Observes(today));

    /// <summary>The same document with these blocks beside it.</summary>
    public Policy With(Blocks blocks)
    {
        if (ReferenceEquals(blocks, Blocks))
            return this;
        var other = (Policy)MemberwiseClone();
        other.Blocks = blocks;
        return other;
    }

    /// <summary>The same document with these exceptions beside it.</summary>
    public Policy With(Exceptions exceptions)
    {
        if (ReferenceEquals(exceptions, Exceptions))
            return this;
        var other = (Policy)MemberwiseClone();
        other.Exceptions = exceptions;
        return other;
    }

    /// <summary>Whether the lists of owners and members grant something to this user name.</summary>
    public bool NamesPerson(string username) => _people.Contains(username);

    /// <summary>The organizations that the document calls this user name an owner of, as long as their member lists name the account too.</summary>
    public ReadOnlySpan<string> OwnedBy(string username) => _ownerships.GetValueOrDefault(username);

    /// <summary>The account that the document writes beside this user name; null where it writes none.</summary>
    public string? AccountOf(string username) => _accounts.GetValueOrDefault(username);

    /// <summary>Whose images are organization images where this organization judges: its own namespaces, or the whole company's.</summary>
    internal FrozenSet<string> NamespacesFor(OrganizationPolicy organization) => _companyNamespaces ?? organization.Namespaces;

    /// <summary>User names of organization access tokens: an organization's name and namespaces.</summary>
    internal FrozenDictionary<string, OrganizationPolicy> OrganizationAccounts { get; }
}

/// <summary>One organization's part of a policy.</summary>
public sealed class OrganizationPolicy
{
    private readonly OrganizationDocument _document;
    private readonly FrozenSet<string> _owners;
    private readonly FrozenSet<string> _externalOwners;
    private readonly FrozenSet<string> _members;
    private readonly FrozenDictionary<string, DateOnly> _approvedRepositories;
    private readonly FrozenDictionary<string, DateOnly> _approvedNamespaces;

    internal OrganizationPolicy(OrganizationDocument document)
    {
        _document = document;
        Namespaces = (document.Namespaces.Count == 0 ? [document.Name] : document.Namespaces).ToFrozenSet();
        _owners = document.Owners.ToFrozenSet();
        _externalOwners = document.ExternalOwners.ToFrozenSet();
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
        var role = WrittenRoleOf(caller);
        foreach (var membership in caller.Memberships)
        {
            if (membership.Organization == Name && membership.Role > role)
                role = membership.Role;
        }

        return role;
    }

    /// <summary>By the document's own lists. An owner whom the member list does not name is a member, unless external.</summary>
    private OrganizationRole WrittenRoleOf(Caller caller)
    {
        if (caller.IsNameSuspended || caller.Name is not { } name)
            return OrganizationRole.None;
        if (_owners.Contains(name))
            return caller.IsAbsentFrom(Name) && !_externalOwners.Contains(name) ? OrganizationRole.Member : OrganizationRole.Owner;
        return _members.Contains(name) ? OrganizationRole.Member : OrganizationRole.None;
    }

    /// <summary>The last day on which the allowlist approves the repository, by its own name or with its namespace; null when it names neither.</summary>
    internal DateOnly? ApprovedThrough(RepositoryName repository)
    {
        var ofRepository = LastDay(_approvedRepositories, repository.Value);
        var ofNamespace = LastDay(_approvedNamespaces, repository.Namespace);
        return ofRepository is null || ofNamespace > ofRepository ? ofNamespace : ofRepository;
    }

    private static DateOnly? LastDay(FrozenDictionary<string, DateOnly> approved, string name) =>
        approved.TryGetValue(name, out var day) ? day : null;

    /// <summary>The last day of each name; of several entries with the same name, the one that lasts longest counts.</summary>
    private static FrozenDictionary<string, DateOnly> LastDays(IEnumerable<AllowlistEntry> entries, Func<AllowlistEntry, string> name) =>
        entries.GroupBy(name).ToFrozenDictionary(group => group.Key, group => group.Max(entry => entry.Expires ?? DateOnly.MaxValue));
}
