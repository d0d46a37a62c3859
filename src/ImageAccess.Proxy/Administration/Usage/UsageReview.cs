using System.Net;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// What a review of an organization asks: who is denied again and again, which community repositories are really used, what is new, which tags moved, and where
/// people are not signed in. All is counted; nothing is estimated.
/// </summary>
internal static class UsageReview
{
    /// <summary>Of how many moves of one tag the digests are told.</summary>
    public const int MaximumMoves = 20;

    /// <summary>How often somebody is denied who is denied again and again, where nothing is said.</summary>
    public const int Denials = 5;

    /// <summary>How many denials may be demanded.</summary>
    public const int MaximumDenials = 1_000_000;

    /// <summary>On how many days.</summary>
    public const int Days = 2;

    private const string Anonymous = "anonymous";

    /// <summary>Who was denied one repository often, and on several days: who needs it, or a machine that nobody looks after.</summary>
    public static async Task<ReviewAnswer<DeniedAgain>> DeniedAgainAsync(UsageStore store, UsageFilter filter, int denials, int days, CancellationToken cancellationToken)
    {
        var found = new Dictionary<(string Caller, string Repository), DeniedAgain>();
        await store.ReadAsync(
            new UsageQuery(
                filter,
                UsageSource.Counts,
                """ "Caller", "Repository", SUM("Decisions"), COUNT(DISTINCT "Day"), MIN("Day"), MAX("Day") """,
                """AND "Outcome" = 'deny' AND "Repository" <> '' GROUP BY "Caller", "Repository" """),
            row =>
            {
                var (key, first, last) = ((row.GetString(0), row.GetString(1)), UsageDays.DateOf(row.GetInt32(4)), UsageDays.DateOf(row.GetInt32(5)));
                var one = found.GetValueOrDefault(key) ?? new DeniedAgain(key.Item1, key.Item2, 0, 0, first, last);
                Demand(found.Count);
                found[key] = one with
                {
                    Denials = one.Denials + UsageStore.Number(row, 2),
                    Days = one.Days + (int)UsageStore.Number(row, 3), // no day is in two tables
                    First = first < one.First ? first : one.First,
                    Last = last > one.Last ? last : one.Last,
                };
            },
            cancellationToken);
        return new(
        [
            .. found.Values.Where(one => one.Denials >= denials && one.Days >= days)
                .OrderByDescending(one => one.Denials).ThenBy(one => one.Caller, StringComparer.Ordinal).ThenBy(one => one.Repository, StringComparer.Ordinal),
        ]);
    }

    /// <summary>Which community repositories were served, and how many people pulled them: what an allowlist would have to have.</summary>
    public static async Task<ReviewAnswer<UsedRepository>> CommunityAsync(UsageStore store, UsageFilter filter, CancellationToken cancellationToken)
    {
        var (found, people) = (new Dictionary<string, UsedRepository>(StringComparer.Ordinal), new HashSet<(string, string)>());
        await store.ReadAsync(
            new UsageQuery(
                filter,
                UsageSource.Counts,
                """ "Repository", "Caller", SUM("Decisions"), SUM("Pulls"), MAX("Day") """,
                """AND "Type" = 'community' AND "Outcome" <> 'deny' AND "Repository" <> '' GROUP BY "Repository", "Caller" """),
            row =>
            {
                var (repository, caller, last) = (row.GetString(0), row.GetString(1), UsageDays.DateOf(row.GetInt32(4)));
                var one = found.GetValueOrDefault(repository) ?? new UsedRepository(repository, 0, 0, 0, last);
                Demand(people.Count);
                found[repository] = one with
                {
                    People = one.People + (caller != Anonymous && people.Add((repository, caller)) ? 1 : 0),
                    Decisions = one.Decisions + UsageStore.Number(row, 2),
                    Pulls = one.Pulls + UsageStore.Number(row, 3),
                    Last = last > one.Last ? last : one.Last,
                };
            },
            cancellationToken);
        return new([.. found.Values.OrderByDescending(one => one.People).ThenByDescending(one => one.Decisions).ThenBy(one => one.Repository, StringComparer.Ordinal)]);
    }

