using System.Collections.Frozen;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>A compiled policy: an immutable snapshot, one for the whole of a request.</summary>
public sealed class Policy
{
    private readonly FrozenDictionary<string, string[]> _naming;
    private readonly FrozenDictionary<string, string[]> _listed;
    private readonly FrozenDictionary<string, bool> _companyOwners;
    private readonly FrozenSet<string>? _companyNamespaces;
    private readonly FrozenDictionary<string, string> _accounts;
    private readonly NamedRegistry[][] _registries;

    internal Policy(PolicyDocument document, string version)
    {
        (Document, Written, Version, DocumentVersion) = (document, document, version, version);
        Organizations = [.. document.Organizations.Select(o => new OrganizationPolicy(o))];
        IsEnabled = Organizations.Any(o => o.Enabled);
        DefaultOrganization = Organizations.FirstOrDefault(o => o.Name == document.DefaultOrganization)
            ?? (Organizations.Count > 0 ? Organizations[0] : null);
        OrganizationAccounts = Organizations
            .SelectMany(o => o.Namespaces.Append(o.Name).Select(account => (account, o)))
            .DistinctBy(pair => pair.account)
            .ToFrozenDictionary(pair => pair.account, pair => pair.o);
        _companyNamespaces = document.Company ? Organizations.SelectMany(o => o.Namespaces).ToFrozenSet() : null;
        _companyOwners = document.CompanyOwners.GroupBy(owner => owner.Name).ToFrozenDictionary(named => named.Key, named => named.Any(owner => owner.IsExternal));
        _naming = document.Organizations
            .SelectMany(o => o.Owners.Concat(o.Members).Concat(o.Roles.Holders().Where(held => !held.Holder.IsTeam).Select(held => held.Holder.Name)).Distinct().Select(name => (name, o.Name)))
            .GroupBy(pair => pair.name, pair => pair.Name)
            .ToFrozenDictionary(named => named.Key, named => named.ToArray());
        _listed = document.Organizations
            .SelectMany(o => MustBeListed(o).Concat(_companyOwners.Where(owner => !owner.Value).Select(owner => owner.Key)).Distinct().Select(name => (name, o.Name)))
            .GroupBy(pair => pair.name, pair => pair.Name)
            .ToFrozenDictionary(listed => listed.Key, listed => listed.ToArray());
        _registries = [.. document.Organizations.Where(o => o.Registries.Enabled).Select(o => ClosestFirst(o.Registries))];
        _accounts = document.Accounts.ToFrozenDictionary(named => named.Name, named => named.Account);
    }

    /// <summary>No document, no organization: image access is off.</summary>
    public static Policy Off { get; } = new(new PolicyDocument(), "none");

    /// <summary>The document as it holds: with Docker Hub's own switches where an organization follows them.</summary>
    public PolicyDocument Document { get; }

    /// <summary>The document as it was written.</summary>
    public PolicyDocument Written { get; private init; }

    /// <summary>Docker Hub's own switches, as far as they are known.</summary>
    public FollowedSwitches Followed { get; private set; } = FollowedSwitches.None;

    /// <summary>The blocks that stand beside the document.</summary>
    public Blocks Blocks { get; private set; } = Blocks.None;

    /// <summary>The exceptions that stand beside the document.</summary>
    public Exceptions Exceptions { get; private set; } = Exceptions.None;

    /// <summary>What stands beside the document in an emergency, also what no longer holds.</summary>
    public IReadOnlyList<BreakGlass> BreakGlass { get; private set; } = [];

    /// <summary>The version of the document: the beginning of the SHA-256 of its bytes.</summary>
    public string DocumentVersion { get; private init; }

    /// <summary>
    /// The version of what holds: the document's, and where organizations follow Docker Hub's own switches, behind a dot a digit for each
    /// (4 on, 2 official images, 1 verified publisher images; <c>-</c> where nothing has been read and the document's own hold), and behind
    /// another one the beginning of a hash where they limit registries.
    /// </summary>
    public string Version { get; }

    public IReadOnlyList<OrganizationPolicy> Organizations { get; }

    /// <summary>The organization named in messages and events for callers who belong to none.</summary>
    public OrganizationPolicy? DefaultOrganization { get; }

    public bool IsEnabled { get; }

    /// <summary>Whether it may deny at this instant: it is on, and not every organization only observes.</summary>
    public bool Enforces(DateTimeOffset now) => Organizations.Any(o => o.Enabled && !Observes(o, now));

    /// <summary>Whether every organization that limits registries allows this host, by the entry that names it most closely; null where none limits them.</summary>
    public bool? AllowsRegistry(HostName host, int port) =>
        _registries.Length == 0 ? null : Array.TrueForAll(_registries, named => Array.Find(named, one => one.Pattern.Matches(host, port)) is { Allowed: true });

