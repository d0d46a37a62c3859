using ImageAccess.Proxy.Administration.Roles;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>The roles that a token can have, by name.</summary>
internal static class RoleNames
{
    private static readonly (string Name, Core.Policies.Roles Role)[] Table =
    [
        ("member", Core.Policies.Roles.Member),
        ("auditor", Core.Policies.Roles.Auditor),
        ("approver", Core.Policies.Roles.Approver),
        ("administrator", Core.Policies.Roles.Administrator),
        ("owner", Core.Policies.Roles.Owner),
        ("on-call", Core.Policies.Roles.OnCall),
        ("company-owner", Core.Policies.Roles.CompanyOwner),
        ("reporter", Core.Policies.Roles.Reporter),
    ];

    public static string All => string.Join(", ", Table.Select(row => row.Name));

    public static string Of(Core.Policies.Roles role) => Array.Find(Table, row => row.Role == role).Name;

    /// <summary>The name of each of the roles.</summary>
    public static IReadOnlyList<string> ListOf(Core.Policies.Roles roles) => [.. Table.Where(row => roles.HasFlag(row.Role)).Select(row => row.Name)];

    /// <returns>None where the name is no role's.</returns>
    public static Core.Policies.Roles Find(string name) => Array.Find(Table, row => row.Name == name).Role;

    /// <summary>Whether somebody with these roles may do everything that a role allows.</summary>
    public static bool Cover(Core.Policies.Roles roles, Core.Policies.Roles role) =>
        Enum.GetValues<Operation>().All(operation => !Rights.Allow(role, operation) || Rights.Allow(roles, operation));
}