    /// <summary>Which repositories were asked for in the time and on no day before it, as far as counts are kept.</summary>
    public static async Task<ReviewAnswer<NewRepository>> NewAsync(UsageStore store, UsageFilter filter, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, NewRepository>(StringComparer.Ordinal);
        await store.ReadAsync(
            new UsageQuery(filter, UsageSource.Counts, """ "Repository", SUM("Decisions"), SUM("Pulls"), MIN("Day") """, """AND "Repository" <> '' GROUP BY "Repository" """) { By = UsageBy.Repository },
            row =>
            {
                var (repository, first) = (row.GetString(0), UsageDays.DateOf(row.GetInt32(3)));
                var one = found.GetValueOrDefault(repository) ?? new NewRepository(repository, first, 0, 0);
                Demand(found.Count);
                found[repository] = one with
                {
                    First = first < one.First ? first : one.First,
                    Decisions = one.Decisions + UsageStore.Number(row, 1),
                    Pulls = one.Pulls + UsageStore.Number(row, 2),
                };
            },
            cancellationToken);
        await store.ReadAsync(
            new UsageQuery(filter with { From = 0, Until = filter.From }, UsageSource.Counts, "DISTINCT \"Repository\"", "") { By = UsageBy.Repository }, row => found.Remove(row.GetString(0)), cancellationToken);
        return new([.. found.Values.OrderByDescending(one => one.First).ThenByDescending(one => one.Decisions).ThenBy(one => one.Repository, StringComparer.Ordinal)]);
    }

    /// <summary>Which tags gave another digest than before within the time: when, from which and to which; those that moved last come first.</summary>
    /// <param name="count">Of how many tags the moves are told.</param>
    public static async Task<ReviewAnswer<MovedTag>> MovedAsync(UsageStore store, UsageFilter filter, int count, CancellationToken cancellationToken)
    {
        var tags = new Dictionary<(string Repository, string Tag), (HashSet<string> Digests, long Last)>();
        var pairs = 0;
        await store.ReadAsync(
            filter.IsOfTags
                ? new UsageQuery(filter, UsageSource.Tags, """ "Repository", "Reference", "Digest", MIN("First") """, "GROUP BY 1, 2, 3")
                : new UsageQuery(filter, UsageSource.Decisions, $"\"Repository\", \"Reference\", {UsageEvent.DigestOfTag}, MIN(\"Time\")", $"AND {UsageEvent.IsOfServedTag} GROUP BY 1, 2, 3"),
            row =>
            {
                var key = (row.GetString(0), row.GetString(1));
                var (digests, last) = tags.GetValueOrDefault(key, ([], 0));
                Demand(pairs += digests.Add(row.GetString(2)) ? 1 : 0);
                tags[key] = (digests, Math.Max(last, row.GetInt64(3)));
            },
            cancellationToken);
        var moved = tags.Where(tag => tag.Value.Digests.Count > 1).OrderByDescending(tag => tag.Value.Last).ThenBy(tag => tag.Key.Repository, StringComparer.Ordinal).ThenBy(tag => tag.Key.Tag, StringComparer.Ordinal).ToList();
        var told = new List<MovedTag>();
        foreach (var (repository, tag) in moved.Take(count).Select(one => one.Key))
        {
            var (moves, before) = (new List<TagMove>(), (string?)null);
            await store.ReadAsync(
                new UsageQuery(filter with { Repository = repository, Reference = tag }, UsageSource.Decisions, $"{UsageEvent.DigestOfTag}, \"Time\"", $"AND {UsageEvent.IsOfServedTag} ORDER BY \"Time\", \"Id\""),
                row =>
                {
                    var digest = row.GetString(0);
                    if (before is not null && digest != before)
                        moves.Add(new TagMove(DateTime.UnixEpoch.AddMilliseconds(row.GetInt64(1)), before, digest));
                    before = digest;
                },
                cancellationToken);
            told.Add(new MovedTag(repository, tag, moves.Count, [.. Enumerable.Reverse(moves).Take(MaximumMoves)]));
        }

        return new ReviewAnswer<MovedTag>(told) { Found = moved.Count };
    }

