namespace ImageAccess.Proxy.Administration.Roles;

internal static class RolesSetup
{
    public static IServiceCollection AddRoles(this IServiceCollection services) => services.AddSingleton<RoleBook>().AddSingleton<RoleSources>();
}
