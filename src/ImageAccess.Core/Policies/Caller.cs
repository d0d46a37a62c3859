namespace ImageAccess.Core.Policies;

/// <summary>The role of a caller in an organization; zero is none.</summary>
public enum OrganizationRole
{
    None,
    Member,
    Owner,
}

/// <summary>
/// What a caller is to an organization, as a token or a directory says. None: the organization's member list was read, and does not name
/// the caller.
/// </summary>
public sealed record Membership(string Organization, OrganizationRole Role)
{
    /// <summary>The organization's teams that the caller is in, in lower case.</summary>
    public IReadOnlyList<string> Teams { get; init; } = [];

    public bool Equals(Membership? other) =>
        other is not null && other.Organization == Organization && other.Role == Role && other.Teams.SequenceEqual(Teams);

    public override int GetHashCode() => HashCode.Combine(Organization, Role);
}

/// <summary>The caller whom a verified token names. It may be a machine.</summary>
public sealed record Caller
{
    private Caller(string? name, string? subject, string? account, IReadOnlyList<Membership> memberships, bool isOrganizationToken, bool isNameSuspended)
    {
        Name = name;
        Subject = subject;
        Account = account;
        Memberships = memberships;
        IsOrganizationToken = isOrganizationToken;
        IsNameSuspended = isNameSuspended;
    }

    public static Caller Anonymous { get; } = new(null, null, null, [], isOrganizationToken: false, isNameSuspended: false);

    /// <summary>The user name in lower case, as Docker Hub keeps it; null when anonymous, or when the token names none.</summary>
    public string? Name { get; }

    /// <summary>The token's <c>sub</c>: Docker Hub's id of the account.</summary>
    public string? Subject { get; }

    /// <summary>The same id as a member list and the policy's document write it.</summary>
    public string? Account { get; }

    /// <summary>What is said of the caller beside the policy's own lists.</summary>
    public IReadOnlyList<Membership> Memberships { get; }

    /// <summary>Known to have signed in with an organization access token, whatever the account is called.</summary>
    public bool IsOrganizationToken { get; }

    /// <summary>The name stands for another account, so what the policy grants to the name is not for this caller.</summary>
    public bool IsNameSuspended { get; }

    public bool IsAnonymous => Subject is null;

    /// <summary>What messages and events call the caller.</summary>
    public string DisplayName => Name ?? Subject ?? "anonymous";

    /// <exception cref="ArgumentException">The subject is empty: such a caller is <see cref="Anonymous"/>.</exception>
    public static Caller SignedIn(string? name, string subject, IReadOnlyList<Membership>? memberships = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(subject);
        var known = string.IsNullOrEmpty(name) ? null : name.ToLowerInvariant();
        return new(known, subject, AccountOf(subject), memberships ?? [], isOrganizationToken: false, isNameSuspended: false);
    }

    /// <summary>Docker Hub's id in lower case, without dashes.</summary>
    public static string AccountOf(string subject) => subject.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>Whether a member list of the organization was read that does not name the caller.</summary>
    public bool IsAbsentFrom(string organization)
    {
        foreach (var membership in Memberships)
        {
            if (membership.Role == OrganizationRole.None && membership.Organization == organization)
                return true;
        }

        return false;
    }

    /// <summary>The same caller, of whom this is said too.</summary>
    public Caller With(IReadOnlyList<Membership> further) =>
        further.Count == 0 ? this : new(Name, Subject, Account, [.. Memberships, .. further], IsOrganizationToken, IsNameSuspended);

    public Caller AsOrganizationToken() => new(Name, Subject, Account, Memberships, isOrganizationToken: true, IsNameSuspended);

    public Caller WithNameSuspended() => new(Name, Subject, Account, Memberships, IsOrganizationToken, isNameSuspended: true);
}