    /// <summary>Which share of the decisions of an address range is of nobody who signed in; a range is a /24, and a /64 of IPv6.</summary>
    public static async Task<ReviewAnswer<AnonymousRange>> AnonymousAsync(UsageStore store, UsageFilter filter, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, AnonymousRange>(StringComparer.Ordinal);
        await store.ReadAsync(
            new UsageQuery(
                filter,
                filter.IsOfCounts ? UsageSource.Machines : UsageSource.Decisions,
                $"\"Client\", SUM(\"Decisions\"), SUM(CASE WHEN \"Caller\" = '{Anonymous}' THEN \"Decisions\" ELSE 0 END)",
                "AND \"Client\" <> '' GROUP BY \"Client\""),
            row =>
            {
                var range = RangeOf(row.GetString(0));
                var one = found.GetValueOrDefault(range) ?? new AnonymousRange(range, 0, 0);
                Demand(found.Count);
                found[range] = one with { Decisions = one.Decisions + UsageStore.Number(row, 1), Anonymous = one.Anonymous + UsageStore.Number(row, 2) };
            },
            cancellationToken);
        return new([.. found.Values.Where(one => one.Anonymous > 0).OrderByDescending(one => one.Anonymous).ThenBy(one => one.Range, StringComparer.Ordinal)]);
    }

    /// <summary>What is no address is a range of its own.</summary>
    private static string RangeOf(string client) => IPAddress.TryParse(client, out var address) ? AddressRange.Of(address).ToString() : client;

    private static void Demand(int values)
    {
        if (values >= UsageStore.MaximumValues)
            throw new TooManyValuesException();
    }
}

/// <summary>One who was denied a repository, how often, and on how many days.</summary>
internal sealed record DeniedAgain(string Caller, string Repository, long Denials, int Days, DateTime First, DateTime Last);

/// <param name="People">How many different callers; nobody who did not sign in is among them.</param>
/// <param name="Last">The last day.</param>
internal sealed record UsedRepository(string Repository, int People, long Decisions, long Pulls, DateTime Last);

/// <param name="First">The day on which it was asked for first.</param>
internal sealed record NewRepository(string Repository, DateTime First, long Decisions, long Pulls);

/// <param name="Found">How often it moved.</param>
/// <param name="Moves">The last ones, the newest first.</param>
internal sealed record MovedTag(string Repository, string Tag, int Found, IReadOnlyList<TagMove> Moves);

/// <param name="When">When the other digest was served first.</param>
internal sealed record TagMove(DateTime When, string From, string To);

/// <param name="Anonymous">How many of the decisions were of nobody who signed in.</param>
internal sealed record AnonymousRange(string Range, long Decisions, long Anonymous)
{
    public double Share => Math.Round(Anonymous / (double)Decisions, 3);
}

/// <summary>What a review finds.</summary>
/// <param name="Items">The first of them.</param>
internal sealed record ReviewAnswer<T>(IReadOnlyList<T> Items)
{
    /// <summary>From when on.</summary>
    public DateTime From { get; init; }

    /// <summary>How many there are.</summary>
    public int Found { get; init; } = Items.Count;

    /// <summary>What is asked about is kept from this day on, which is after the first that is asked about; else null.</summary>
    public DateTime? KeptSince { get; init; }

    public ReviewAnswer<T> Shown(ReviewKind kind, UsageFilter filter, int limit, UsageDays days)
    {
        var kept = kind.OfCounts ? days.FirstCounted : days.First;
        return this with
        {
            Items = [.. Items.Take(limit)],
            From = DateTime.UnixEpoch.AddMilliseconds(filter.From),
            KeptSince = filter.From < kept * UsageDays.Milliseconds ? UsageDays.DateOf(kept) : null,
        };
    }
}

/// <summary>A question of a review.</summary>
/// <param name="Since">Its time, where nothing is said.</param>
/// <param name="OfCounts">The counts of days answer it; else single decisions.</param>
/// <param name="Names">It tells who has pulled, or from where.</param>
internal sealed record ReviewKind(string Name, string Since, bool OfCounts, bool Names);

internal static class UsageReviews
{
    public static readonly ReviewKind
        DeniedAgain = new("denied-again", UsageQuestion.DefaultSince, OfCounts: true, Names: true),
        Community = new("community", UsageQuestion.DefaultSince, OfCounts: true, Names: false),
        New = new("new", "7d", OfCounts: true, Names: false),
        Moved = new("moved", "7d", OfCounts: false, Names: false),
        Anonymous = new("anonymous", "7d", OfCounts: false, Names: true);
}
