using System.Data.Common;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Decisions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>The pulls that the database has, each kind once with its count, to be judged by a draft of the policy: of every replica, where these have one database.</summary>
internal sealed class UsagePulls(UsageStore store, UsageFollower follower, IOptions<UsageOptions> options, TimeProvider time)
{
    /// <summary>How long the trail's last lines are waited for.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    /// <summary>All on which the outcome of a pull depends, and what its namespace's publisher is known by.</summary>
    private const string Kinds = $"""
        "Caller", "Memberships", "Repository", "Outcome", "Block", CASE WHEN "Rule" = '{PolicyRule.Exception}' THEN 1 ELSE 0 END, "Type", SUM("Pulls"), MIN("Time"), MAX("Time")
        """;

    /// <summary>A request that reads, or one that was denied its token before it could ask the registry.</summary>
    private const string OfPulls = """AND "Repository" <> '' AND ("Method" IN ('GET', 'HEAD') OR "Reference" IS NULL) GROUP BY 1, 2, 3, 4, 5, 6, 7""";

    /// <returns>The pulls, or why they are not read here.</returns>
    public async Task<(AuditPulls? Pulls, string? Why)> ReadAsync(DateTimeOffset since, CancellationToken cancellationToken)
    {
        var (now, kept) = (time.GetUtcNow(), options.Value);
        if (since.ToUnixTimeMilliseconds() < UsageDays.At(now, kept).First * UsageDays.Milliseconds)
            return (null, "it keeps fewer days (Usage:Keep)");
        try
        {
            if (!await follower.HasTakenInAsync().WaitAsync(LongestWait, time, cancellationToken))
                return (null, "it has not taken in all of the audit files");
            return await ReadAsync(store, since, now, DraftTrials.MaximumKinds, cancellationToken) is { } pulls
                ? (pulls, null)
                : (null, "it has decisions that an earlier version took in, without what tokens said of the callers");
        }
        catch (TimeoutException)
        {
            return (null, "it has not taken in all of the audit files");
        }
        catch (Exception exception) when (exception is DbException or DatabaseException)
        {
            cancellationToken.ThrowIfCancellationRequested(); // SQLite says that it was interrupted
            return (null, "it cannot be read");
        }
    }

    /// <summary>Day by day: so no question of it is long, and it can be broken off.</summary>
    /// <returns>Null where decisions are among them of which not everything is known.</returns>
    public static async Task<AuditPulls?> ReadAsync(UsageStore store, DateTimeOffset since, DateTimeOffset now, int maximum, CancellationToken cancellationToken)
    {
        var pulls = new AuditPulls(since, maximum) { Source = PullSource.Database };
        var (types, isWhole) = (new Dictionary<string, (long Time, RepositoryName Repository, string Type)>(StringComparer.Ordinal), true);
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var (from, end) = (since.ToUnixTimeMilliseconds(), (UsageDays.Of(now.ToUnixTimeMilliseconds()) + 2) * UsageDays.Milliseconds); from < end && isWhole;)
        {
            var until = (UsageDays.Of(from) + 1) * UsageDays.Milliseconds;
            await store.ReadAsync(new UsageQuery(new UsageFilter(from, until), UsageSource.Decisions, Kinds, OfPulls), Take, cancellationToken);
            from = until;
        }

        foreach (var (_, repository, type) in types.Values)
            pulls.SetType(repository, type);
        return isWhole ? pulls : null;

        void Take(DbDataReader row)
        {
            if (row.IsDBNull(1))
                isWhole = false;
            if (!isWhole || row.GetString(0) == ForgottenCallers.Replacement || !RepositoryName.TryParse(row.GetString(2), out var repository))
                return; // what somebody may who was forgotten nobody can say
            var pull = new Pull(Shared(row.GetString(0)), Shared(row.GetString(1)), Shared(repository.Value), Shared(row.GetString(3)), row.IsDBNull(4) ? null : row.GetInt64(4), row.GetInt32(5) == 1);
            var (type, last) = (row.GetString(6), row.GetInt64(9));
            if (!pulls.Add(pull, UsageStore.Number(row, 7), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(8)), DateTimeOffset.FromUnixTimeMilliseconds(last)))
                return;
            if (type is "verified-publisher" or "community" && (!types.TryGetValue(repository.Namespace, out var known) || known.Time <= last))
                types[repository.Namespace] = (last, repository, type);
        }

        string Shared(string text) => texts.TryGetValue(text, out var known) ? known : texts[text] = text;
    }
}
