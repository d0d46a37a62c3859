using System.Globalization;

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
        UsageBy.Digest => "\"Digest\"",
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

    /// <summary>All that judged, as a decision has them; in the place of <see cref="Organization"/> and <see cref="Scope"/>.</summary>
    public string? Organizations { get; init; }

    public string? Caller { get; init; }

    public string? Repository { get; init; }

    public string? Type { get; init; }

    public string? Rule { get; init; }

    public string? Outcome { get; init; }

    public string? WayIn { get; init; }

    /// <summary>Of the client.</summary>
    public string? Family { get; init; }

    /// <summary>A tag or a digest as the client named it; only single decisions have it.</summary>
    public string? Reference { get; init; }

    /// <summary>The digest of a manifest, or of the index that it was chosen from; only single decisions have it.</summary>
    public string? Digest { get; init; }

    /// <summary>Which of the two <see cref="Digest"/> is; null for either. An index finds each, and none finds both.</summary>
    public DigestRole? DigestRole { get; init; }

    /// <summary>Whose decisions alone are found, whatever is asked about.</summary>
    public UsageScope Scope { get; init; } = UsageScope.Everything;

    /// <summary>The counts of whole days answer it.</summary>
    public bool IsOfCounts => Reference is null && Digest is null && From % UsageDays.Milliseconds == 0 && (Until == long.MaxValue || Until % UsageDays.Milliseconds == 0);

    /// <summary>The same of the whole days that it touches, as far as their counts know it.</summary>
    public UsageFilter OfWholeDays => this with
    {
        From = From - (From % UsageDays.Milliseconds),
        Until = Until == long.MaxValue ? Until : Until + ((UsageDays.Milliseconds - (Until % UsageDays.Milliseconds)) % UsageDays.Milliseconds),
        Reference = null,
    };

    /// <summary>An index of single decisions finds few of them by what it names.</summary>
    public bool IsNarrow => Caller is not null || Repository is not null || Digest is not null || Scope.IsOfPerson;

    /// <summary>What tags came to on whole days answers it.</summary>
    public bool IsOfTags => IsOfCounts && this is { Caller: null, Type: null, Rule: null, Outcome: null, WayIn: null, Family: null } && !Scope.IsOfPerson;

    /// <summary>Where counts by something are read.</summary>
    public UsageSource SourceOf(UsageBy by) =>
        !IsOfCounts ? UsageSource.Decisions
        : by != UsageBy.Digest ? UsageSource.Counts
        : this is { Caller: null, Type: null, Rule: null, WayIn: null, Family: null } && !Scope.IsOfPerson ? UsageSource.Digests
        : UsageSource.Decisions;

    /// <param name="search">The function that finds a text in another.</param>
    /// <param name="ofDays">Of a table of counts of days, or of that of single decisions.</param>
    public (string Where, List<(string Name, object? Value)> Parameters) ToSql(string search, bool ofDays)
    {
        var (column, divisor) = ofDays ? ("\"Day\"", UsageDays.Milliseconds) : ("\"Time\"", 1);
        var where = $"{column} >= @from AND {column} < @until";
        List<(string, object?)> parameters = [("@from", From / divisor), ("@until", Until / divisor)];
        if (Organization is not null && Organizations is null)
        {
            where += $" AND {search}(\"Organizations\", @organization) > 0";
            parameters.Add(("@organization", $" {Organization} "));
        }

        foreach (var (name, value) in new[]
                 {
                     ("Organizations", Organizations), ("Caller", Caller), ("Repository", Repository), ("Type", Type), ("Rule", Rule), ("Outcome", Outcome), ("WayIn", WayIn), ("Family", Family),
                     ("Reference", Reference),
                 })
        {
            if (value is null)
                continue;
            where += $" AND \"{name}\" = @{name}";
            parameters.Add(($"@{name}", value));
        }

        if (Digest is not null)
        {
            where += $" AND {DigestRole?.Condition() ?? """("Digest" = @digest OR "Index" = @digest)"""}";
            parameters.Add(("@digest", Digest));
        }

        return (Organizations is null ? where + Scope.ToSql(search, parameters) : where, parameters);
    }
}

internal enum DigestRole
{
    Manifest,

    /// <summary>Of the index that another manifest was chosen from.</summary>
    IndexAlone,
}

internal static class DigestRoles
{
    /// <summary>Each is served by one index, where one condition with OR would be by none.</summary>
    public static string Condition(this DigestRole role) =>
        role == DigestRole.Manifest ? """ "Digest" = @digest""" : """ "Index" = @digest AND COALESCE("Digest", '') <> @digest""";
}

/// <summary>Whose decisions somebody may see.</summary>
internal sealed record UsageScope
{
    /// <summary>All, those that no organization judged included.</summary>
    public static UsageScope Everything { get; } = new() { IsEverything = true };

    public bool IsEverything { get; private init; }

    /// <summary>The organizations of which all are seen.</summary>
    public IReadOnlyList<string> Whole { get; init; } = [];

    /// <summary>The organizations of which a member sees the own ones.</summary>
    public IReadOnlyList<string> AsMember { get; init; } = [];

    /// <summary>Which caller the member is; null for nobody.</summary>
    public string? Person { get; init; }

    /// <summary>What somebody sees depends on the caller.</summary>
    public bool IsOfPerson => !IsEverything && Person is not null && AsMember.Count > 0;

    /// <summary>Those of a decision that may be told: nobody learns of which other organizations it is too.</summary>
    public IReadOnlyList<string> Told(string organizations) =>
        [.. organizations.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(name => IsEverything || Whole.Contains(name) || AsMember.Contains(name))];

    /// <summary>What follows the other conditions.</summary>
    public string ToSql(string search, List<(string Name, object? Value)> parameters)
    {
        if (IsEverything)
            return "";
        var seen = Whole.Select(One).ToList();
        if (IsOfPerson)
        {
            seen.Add($"""("Caller" = @person AND ({string.Join(" OR ", AsMember.Select(One).ToList())}))""");
            parameters.Add(("@person", Person));
        }

        return seen.Count == 0 ? " AND 1 = 0" : $" AND ({string.Join(" OR ", seen)})";

        string One(string name)
        {
            var parameter = string.Create(CultureInfo.InvariantCulture, $"@seen{parameters.Count}");
            parameters.Add((parameter, $" {name} "));
            return $"""{search}("Organizations", {parameter}) > 0""";
        }
    }
}

/// <summary>A question has more different values than are counted.</summary>
internal sealed class TooManyValuesException() : Exception(string.Create(
    CultureInfo.InvariantCulture, $"there are more than {UsageStore.MaximumValues:N0} different values: ask about a shorter time, or about one repository or caller"));
