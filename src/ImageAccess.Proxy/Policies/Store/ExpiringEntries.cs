using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>An approval that ends soon.</summary>
/// <param name="Organization">Whose allowlist it is on.</param>
/// <param name="Repository">A repository, or <c>NAMESPACE/*</c>.</param>
/// <param name="Expires">The last day (UTC) on which it holds.</param>
internal sealed record ExpiringEntry(string Organization, string Repository, DateOnly Expires);

/// <summary>Allowlist entries that an administrator must renew before pulls fail.</summary>
internal static class ExpiringEntries
{
    /// <summary>Days ahead.</summary>
    public const int Warning = 14;

    /// <summary>Those of the enabled organizations that end within the days, the soonest first.</summary>
    public static IReadOnlyList<ExpiringEntry> Find(Policy policy, DateOnly today) =>
    [
        .. policy.Document.Organizations.Where(organization => organization.Enabled)
            .SelectMany(organization => Last(organization).Select(entry => new ExpiringEntry(organization.Name, entry.Name, entry.Day)))
            .Where(entry => entry.Expires >= today && entry.Expires <= today.AddDays(Warning))
            .OrderBy(entry => entry.Expires)
            .ThenBy(entry => entry.Repository, StringComparer.Ordinal),
    ];

    /// <summary>When several entries approve the same repository, by itself or with its namespace, the one that lasts longest counts.</summary>
    private static IEnumerable<(string Name, DateOnly Day)> Last(OrganizationDocument organization)
    {
        var days = organization.Allowlist
            .GroupBy(entry => entry.ToString())
            .ToDictionary(group => group.Key, group => group.Max(entry => entry.Expires ?? DateOnly.MaxValue));
        return organization.Allowlist.DistinctBy(entry => entry.ToString())
            .Select(entry => (Name: entry.ToString(), Day: days[entry.ToString()], Whole: days.GetValueOrDefault($"{entry.Namespace}/*")))
            .Where(entry => entry.Whole <= entry.Day)
            .Select(entry => (entry.Name, entry.Day));
    }
}

/// <summary>Logs once a day which approvals end soon.</summary>
internal sealed class ExpiryWarnings(IPolicyStore store, TimeProvider time, ILogger<ExpiryWarnings> logger)
{
    /// <summary>How many are told one by one, the soonest.</summary>
    private const int MaximumTold = 20;

    private readonly HashSet<ExpiringEntry> _said = [];
    private DateOnly _day;
    private Policy? _seen;

    /// <summary>Does nothing while the day and the policy are the same.</summary>
    public void Look()
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        if (store.State?.Policy is not { } policy || (today == _day && ReferenceEquals(policy, _seen)))
            return;

        if (today != _day)
            _said.Clear();
        (_day, _seen) = (today, policy);
        var soon = ExpiringEntries.Find(policy, today).Where(_said.Add).ToList();
        if (soon.Count > MaximumTold)
            logger.ExpiringMore(soon.Count - MaximumTold, ExpiringEntries.Warning);
        foreach (var entry in soon.Take(MaximumTold))
            logger.Expiring(entry.Repository, entry.Organization, entry.Expires, entry.Expires.DayNumber - today.DayNumber);
    }
}
