using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

public static class MembersSetup
{
    /// <summary>Who belongs to which organization, as Docker Hub's own lists say.</summary>
    public static IServiceCollection AddMembers(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<DirectoryOptions>()
            .Bind(configuration.GetSection(DirectoryOptions.Section))
            .Configure(o =>
            {
                var organization = configuration.GetSection(DirectoryOptions.Section + ":Organization");
                o.Organizations = [.. organization.GetChildren().Prepend(organization)
                    .Where(section => !string.IsNullOrEmpty(section.Value))
                    .Select(section => section.Value!.ToLowerInvariant())
                    .Distinct()];
                o.DataDirectory = configuration["Data:Directory"] ?? "";
            })
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<DirectoryOptions>, DirectoryOptionsValidation>();
        services.AddSingleton<IMemberSource, HubMemberSource>();
        services.AddSingleton<ConfirmedAccounts>();
        services.AddSingleton<NamedAccounts>();
        services.AddSingleton<NamedAccountsUpkeep>();
        services.AddHostedService(provider => provider.GetRequiredService<NamedAccountsUpkeep>());
        services.AddSingleton<MembershipDirectory>();
        services.AddSingleton<AbsenceWarnings>();
        services.AddSingleton<MembershipMetrics>();
        services.AddSingleton<MembershipRefresh>();
        services.AddHostedService(provider => provider.GetRequiredService<MembershipRefresh>());
        services.AddSingleton<IKept>(provider => provider.GetRequiredService<MembershipRefresh>());
        if (configuration.GetSection(DirectoryOptions.Section + ":Organization").Exists())
            services.AddHealthChecks().AddCheck<MembershipHealth>("members");
        services.AddHealthChecks().Add(new HealthCheckRegistration("accounts", provider => provider.GetRequiredService<NamedAccountsUpkeep>(), null, null));
        return services;
    }
}
