using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>
/// Degraded while a list is missing, older than a day or refused to us, or cannot be kept, and while the policy has owners and roles of names that a
/// list does not have; always with the cause.
/// </summary>
internal sealed class MembershipHealth(
    MembershipDirectory directory, MembershipRefresh refresh, AbsenceWarnings absences, IPolicyStore policies, IOptions<DirectoryOptions> options, TimeProvider time)
    : IHealthCheck
{
    public static readonly TimeSpan Old = TimeSpan.FromDays(1);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var book = directory.Book;
        var concerns = new List<string>();
        var ages = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var organization in options.Value.Organizations)
        {
            var cause = refresh.TroubleWith(organization);
            if (!book.Lists.TryGetValue(organization, out var list))
            {
                concerns.Add($"the member list of {organization} has not been read yet{Because(cause)}");
                continue;
            }

            var age = time.GetUtcNow() - list.ReadAt;
            ages[organization] = age;
            if (directory.IsStale(list))
                concerns.Add($"the member list of {organization} is {Words(age)} old and exempts no owner{Because(cause)}");
            else if (age > Old || refresh.IsRefused(organization))
                concerns.Add($"the member list of {organization} is {Words(age)} old{Because(cause)}");
        }

        var absent = policies.State is { } state ? AbsentOwners.Find(state.Policy, directory.Book) : [];
        concerns.AddRange(absent.Select(owners =>
            $"the policy has owners of {owners.Organization} who are not on its member list and count as members: {owners}"));
        var lost = absences.Roles.Where(role => role.Role != "owner").Select(role => role.ToString()).ToList();
        if (lost.Count > 0)
            concerns.Add($"the policy gives roles to names that are on no member list, and they do not have them: {string.Join("; ", lost)}");
        if (refresh.KeepingTrouble is { } trouble)
            concerns.Add($"the member lists would not outlive a restart: {trouble}");
        return Task.FromResult(concerns.Count > 0
            ? HealthCheckResult.Degraded(string.Join("; ", concerns), data: ages)
            : HealthCheckResult.Healthy(data: ages));
    }

    private static string Because(string? cause) => cause is null ? "" : $": {cause}";

    private static string Words(TimeSpan age) => age switch
    {
        { TotalDays: >= 2 } => $"{(int)age.TotalDays} days",
        { TotalHours: >= 2 } => $"{(int)age.TotalHours} hours",
        _ => $"{(int)age.TotalMinutes} minutes",
    };
}
