using System.Runtime.InteropServices;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>The policy as a person writes it, its names checked, before it is compiled.</summary>
public sealed record PolicyDocument
{
    public string? DefaultOrganization { get; init; }

    /// <summary>The organizations are one company: the images of each are organization images for everybody.</summary>
    public bool Company { get; init; }

    public CallersDocument Callers { get; init; } = new();

    public ExceptionsDocument Exceptions { get; init; } = new();

    public ChangesDocument Changes { get; init; } = new();

    /// <summary>Who may change what the organizations share; persons alone, because each organization has teams of its own.</summary>
    public IReadOnlyList<RoleHolder> CompanyOwners { get; init; } = [];

    public IReadOnlyList<OrganizationDocument> Organizations { get; init; } = [];

    /// <summary>Whose account is written beside a name of the organizations' lists.</summary>
    public IReadOnlyList<NamedAccount> Accounts { get; init; } = [];
}

/// <summary>That a user name stands for this account of Docker Hub and for no other.</summary>
/// <param name="Name">The user name, in lower case.</param>
/// <param name="Account">Docker Hub's id: 32 hexadecimal digits in lower case.</param>
public sealed record NamedAccount(string Name, string Account);

/// <summary>How callers are treated in every organization. True is <c>"deny"</c> or <c>"judged"</c>.</summary>
public sealed record CallersDocument
{
    public bool DenyAnonymous { get; init; }

    public bool DenyOutsiders { get; init; }

    public bool DenyOrganizationTokens { get; init; } = true;

    /// <summary>Owners are judged as members are; no one is exempt.</summary>
    public bool JudgeOwners { get; init; }
}

/// <summary>What exceptions may open, in every organization.</summary>
public sealed record ExceptionsDocument
{
    /// <summary>No exception opens anything, however it was granted.</summary>
    public bool Forbidden { get; init; }

    /// <summary>How many days an exception lasts at most; null for any number, and for ever.</summary>
    public int? MaximumDays { get; init; }
}

/// <summary>What a change that opens needs, whichever way it is asked for.</summary>
public sealed record ChangesDocument
{
    /// <summary>How many persons it takes, who asks included: 1, or 2.</summary>
    public int Approvals { get; init; } = 1;

    /// <summary>It must name a ticket.</summary>
    public bool DemandsTicket { get; init; }
}

/// <summary>Who has a role: a user, or the members of a team of the organization.</summary>
/// <param name="Name">The user name or the team's, in lower case.</param>
/// <param name="IsTeam">It is a team of Docker Hub.</param>
/// <param name="IsExternal">The user need not be on the organization's member list.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct RoleHolder(string Name, bool IsTeam, bool IsExternal)
{
    /// <summary>The characters of a team's name.</summary>
    public const int MaximumTeam = 64;

    public override string ToString() => IsTeam ? $"team {Name}" : IsExternal ? $"{Name} (external)" : Name;
}

/// <summary>Who may do what about an organization's policy, beside its owners. No role exempts anybody from the policy.</summary>
public sealed record RolesDocument
{
    public IReadOnlyList<RoleHolder> Administrators { get; init; } = [];

    public IReadOnlyList<RoleHolder> Approvers { get; init; } = [];

    public IReadOnlyList<RoleHolder> Auditors { get; init; } = [];

    public IReadOnlyList<RoleHolder> OnCall { get; init; } = [];

    /// <summary>Each holder with its role.</summary>
    public IEnumerable<(RoleHolder Holder, Roles Role)> Holders() =>
    [
        .. Administrators.Select(holder => (holder, Roles.Administrator)),
        .. Approvers.Select(holder => (holder, Roles.Approver)),
        .. Auditors.Select(holder => (holder, Roles.Auditor)),
        .. OnCall.Select(holder => (holder, Roles.OnCall)),
    ];
}

public sealed record OrganizationDocument
{
    public required string Name { get; init; }

    /// <summary>The namespaces that the organization publishes under; its own name when empty.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = [];

    public IReadOnlyList<string> Owners { get; init; } = [];

    /// <summary>Those of the owners who need not be on the organization's member list.</summary>
    public IReadOnlyList<string> ExternalOwners { get; init; } = [];

    public IReadOnlyList<string> Members { get; init; } = [];

    public RolesDocument Roles { get; init; } = new();

    /// <summary>
    /// Docker Hub's own switches count in the place of <see cref="Enabled"/>, <see cref="AllowOfficial"/>, <see cref="AllowVerifiedPublisher"/> and
    /// <see cref="Registries"/>, once they have been read.
    /// </summary>
    public bool FollowsDockerHub { get; init; }

    public bool Enabled { get; init; }

    /// <summary>Denials are recorded, and the requests are allowed.</summary>
    public bool Observe { get; init; }

    /// <summary>The last day (UTC) on which observing holds; enforcing from the next.</summary>
    public DateOnly? ObserveUntil { get; init; }

    public bool AllowOfficial { get; init; }

    public bool AllowVerifiedPublisher { get; init; }

    public bool AllowCommunity { get; init; }

    public IReadOnlyList<AllowlistEntry> Allowlist { get; init; } = [];

    /// <summary>Where a person who was refused can ask.</summary>
    public string? Help { get; init; }

    public RegistriesDocument Registries { get; init; } = new();
}

/// <summary>Which registries may be reached beside Docker Hub.</summary>
public sealed record RegistriesDocument
{
    /// <summary>How many may be named.</summary>
    public const int Maximum = 100;

    /// <summary>Those alone that are allowed here; otherwise the organization limits none.</summary>
    public bool Enabled { get; init; }

    public IReadOnlyList<RegistryDocument> Custom { get; init; } = [];

    public bool Equals(RegistriesDocument? other) => other is not null && Enabled == other.Enabled && Custom.SequenceEqual(other.Custom);

    public override int GetHashCode() => HashCode.Combine(Enabled, Custom.Count);
}

/// <summary>A registry.</summary>
/// <param name="Address">As it is written: a <see cref="Hosts.RegistryPattern"/>.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Allowed">Whether it may be reached.</param>
public sealed record RegistryDocument(string Address, string? Name, bool Allowed)
{
    /// <summary>The characters of what people call it.</summary>
    public const int MaximumName = 200;
}

/// <summary>An approved repository, or every repository of a namespace.</summary>
/// <param name="Namespace">The namespace.</param>
/// <param name="Repository">The repository, or null for <c>NAMESPACE/*</c>.</param>
/// <param name="Expires">The last day (UTC) on which it holds.</param>
public sealed record AllowlistEntry(string Namespace, RepositoryName? Repository, DateOnly? Expires)
{
    public string? Reason { get; init; }

    public string? ApprovedBy { get; init; }

    public override string ToString() => Repository?.Value ?? $"{Namespace}/*";
}
