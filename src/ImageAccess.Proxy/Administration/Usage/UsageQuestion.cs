using System.Globalization;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>A question about decisions as people write it, wherever they do; each of its words is taken literally.</summary>
internal sealed class UsageQuestion
{
    public const string DefaultSince = "30d";

    /// <summary>How long a time it may be about.</summary>
    public const int MaximumDays = 3660;

    private static readonly string[] Outcomes = ["allow", "observe", "deny"], WaysIn = ["mirror", "gateway", "forward-proxy"];

    private static readonly string[] Types = [.. Enum.GetValues<RepositoryCategory>().Select(category => category.ToWireName())];

    private static readonly string[] Families =
        ["docker", .. Enum.GetValues<ClientFamily>().Where(family => family != ClientFamily.ClassicDocker).Select(family => family.ToConfigurationName())];

    private readonly List<(string Member, string Fault)> _faults = [];

    public UsageFilter Filter { get; private set; } = new();

    /// <summary>What is wrong, and with which part; to follow its name in a sentence.</summary>
    public IReadOnlyList<(string Member, string Fault)> Faults => _faults;

    public static IEnumerable<string> Bys => Enum.GetNames<UsageBy>().Select(name => name.ToLowerInvariant());

    /// <returns>Its default where it is not written.</returns>
    public UsageBy By(string? text)
    {
        if (text is null)
            return UsageBy.Repository;
        if (Bys.Contains(text) && Enum.TryParse<UsageBy>(text, ignoreCase: true, out var by))
            return by;
        _faults.Add(("by", $"is '{PrintableText.Of(text)}': choose {string.Join(", ", Bys)}"));
        return default;
    }

    /// <summary>From a time on, before another one; null where it has no end.</summary>
    public UsageQuestion Between(DateTimeOffset? from, DateTimeOffset? to, DateTimeOffset now)
    {
        var (first, end) = (from ?? DateTimeOffset.UnixEpoch, to ?? now + TimeSpan.FromDays(1));
        if (from is null && to is null)
            return this;
        if (first >= end)
            _faults.Add(to is null ? ("from", "is a time that has not come") : ("to", "must be after from"));
        else if (from is not null && end - first > TimeSpan.FromDays(MaximumDays))
            _faults.Add(("from", $"must be at most {MaximumDays} days before to"));
        else
            Filter = Filter with { From = Math.Max(0, first.ToUnixTimeMilliseconds()), Until = to?.ToUnixTimeMilliseconds() ?? long.MaxValue };
        return this;
    }

    /// <summary>Of so many days, as <c>30d</c>: from the beginning of a day of UTC on, so that the counts of days answer it; or of so many hours.</summary>
    public UsageQuestion Since(string text, DateTimeOffset now)
    {
        try
        {
            var span = ConfigurationKey.Duration(text);
            if (span > TimeSpan.FromDays(MaximumDays))
                _faults.Add(("since", $"must be at most {MaximumDays}d"));
            else
                Filter = Filter with { From = Math.Max(0, (text.EndsWith('d') ? new DateTimeOffset(now.UtcDateTime.Date, TimeSpan.Zero) : now).Subtract(span).ToUnixTimeMilliseconds()) };
        }
        catch (FormatException)
        {
            _faults.Add(("since", $"is '{PrintableText.Of(text)}': choose a time as 12h or 30d"));
        }

        return this;
    }

    /// <summary>Of so many days, as <c>30d</c>.</summary>
    public UsageQuestion SinceDays(string text, DateTimeOffset now)
    {
        if (text.EndsWith('d'))
            return Since(text, now);
        _faults.Add(("since", $"is '{PrintableText.Of(text)}': choose days, as 30d"));
        return this;
    }

    /// <summary>About these alone; null for all.</summary>
    public UsageQuestion About(UsageFilter words)
    {
        Text("organization", words.Organization, UsageEvent.MaximumOrganizations);
        Text("caller", words.Caller, UsageEvent.MaximumCaller);
        Text("rule", words.Rule, UsageEvent.MaximumWord);
        Text("reference", words.Reference, UsageEvent.MaximumCaller);
        OneOf("type", words.Type, Types);
        OneOf("outcome", words.Outcome, Outcomes);
        OneOf("wayIn", words.WayIn, WaysIn);
        OneOf("clientFamily", words.Family, Families);
        if (words.Repository is { } repository && !RepositoryName.TryParse(repository, out _))
            _faults.Add(("repository", $"is '{PrintableText.Of(repository)}': name one in full, as library/nginx"));
        if (words.Digest is { } text && !Digest.TryParse(text, out _))
            _faults.Add(("digest", $"is '{PrintableText.Of(text)}': name one in full, as sha256: and 64 hexadecimal digits"));
        Filter = words with { From = Filter.From, Until = Filter.Until };
        return this;
    }

    private void Text(string member, string? text, int maximum)
    {
        if (text is not null && PrintableText.FaultOf(text, maximum) is { } fault)
            _faults.Add((member, fault));
    }

    private void OneOf(string member, string? text, string[] words)
    {
        if (text is not null && !words.Contains(text))
            _faults.Add((member, $"is '{PrintableText.Of(text)}': choose {string.Join(", ", words)}"));
    }
}

/// <summary>Decisions and pulls by something.</summary>
/// <param name="By">What they are counted by.</param>
/// <param name="From">From when on.</param>
/// <param name="Decisions">All together.</param>
/// <param name="Pulls">All together.</param>
/// <param name="Values">How many different values there are.</param>
/// <param name="Items">Those with the most decisions; of days the latest.</param>
internal sealed record UsageAnswer(string By, DateTime From, long Decisions, long Pulls, int Values, IReadOnlyList<UsageCount> Items)
{
    public const int DefaultLimit = 50;

    public const int MaximumLimit = 1000;

    /// <summary>Before when; null where it has no end.</summary>
    public DateTime? To { get; init; }

    /// <summary>What is asked about is kept from this day on, which is after the first that is asked about; else null.</summary>
    public DateTime? KeptSince { get; init; }

    /// <exception cref="TooManyValuesException">There are too many values.</exception>
    public static async Task<UsageAnswer> AskAsync(
        UsageStore store, UsageFilter filter, UsageBy by, int limit, UsageDays days, CancellationToken cancellationToken)
    {
        var counts = await store.CountAsync(filter, by, cancellationToken);
        var kept = filter.IsOfCounts && by != UsageBy.Digest ? days.FirstCounted : days.First;
        var sorted = by == UsageBy.Day
            ? counts.OrderByDescending(count => count.Value, StringComparer.Ordinal)
            : counts.OrderByDescending(count => count.Decisions).ThenBy(count => count.Value, StringComparer.Ordinal);
        return new UsageAnswer(
            by.ToString().ToLower(CultureInfo.InvariantCulture),
            DateTime.UnixEpoch.AddMilliseconds(filter.From),
            counts.Sum(count => count.Decisions),
            counts.Sum(count => count.Pulls),
            counts.Count,
            [.. sorted.Take(limit)])
        {
            To = filter.Until == long.MaxValue ? null : DateTime.UnixEpoch.AddMilliseconds(filter.Until),
            KeptSince = filter.From < kept * UsageDays.Milliseconds ? UsageDays.DateOf(kept) : null,
        };
    }
}
