namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>What decisions are counted by.</summary>
internal enum UsageBy
{
    Repository,
    Digest,
    Caller,
    Type,
    Rule,
    Client,
    Day,
    Outcome,
}

internal static class UsageBys
{
    public static string Column(this UsageBy by, bool ofCounts) => by switch
    {
        UsageBy.Digest => "\"Reference\"",
        UsageBy.Caller => "\"Caller\"",
        UsageBy.Type => "\"Type\"",
        UsageBy.Rule => "\"Rule\"",
        UsageBy.Client => "\"Family\"",
        UsageBy.Day => ofCounts ? "\"Day\"" : "\"Time\" / 86400000",
        UsageBy.Outcome => "\"Outcome\"",
        _ => "\"Repository\"",
    };
}

/// <summary>A value, how many requests were decided with it, and how many pulls began with them.</summary>
internal sealed record UsageCount(string Value, long Decisions, long Pulls);

/// <summary>Where a decision stands in the order of time.</summary>
internal readonly record struct UsageKey(long Time, string Id, bool IsClosing)
{
    public static UsageKey Of(UsageEvent decision) => new(decision.Time, decision.Id, decision.IsClosing);
}

/// <summary>Which decisions are asked about; null for all.</summary>
/// <param name="From">The first moment, in milliseconds since 1970.</param>
/// <param name="Until">The first moment that is beyond.</param>
internal sealed record UsageFilter(long From = 0, long Until = long.MaxValue)
{
    public string? Organization { get; init; }

    public string? Caller { get; init; }

    public string? Repository { get; init; }

    public string? Type { get; init; }

    public string? Rule { get; init; }

    public string? Outcome { get; init; }

    /// <summary>A tag or a digest; only single decisions have it.</summary>
    public string? Reference { get; init; }

    /// <summary>The counts of whole days answer it.</summary>
    public bool IsOfCounts => Reference is null && From % UsageDays.Milliseconds == 0 && (Until == long.MaxValue || Until % UsageDays.Milliseconds == 0);

    /// <param name="search">The function that finds a text in another.</param>
    /// <param name="ofCounts">Of the table of counts, or of that of single decisions.</param>
    public (string Where, List<(string Name, object? Value)> Parameters) ToSql(string search, bool ofCounts)
    {
        var (column, divisor) = ofCounts ? ("\"Day\"", UsageDays.Milliseconds) : ("\"Time\"", 1);
        var where = $"{column} >= @from AND {column} < @until";
        List<(string, object?)> parameters = [("@from", From / divisor), ("@until", Until / divisor)];
        if (Organization is not null)
        {
            where += $" AND {search}(\"Organizations\", @organization) > 0";
            parameters.Add(("@organization", $" {Organization} "));
        }

        foreach (var (name, value) in new[]
                 {
                     ("Caller", Caller), ("Repository", Repository), ("Type", Type), ("Rule", Rule), ("Outcome", Outcome), ("Reference", Reference),
                 })
        {
            if (value is null)
                continue;
            where += $" AND \"{name}\" = @{name}";
            parameters.Add(($"@{name}", value));
        }

        return (where, parameters);
    }
}
