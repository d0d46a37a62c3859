using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>Degraded while an organization follows Docker Hub's own switches and they could not be read, always with the cause and what holds. It asks nobody.</summary>
internal sealed class FollowHealth(FollowedStore store, TimeProvider time) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = store.States.Where(one => one.Trouble is not null || one.Known?.ReadAt is null)
            .Select(one => $"Docker Hub's own switches of {one.Name} {Words(one)}; {FollowedOrganization.Stays(one.Known)}")
            .ToList();
        if (store.KeepingTrouble is { } trouble)
            concerns.Add($"Docker Hub's own switches could not be kept for a restart: {trouble}");
        return Task.FromResult(concerns.Count > 0 ? HealthCheckResult.Degraded(string.Join("; ", concerns)) : HealthCheckResult.Healthy());
    }

    private string Words(FollowedOrganization one)
    {
        var cause = one.Trouble is { } trouble ? $": {trouble}" : "";
        return one.Known?.ReadAt is { } readAt ? $"were read {Age(time.GetUtcNow() - readAt)} ago and not since{cause}" : $"have not been read yet{cause}";
    }

    private static string Age(TimeSpan age) => age switch
    {
        { TotalDays: >= 2 } => Count(age.TotalDays, "days"),
        { TotalHours: >= 2 } => Count(age.TotalHours, "hours"),
        { TotalMinutes: >= 2 } => Count(age.TotalMinutes, "minutes"),
        _ => Count(age.TotalSeconds, "seconds"),
    };

    private static string Count(double number, string unit) => string.Create(CultureInfo.InvariantCulture, $"{(int)number} {unit}");
}
