using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Content.Serving;

namespace ImageAccess.Proxy.Administration.Incidents;

/// <summary>Who pulled the images of an incident.</summary>
/// <param name="From">From when on.</param>
/// <param name="Images">Each that was asked about.</param>
/// <param name="Rows">How many groups of pulls there are.</param>
/// <param name="Pulls">Those of them that came last, the newest first.</param>
internal sealed record IncidentAnswer(DateTime From, IReadOnlyList<IncidentImage> Images, int Rows, IReadOnlyList<IncidentPull> Pulls)
{
    public const int DefaultLimit = 1000;

    public const int MaximumLimit = 5000;

    private static readonly string[] Columns =
        ["image", "caller", "organizations", "client", "clientFamily", "wayIn", "repository", "reference", "digest", "index", "outcome", "decisions", "pulls", "first", "last"];

    /// <summary>Before when; null where it has no end.</summary>
    public DateTime? To { get; init; }

    /// <summary>Single decisions are kept from this day on, which is after the first that is asked about; else null.</summary>
    public DateTime? KeptSince { get; init; }

    /// <param name="store">Where decisions are.</param>
    /// <param name="images">Which images.</param>
    /// <param name="filter">When, and whose.</param>
    /// <param name="limit">How many groups are told.</param>
    /// <param name="days">Which days are kept.</param>
    /// <param name="look">Whether an image is blocked, and how much of it is kept; null where that is not known.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    /// <exception cref="TooManyPullsException">There are too many groups.</exception>
    public static async Task<IncidentAnswer> AskAsync(
        UsageStore store,
        IReadOnlyList<ImagePattern> images,
        UsageFilter filter,
        int limit,
        UsageDays days,
        Func<ImagePattern, Task<(bool IsBlocked, KeptSize? Kept)>> look,
        CancellationToken cancellationToken)
    {
        var (groups, told) = (new PullGroups(), new List<IncidentImage>());
        foreach (var image in images)
            await store.GroupPullsAsync(image, filter, groups, cancellationToken);
        var pulls = groups.Counts.Select(group => IncidentPull.Of(group.Key, group.Value)).ToList();
        foreach (var image in images)
        {
            var (isBlocked, kept) = await look(image);
            told.Add(IncidentImage.Of(image.ToString(), isBlocked, kept, pulls.FindAll(pull => pull.Image == image.ToString())));
        }

        return new IncidentAnswer(DateTime.UnixEpoch.AddMilliseconds(filter.From), told, pulls.Count, [.. pulls.Order(IncidentPull.NewestFirst).Take(limit)])
        {
            To = filter.Until == long.MaxValue ? null : DateTime.UnixEpoch.AddMilliseconds(filter.Until),
            KeptSince = filter.From < days.First * UsageDays.Milliseconds ? UsageDays.DateOf(days.First) : null,
        };
    }

    /// <summary>A table with a line for each group.</summary>
    public IEnumerable<string[]> ToRows() => Pulls.Select(pull => new[]
    {
        pull.Image, pull.Caller, string.Join(' ', pull.Organizations), pull.Client ?? "", pull.ClientFamily, pull.WayIn, pull.Repository, pull.Reference ?? "", pull.Digest ?? "",
        pull.Index ?? "", pull.Outcome, Number(pull.Decisions), Number(pull.Pulls), Time(pull.First), Time(pull.Last),
    }).Prepend(Columns);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Time(DateTime time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}

/// <summary>An image of an incident.</summary>
/// <param name="Image">As a block names it.</param>
/// <param name="Blocked">Whether nobody may have it now.</param>
/// <param name="Decisions">How many requests were decided.</param>
/// <param name="Pulls">How many pulls began with those that were allowed.</param>
/// <param name="Denied">How many pulls were denied.</param>
/// <param name="Callers">How many different ones were allowed it.</param>
/// <param name="Machines">From how many addresses they came.</param>
internal sealed record IncidentImage(string Image, bool Blocked, long Decisions, long Pulls, long Denied, int Callers, int Machines)
{
    /// <summary>When it was first allowed.</summary>
    public DateTime? First { get; init; }

    /// <summary>When it was last allowed.</summary>
    public DateTime? Last { get; init; }

    /// <summary>What this proxy keeps of it; null where that is not known.</summary>
    public KeptSize? Kept { get; init; }

    public static IncidentImage Of(string image, bool isBlocked, KeptSize? kept, List<IncidentPull> pulls)
    {
        var allowed = pulls.FindAll(pull => !pull.IsDenied);
        return new IncidentImage(
            image,
            isBlocked,
            pulls.Sum(pull => pull.Decisions),
            allowed.Sum(pull => pull.Pulls),
            pulls.Where(pull => pull.IsDenied).Sum(pull => pull.Pulls),
            allowed.Select(pull => pull.Caller).Distinct().Count(),
            allowed.Select(pull => pull.Client).OfType<string>().Distinct().Count())
        {
            First = allowed.Min(pull => (DateTime?)pull.First),
            Last = allowed.Max(pull => (DateTime?)pull.Last),
            Kept = kept,
        };
    }
}

/// <summary>Requests for an image that are alike.</summary>
/// <param name="Image">Which of those that were asked about.</param>
/// <param name="Outcome"><c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
/// <param name="Decisions">How many requests.</param>
/// <param name="Pulls">How many pulls began with them.</param>
internal sealed record IncidentPull(
    string Image, string Caller, IReadOnlyList<string> Organizations, string ClientFamily, string WayIn, string Repository, string Outcome, long Decisions, long Pulls, DateTime First, DateTime Last)
{
    /// <summary>For the same facts always the same order.</summary>
    public static IComparer<IncidentPull> NewestFirst { get; } = Comparer<IncidentPull>.Create((one, other) =>
        other.Last != one.Last ? other.Last.CompareTo(one.Last) : string.CompareOrdinal(one.Words, other.Words));

    /// <summary>The client's address.</summary>
    public string? Client { get; init; }

    /// <summary>The tag or the digest that the client named.</summary>
    public string? Reference { get; init; }

    /// <summary>Of the manifest that was served.</summary>
    public string? Digest { get; init; }

    /// <summary>The digest of the index that it was chosen from.</summary>
    public string? Index { get; init; }

    internal bool IsDenied => Outcome == "deny";

    private string Words => string.Join('\n', Image, Caller, Client, ClientFamily, WayIn, Repository, Reference, Digest, Index, Outcome, string.Join(' ', Organizations));

    public static IncidentPull Of(PullGroup group, PullCount count) => new(
        group.Image,
        group.Caller,
        group.Organizations.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        group.Family,
        group.WayIn,
        group.Repository,
        group.Outcome,
        count.Decisions,
        count.Pulls,
        DateTime.UnixEpoch.AddMilliseconds(count.First),
        DateTime.UnixEpoch.AddMilliseconds(count.Last))
    {
        Client = group.Client,
        Reference = group.Reference,
        Digest = group.Digest,
        Index = group.Index,
    };
}