    /// <summary>Of two that say the same host otherwise, the one that refuses it comes first.</summary>
    private static NamedRegistry[] ClosestFirst(RegistriesDocument registries) =>
    [
        .. registries.Custom
            .Select(one => RegistryPattern.TryParse(one.Address, out var pattern) ? new NamedRegistry(pattern, one.Allowed) : null)
            .OfType<NamedRegistry>()
            .OrderByDescending(one => one.Pattern.Closeness)
            .ThenBy(one => one.Allowed),
    ];

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

    /// <summary>The same document with this beside it.</summary>
    public Policy With(IReadOnlyList<BreakGlass> breakGlass)
    {
        if (ReferenceEquals(breakGlass, BreakGlass) || (breakGlass.Count == 0 && BreakGlass.Count == 0))
            return this;
        var other = (Policy)MemberwiseClone();
        other.BreakGlass = breakGlass;
        return other;
    }

    /// <summary>Whether the organization follows Docker Hub's own switches.</summary>
    public bool Follows(string organization) => Written.Organizations.Any(one => one.Name == organization && one.FollowsDockerHub);

    /// <summary>The same document with these switches of Docker Hub where an organization follows them.</summary>
    public Policy With(FollowedSwitches followed)
    {
        if (ReferenceEquals(followed, Followed) && (Version != DocumentVersion || !IsFollowing))
            return this;
        if (IsFollowing)
        {
            return new Policy(followed.ApplyTo(Written), $"{DocumentVersion}.{followed.MarkOf(Written)}")
            {
                Written = Written,
                DocumentVersion = DocumentVersion,
                Followed = followed,
                Blocks = Blocks,
                Exceptions = Exceptions,
                BreakGlass = BreakGlass,
            };
        }

        var other = (Policy)MemberwiseClone();
        other.Followed = followed;
        return other;
    }

    /// <summary>Whether the document's own lists grant something to this user name: as an owner, as a member, or by a role.</summary>
    public bool NamesPerson(string username) => _naming.ContainsKey(username) || _companyOwners.ContainsKey(username);

    /// <summary>The organizations whose lists name this user.</summary>
    public IReadOnlyList<string> OrganizationsNaming(string username) => _naming.GetValueOrDefault(username) ?? [];

    /// <summary>The organization that alone grants something to this user name; null where others do too, or all of them together.</summary>
    public string? OnlyOrganizationNaming(string username) =>
        _naming.GetValueOrDefault(username) is [var only] && !_companyOwners.ContainsKey(username) ? only : null;

    /// <summary>The organizations that grant this user name more than a member has, as long as their member lists name the account too.</summary>
    public ReadOnlySpan<string> ListedFor(string username) => _listed.GetValueOrDefault(username);

    /// <summary>What the caller may do about an organization's policy. An organization access token is nobody.</summary>
    /// <param name="caller">The caller, with what the member lists say.</param>
    /// <param name="organization">The organization; null for what all of them share. Of one that is not in the document company owners alone may do something.</param>
    public Roles RolesOf(Caller caller, string? organization)
    {
        if (caller.IsAnonymous || caller.IsOrganizationToken || (caller.Name is { } name && OrganizationAccounts.ContainsKey(name)))
            return Roles.None;
        var roles = IsCompanyOwner(caller) ? Roles.CompanyOwner : Roles.None;
        foreach (var own in Organizations)
        {
            if (own.Name == organization)
                roles |= own.RolesOf(caller);
        }

        return roles;
    }

    /// <summary>The account that the document writes beside this user name; null where it writes none.</summary>
    public string? AccountOf(string username) => _accounts.GetValueOrDefault(username);

    private bool IsFollowing => Written.Organizations.Any(organization => organization.FollowsDockerHub);

    /// <summary>Whether the organization refuses nothing: by the document, or in an emergency.</summary>
    internal bool Observes(OrganizationPolicy organization, DateTimeOffset now) =>
        organization.Observes(DateOnly.FromDateTime(now.UtcDateTime)) || Breaks(organization, repository: null, now);

    /// <summary>Whether the organization's rules open the repository in an emergency.</summary>
    internal bool Opens(OrganizationPolicy organization, RepositoryName repository, DateTimeOffset now) => Breaks(organization, repository, now);

    /// <summary>Whose images are organization images where this organization judges: its own namespaces, or the whole company's.</summary>
    internal FrozenSet<string> NamespacesFor(OrganizationPolicy organization) => _companyNamespaces ?? organization.Namespaces;

    /// <summary>User names of organization access tokens: an organization's name and namespaces.</summary>
    internal FrozenDictionary<string, OrganizationPolicy> OrganizationAccounts { get; }

