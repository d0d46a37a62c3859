using System.Data.Common;
using System.Globalization;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Administration.Usage;

internal abstract partial class UsageStore
{
    private const string PullColumns = """ "Caller", "Client", "Family", "WayIn", "Organizations", "Repository", "Reference", "Digest", "Index", "Outcome" """;

    /// <summary>Who pulled an image, or was denied it: requests that are alike are one group.</summary>
    /// <param name="image">A digest is also that of the index that a manifest was chosen from; a tag is the one that the client named.</param>
    /// <param name="filter">When, and whose.</param>
    /// <param name="groups">Where they are counted, beside what is there already.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    /// <exception cref="TooManyPullsException">There are too many groups.</exception>
    public Task GroupPullsAsync(ImagePattern image, UsageFilter filter, PullGroups groups, CancellationToken cancellationToken) => VisitAsync(
        filter,
        ofCounts: false,
        async (connection, search) =>
        {
            foreach (var condition in ConditionsOf(image))
                await GroupAsync(connection, search, condition, image, filter, groups, cancellationToken);
        },
        cancellationToken);

    /// <summary>Each is served by one index, where one condition with OR would be by none.</summary>
    private static string[] ConditionsOf(ImagePattern image)
    {
        const string OfRepository = """ "Repository" = @repository """;
        if (image.Namespace is not null)
        {
            return
            [
                """
                "Repository" IN (SELECT "Repository" FROM "UsageCounts" WHERE "Day" >= @firstDay AND "Day" <= @lastDay AND substr("Repository", 1, @length) = @prefix)
                """,
            ];
        }

        if (image.Asked is { Digest: null } asked)
            return [asked.Tag is null ? OfRepository : $"""{OfRepository} AND "Reference" = @reference"""];
        var there = image.Asked is null ? "" : $" AND {OfRepository}";
        return [.. Enum.GetValues<DigestRole>().Select(role => role.Condition() + there)];
    }

    private static IEnumerable<(string Name, object? Value)> ParametersOf(ImagePattern image, UsageFilter filter) => image switch
    {
        { Namespace: { } name } =>
        [
            ("@firstDay", filter.From / UsageDays.Milliseconds), ("@lastDay", (filter.Until - 1) / UsageDays.Milliseconds), ("@prefix", $"{name}/"), ("@length", name.Length + 1),
        ],
        { Asked: { Digest: { } digest } asked } => [("@digest", digest.Value), ("@repository", asked.Repository.Value)],
        { Asked: { Tag: { } tag } asked } => [("@repository", asked.Repository.Value), ("@reference", tag.Value)],
        { Asked: { } asked } => [("@repository", asked.Repository.Value)],
        _ => [("@digest", image.ToString())],
    };

    private static async Task GroupAsync(
        DbConnection connection, string search, string condition, ImagePattern image, UsageFilter filter, PullGroups groups, CancellationToken cancellationToken)
    {
        var (where, parameters) = filter.ToSql(search, ofDays: false);
        await using var command = Command(
            connection,
            null,
            $"""
            SELECT {PullColumns}, SUM("Decisions"), SUM("Pulls"), MIN("Time"), MAX("Time") FROM "UsageEvents"
            WHERE {condition} AND {where} AND "Method" NOT IN ('PUT', 'POST', 'PATCH', 'DELETE') GROUP BY {PullColumns};
            """,
            [.. parameters, .. ParametersOf(image, filter)]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var group = new PullGroup(
                image.ToString(), reader.GetString(0), TextOrNull(reader, 1), reader.GetString(2), reader.GetString(3), string.Join(' ', filter.Scope.Told(reader.GetString(4))),
                reader.GetString(5), TextOrNull(reader, 6), TextOrNull(reader, 7), TextOrNull(reader, 8), reader.GetString(9));
            groups.Add(group, new PullCount(Number(reader, 10), Number(reader, 11), Number(reader, 12), Number(reader, 13)));
        }
    }

    private static string? TextOrNull(DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}

/// <summary>Requests that are alike: for one image, by one caller, from one machine.</summary>
/// <param name="Image">Which of the images that are asked about.</param>
/// <param name="Client">The client's address.</param>
/// <param name="Organizations">Those that may be told.</param>
/// <param name="Reference">The tag or the digest that the client named.</param>
/// <param name="Digest">Of the manifest that was served.</param>
/// <param name="Index">The digest of the index that it was chosen from.</param>
internal sealed record PullGroup(
    string Image, string Caller, string? Client, string Family, string WayIn, string Organizations, string Repository, string? Reference, string? Digest, string? Index, string Outcome);

/// <summary>How many, when for the first time, and when for the last one, in milliseconds since 1970.</summary>
internal sealed record PullCount(long Decisions, long Pulls, long First, long Last)
{
    public PullCount With(PullCount other) =>
        new(Decisions + other.Decisions, Pulls + other.Pulls, Math.Min(First, other.First), Math.Max(Last, other.Last));
}

/// <summary>The groups of one question, in bounded memory.</summary>
internal sealed class PullGroups
{
    public const int Maximum = 100_000;

    private readonly Dictionary<PullGroup, PullCount> _counts = [];

    public IReadOnlyDictionary<PullGroup, PullCount> Counts => _counts;

    public void Add(PullGroup group, PullCount count)
    {
        var before = _counts.GetValueOrDefault(group);
        if (before is null && _counts.Count == Maximum)
            throw new TooManyPullsException();
        _counts[group] = before?.With(count) ?? count;
    }
}

/// <summary>A question has more groups of pulls than are counted.</summary>
internal sealed class TooManyPullsException() : Exception(string.Create(
    CultureInfo.InvariantCulture, $"there are more than {PullGroups.Maximum:N0} groups of pulls: ask about a shorter time, or about fewer images"));