    /// <summary>Who is granted more than a member has only while the organization's member list, where one is read, names the account.</summary>
    private static IEnumerable<string> MustBeListed(OrganizationDocument organization) => organization.Owners.Except(organization.ExternalOwners)
        .Concat(organization.Roles.Holders().Where(held => held.Holder is { IsTeam: false, IsExternal: false }).Select(held => held.Holder.Name));

    private bool Breaks(OrganizationPolicy organization, RepositoryName? repository, DateTimeOffset now)
    {
        foreach (var one in BreakGlass)
        {
            if (one.Organization == organization.Name && Equals(one.Repository, repository) && one.Holds(now))
                return true;
        }

        return false;
    }

    /// <summary>By name. Where one organization stands alone and no company owner is named, its owners are.</summary>
    private bool IsCompanyOwner(Caller caller)
    {
        if (_companyOwners.Count == 0)
            return Organizations.Count == 1 && Organizations[0].RoleOf(caller) == OrganizationRole.Owner;
        return !caller.IsNameSuspended && caller.Name is { } name && _companyOwners.TryGetValue(name, out var isExternal) && (isExternal || !IsAbsent(caller));
    }

    /// <summary>Whether a member list was read, and none of those that were read names the caller.</summary>
    private bool IsAbsent(Caller caller) =>
        Organizations.Any(organization => caller.IsAbsentFrom(organization.Name))
        && !Organizations.Any(organization => caller.Memberships.Any(membership => membership.Organization == organization.Name && membership.Role != OrganizationRole.None));

    private sealed record NamedRegistry(RegistryPattern Pattern, bool Allowed);
}

/// <summary>One organization's part of a policy.</summary>
public sealed class OrganizationPolicy
{
    private readonly OrganizationDocument _document;
    private readonly FrozenSet<string> _owners;
    private readonly FrozenSet<string> _externalOwners;
    private readonly FrozenSet<string> _members;
    private readonly FrozenDictionary<string, Roles> _rolesByName;
    private readonly FrozenDictionary<string, Roles> _externalRoles;
    private readonly FrozenDictionary<string, Roles> _rolesByTeam;
    private readonly FrozenDictionary<string, DateOnly> _approvedRepositories;
    private readonly FrozenDictionary<string, DateOnly> _approvedNamespaces;

    internal OrganizationPolicy(OrganizationDocument document)
    {
        _document = document;
        Namespaces = (document.Namespaces.Count == 0 ? [document.Name] : document.Namespaces).ToFrozenSet();
        _owners = document.Owners.ToFrozenSet();
        _externalOwners = document.ExternalOwners.ToFrozenSet();
        _members = document.Members.ToFrozenSet();
        _rolesByName = RolesOf(document, holder => !holder.IsTeam);
        _externalRoles = RolesOf(document, holder => holder.IsExternal);
        _rolesByTeam = RolesOf(document, holder => holder.IsTeam);
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

    /// <summary>What the caller may do about the policy. Whom the member list does not name has no role by name, unless external.</summary>
    internal Roles RolesOf(Caller caller)
    {
        var roles = RoleOf(caller) switch
        {
            OrganizationRole.Owner => Roles.Member | Roles.Owner,
            OrganizationRole.Member => Roles.Member,
            _ => Roles.None,
        };
        if (!caller.IsNameSuspended && caller.Name is { } name)
            roles |= (caller.IsAbsentFrom(Name) ? _externalRoles : _rolesByName).GetValueOrDefault(name);
        foreach (var membership in caller.Memberships)
        {
            if (membership.Organization != Name || membership.Role == OrganizationRole.None)
                continue;
            foreach (var team in membership.Teams)
                roles |= _rolesByTeam.GetValueOrDefault(team);
        }

        return roles;
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

    private static FrozenDictionary<string, Roles> RolesOf(OrganizationDocument document, Func<RoleHolder, bool> which) => document.Roles.Holders()
        .Where(held => which(held.Holder))
        .GroupBy(held => held.Holder.Name, held => held.Role)
        .ToFrozenDictionary(held => held.Key, held => held.Aggregate(Roles.None, (all, role) => all | role));

    private static DateOnly? LastDay(FrozenDictionary<string, DateOnly> approved, string name) =>
        approved.TryGetValue(name, out var day) ? day : null;

    /// <summary>The last day of each name; of several entries with the same name, the one that lasts longest counts.</summary>
    private static FrozenDictionary<string, DateOnly> LastDays(IEnumerable<AllowlistEntry> entries, Func<AllowlistEntry, string> name) =>
        entries.GroupBy(name).ToFrozenDictionary(group => group.Key, group => group.Max(entry => entry.Expires ?? DateOnly.MaxValue));
}
