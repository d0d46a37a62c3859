using System.Data.Common;
using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// Where decisions are kept: single ones, and counts of them for each day. What comes twice is taken once, by the id of its line, and counted once.
/// </summary>
/// <remarks>
/// The tables are made here by plain SQL, and are no entities of EF: its model and its migrations know neither partitions of a table nor a file for each
/// month. <see cref="Version"/> is kept beside them.
/// </remarks>
internal abstract partial class UsageStore
{
    /// <summary>Of the tables: a later program that needs others brings these up to date, and an earlier one leaves them alone.</summary>
    public const int Version = 3;

    /// <summary>How many different values a question may have: they are counted in memory.</summary>
    public const int MaximumValues = 250_000;

    /// <summary>By what decisions of a day are counted together.</summary>
    protected const string Dimensions = """ "Organizations", "Caller", "Repository", "Type", "Rule", "Outcome", "WayIn", "Family" """;

    protected const string Columns =
        """ "Time", "Id", "IsClosing", "Organizations", "Caller", "Client", "WayIn", "Family", "Method", "Repository", "Reference", "Digest", "Index", "Type", "Rule", "Outcome", "PolicyVersion", "Decisions", "Pulls", "Memberships", "Block" """;

    /// <summary>
    /// What questions look decisions up by; a list of them comes with the newest first. Each costs the writer: there is none for a word that has few values,
    /// because one page of the list of them is near in any case.
    /// </summary>
    protected const string Indexes = """
        CREATE INDEX IF NOT EXISTS "UsageEvents_Caller" ON "UsageEvents" ("Caller", "Time");
        CREATE INDEX IF NOT EXISTS "UsageEvents_Repository" ON "UsageEvents" ("Repository", "Time");
        CREATE INDEX IF NOT EXISTS "UsageEvents_Digest" ON "UsageEvents" ("Digest", "Time") WHERE "Digest" IS NOT NULL;
        CREATE INDEX IF NOT EXISTS "UsageEvents_Index" ON "UsageEvents" ("Index", "Time") WHERE "Index" IS NOT NULL;
        """;

    /// <summary>The same by who judged; a list of an organization takes those of each set of organizations that it is in.</summary>
    protected const string OrganizationIndex = """CREATE INDEX IF NOT EXISTS "UsageEvents_Organizations" ON "UsageEvents" ("Organizations", "Time");""";

    /// <summary>By what decisions of a day are counted for each digest.</summary>
    protected const string DigestDimensions = """ "Organizations", "Repository", "Digest", "Outcome" """;

    /// <summary>The same of counts: a caller or a repository is few of the rows of a day.</summary>
    protected const string CountIndexes = """
        CREATE INDEX IF NOT EXISTS "UsageCounts_Caller" ON "UsageCounts" ("Caller", "Day");
        CREATE INDEX IF NOT EXISTS "UsageCounts_Repository" ON "UsageCounts" ("Repository", "Day");
        """;

    /// <summary>The same of what reviews read of all callers and repositories: with all they ask for, in the order in which they count.</summary>
    protected const string ReviewIndexes = """
        CREATE INDEX IF NOT EXISTS "UsageCounts_Denied" ON "UsageCounts" ("Caller", "Repository", "Day", "Organizations", "Decisions") WHERE "Outcome" = 'deny';
        CREATE INDEX IF NOT EXISTS "UsageCounts_Community" ON "UsageCounts" ("Repository", "Caller", "Day", "Organizations", "Decisions", "Pulls") WHERE "Type" = 'community' AND "Outcome" <> 'deny';
        """;

    /// <summary>By what it is noted for each day what tags came to.</summary>
    protected const string TagDimensions = """ "Organizations", "Repository", "Reference", "Digest" """;

    /// <summary>What stands before the counts that are added to others.</summary>
    protected const string Sums = $"""INSERT INTO "UsageSums" ("Kind", "Day", {Dimensions}, "Decisions", "Pulls")""";

    /// <summary>The same of the counts of digests, which are kept as long as the decisions themselves.</summary>
    protected const string Digests = $"""INSERT INTO "UsageDigests" ("Day", {DigestDimensions}, "Decisions", "Pulls")""";

    /// <summary>The same of what tags came to, kept as long.</summary>
    protected const string Tags = $"""INSERT INTO "UsageTags" ("Day", {TagDimensions}, "First")""";

    /// <summary>What stands behind them.</summary>
    protected const string TagsTogether = $"""
        ON CONFLICT ("Day", {TagDimensions}) DO UPDATE SET "First" = excluded."First" WHERE excluded."First" < "UsageTags"."First"
        """;

    /// <summary>What there was when there were sums for the first time.</summary>
    protected static readonly SumKind[] FirstKinds = [SumKind.All, SumKind.Callers, SumKind.Repositories];

    /// <summary>In how many sets of organizations one is looked for by an index; with more, and in a database that has them, each decision is looked at.</summary>
    private const int MaximumSets = 100;

    /// <summary>What it is called in a sentence.</summary>
    public abstract string Name { get; }

    /// <param name="key">Tells forgotten callers; it is read once there is one.</param>
    public static UsageStore Of(SqlDatabase database, KeyFile key) => database switch
    {
        PostgresDatabase postgres => new PostgresUsage(postgres, key),
        SqliteDatabase sqlite => new SqliteUsage(sqlite, key),
        _ => throw new NotSupportedException(database.GetType().Name),
    };

    /// <summary>How far these files are read; one that is not named is not begun.</summary>
    public abstract Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyCollection<string> files, CancellationToken cancellationToken);

    /// <summary>Adds decisions, their counts, and how far the file is read with them: all of it or nothing, and again without harm.</summary>
    public abstract Task<UsageAdded> AddAsync(
        IReadOnlyList<UsageEvent> decisions, TrailPosition? position, UsageDays days, CancellationToken cancellationToken);

    /// <summary>
    /// Replaces a caller's name and addresses in what there is up to now, and in what comes of that time later, as from audit files. A day is one
    /// transaction; who is stopped in between begins again.
    /// </summary>
    public abstract Task<UsageForgotten> ForgetAsync(string caller, DateTimeOffset now, Action<UsageForgotten> progress, CancellationToken cancellationToken);

    /// <summary>Removes what is kept no longer.</summary>
    /// <returns>Whether there is more to remove.</returns>
    public abstract Task<bool> PruneAsync(UsageDays days, CancellationToken cancellationToken);

    /// <summary>The last decisions, the newest first.</summary>
    public abstract Task<IReadOnlyList<UsageEvent>> ListAsync(UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken);

    /// <summary>Decisions and pulls, together for each value of what they are asked by.</summary>
    public async Task<IReadOnlyList<UsageCount>> CountAsync(UsageFilter filter, UsageBy by, CancellationToken cancellationToken)
    {
        var (counts, source) = (new Dictionary<string, UsageCount>(), filter.SourceOf(by));
        var (column, condition) = (by.Column(source == UsageSource.Counts), by == UsageBy.Digest ? """AND "Digest" IS NOT NULL""" : "");
        await ReadAsync(
            new UsageQuery(filter, source, $"""{column}, SUM("Decisions"), SUM("Pulls")""", $"{condition} GROUP BY {column}") { By = by },
            row =>
            {
                var value = row.IsDBNull(0) ? "" : Convert.ToString(row.GetValue(0), CultureInfo.InvariantCulture)!;
                if (by == UsageBy.Day)
                    value = UsageDays.DateOf(int.Parse(value, CultureInfo.InvariantCulture)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
                var before = counts.GetValueOrDefault(value);
                if (before is null && counts.Count == MaximumValues)
                    throw new TooManyValuesException();
                counts[value] = new UsageCount(value, Number(row, 1) + (before?.Decisions ?? 0), Number(row, 2) + (before?.Pulls ?? 0));
            },
            cancellationToken);
        return [.. counts.Values];
    }

    /// <summary>Asks each part of the store that has decisions of this time, with the name of its function that finds a text in another.</summary>
    /// <param name="ofCounts">Also where only their counts are left.</param>
    protected abstract Task VisitAsync(UsageFilter filter, bool ofCounts, Func<DbConnection, string, Task> ask, CancellationToken cancellationToken);

    /// <summary>Takes the rows of a query over each table that has decisions, or counts of them, of the time.</summary>
    public Task ReadAsync(UsageQuery query, Action<DbDataReader> take, CancellationToken cancellationToken) =>
        VisitAsync(query.Filter, query.Source == UsageSource.Counts, (connection, search) => ReadAsync(connection, search, query, take, cancellationToken), cancellationToken);

    /// <summary>Why something failed, as what follows <see cref="Name"/> in a sentence.</summary>
    public abstract string Explain(Exception exception);

    /// <summary>Those of days that are kept. What was removed does not come back: its counts are still there, and would count it twice.</summary>
    /// <param name="horizon">No day before this one comes back.</param>
    protected static List<UsageEvent> Kept(IReadOnlyList<UsageEvent> decisions, UsageDays days, long horizon, out int old, out int future)
    {
        var first = Math.Max(days.First, horizon);
        old = decisions.Count(decision => decision.Day < first);
        future = decisions.Count(decision => decision.Day > days.Last);
        return [.. decisions.Where(decision => decision.Day >= first && decision.Day <= days.Last)];
    }

    /// <summary>The counts of days once more, without callers or repositories: what is asked about all of them then reads few rows.</summary>
    /// <param name="kinds">By what.</param>
    /// <param name="source">What is counted.</param>
    /// <param name="day">The day, in SQL.</param>
    protected static string Summed(IEnumerable<SumKind> kinds, string source, string day) => string.Join(" UNION ALL ", kinds.Select(kind =>
    {
        var dropped = kind.Dropped().Select(name => $"\"{name}\"").ToList();
        var dimensions = Dimensions.Split(',', StringSplitOptions.TrimEntries);
        var (shown, kept) = (string.Join(", ", dimensions.Select(name => dropped.Contains(name) ? "''" : name)), string.Join(", ", dimensions.Except(dropped)));
        return string.Create(CultureInfo.InvariantCulture, $"""SELECT {(int)kind}, {day}, {shown}, SUM("Decisions"), SUM("Pulls") FROM {source} GROUP BY {day}, {kept}""");
    }));

    /// <inheritdoc cref="Summed"/>
    protected static string OfDigests(string source, string day) =>
        $"""SELECT {day}, {DigestDimensions}, SUM("Decisions"), SUM("Pulls") FROM {source} WHERE "Digest" IS NOT NULL GROUP BY {day}, {DigestDimensions}""";

    /// <summary>What the tags of decisions came to.</summary>
    /// <param name="source">What has the decisions.</param>
    protected static string TagsOf(string source) => $"""
        SELECT "Time" / 86400000, "Organizations", "Repository", "Reference", {UsageEvent.DigestOfTag}, MIN("Time")
        FROM {source} WHERE {UsageEvent.IsOfServedTag} GROUP BY 1, 2, 3, 4, 5
        """;

    /// <summary>Notes that somebody is forgotten, before anything else: what is added from then on knows it.</summary>
    protected static Task NoteForgottenAsync(DbConnection connection, DbTransaction? transaction, string hash, DateTimeOffset now, CancellationToken cancellationToken) => ExecuteAsync(
        connection,
        transaction,
        """INSERT INTO "UsageForgotten" VALUES (@hash, @until) ON CONFLICT ("Hash") DO UPDATE SET "Until" = excluded."Until" WHERE excluded."Until" > "UsageForgotten"."Until";""",
        cancellationToken,
        ("@hash", hash),
        ("@until", now.ToUnixTimeMilliseconds()));

    protected static async Task<ForgottenCallers> ReadForgottenAsync(DbConnection connection, DbTransaction? transaction, KeyFile key, CancellationToken cancellationToken)
    {
        var until = new Dictionary<string, long>(StringComparer.Ordinal);
        await using var command = Command(connection, transaction, """SELECT "Hash", "Until" FROM "UsageForgotten";""");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            until[reader.GetString(0)] = reader.GetInt64(1);
        return new ForgottenCallers(key, until);
    }

    /// <summary>What is kept no longer can come back no more, whoever was forgotten.</summary>
    protected static Task PruneForgottenAsync(DbConnection connection, DbTransaction? transaction, UsageDays days, CancellationToken cancellationToken) => ExecuteAsync(
        connection, transaction, """DELETE FROM "UsageForgotten" WHERE "Until" < @first;""", cancellationToken, ("@first", days.First * UsageDays.Milliseconds));

    /// <summary>The days that have counts with the name; those with single decisions are among them.</summary>
    protected static async Task<List<int>> DaysOfAsync(DbConnection connection, DbTransaction? transaction, string caller, CancellationToken cancellationToken)
    {
        var days = new List<int>();
        await using var command = Command(connection, transaction, """SELECT DISTINCT "Day" FROM "UsageCounts" WHERE "Caller" = @caller ORDER BY "Day";""", [("@caller", caller)]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            days.Add(reader.GetInt32(0));
        return days;
    }

    /// <summary>Counts with the name are added to those without one; of where the caller came in from nothing is left.</summary>
    /// <returns>How many single decisions had it.</returns>
    protected static async Task<int> ForgetDayAsync(
        DbConnection connection, DbTransaction transaction, int day, string caller, bool hasDecisions, CancellationToken cancellationToken)
    {
        var names = new (string, object?)[] { ("@caller", caller), ("@replacement", ForgottenCallers.Replacement) };
        var decisions = !hasDecisions ? 0 : await ExecuteAsync(
            connection,
            transaction,
            """UPDATE "UsageEvents" SET "Caller" = @replacement, "Client" = NULL WHERE "Time" >= @from AND "Time" < @until AND "Caller" = @caller;""",
            cancellationToken,
            [.. names, ("@from", day * UsageDays.Milliseconds), ("@until", (day + 1) * UsageDays.Milliseconds)]);
        await MergeAsync("UsageCounts", kind: "");
        await MergeAsync("UsageSums", kind: "\"Kind\", ");
        if (hasDecisions)
            await ExecuteAsync(connection, transaction, """DELETE FROM "UsageMachines" WHERE "Day" = @day AND "Caller" = @caller;""", cancellationToken, ("@day", day), ("@caller", caller));
        return decisions;

        async Task MergeAsync(string table, string kind)
        {
            await ExecuteAsync(
                connection,
                transaction,
                $"""
                INSERT INTO "{table}" ({kind}"Day", {Dimensions}, "Decisions", "Pulls")
                SELECT {kind}"Day", "Organizations", @replacement, "Repository", "Type", "Rule", "Outcome", "WayIn", "Family", "Decisions", "Pulls"
                FROM "{table}" WHERE "Day" = @day AND "Caller" = @caller
                ON CONFLICT ({kind}"Day", {Dimensions}) DO UPDATE
                SET "Decisions" = "{table}"."Decisions" + excluded."Decisions", "Pulls" = "{table}"."Pulls" + excluded."Pulls";
                """,
                cancellationToken,
                [.. names, ("@day", day)]);
            await ExecuteAsync(connection, transaction, $"""DELETE FROM "{table}" WHERE "Day" = @day AND "Caller" = @caller;""", cancellationToken, ("@day", day), ("@caller", caller));
        }
    }

    protected static void DemandVersion(long version)
    {
        if (version > Version)
            throw new DatabaseException(string.Create(
                CultureInfo.InvariantCulture, $"has decisions in tables of a newer version of imageaccess ({version}, this one knows {Version}): start that version"));
    }

    public static long Number(DbDataReader row, int column) => Convert.ToInt64(row.GetValue(column), CultureInfo.InvariantCulture);

    protected static DbCommand Command(DbConnection connection, DbTransaction? transaction, string text, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // No text of it comes from outside.
        command.CommandText = text;
#pragma warning restore CA2100
        command.Transaction = transaction;
        foreach (var (name, value) in parameters)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value ?? DBNull.Value);
            command.Parameters.Add(parameter);
        }

        return command;
    }

    protected static async Task<int> ExecuteAsync(
        DbConnection connection, DbTransaction? transaction, string text, CancellationToken cancellationToken, params (string Name, object? Value)[] parameters)
    {
        await using var command = Command(connection, transaction, text, parameters);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    protected static async Task<long?> NumberAsync(
        DbConnection connection, DbTransaction? transaction, string text, CancellationToken cancellationToken, params (string Name, object? Value)[] parameters)
    {
        await using var command = Command(connection, transaction, text, parameters);
        return await command.ExecuteScalarAsync(cancellationToken) is { } value and not DBNull ? Convert.ToInt64(value, CultureInfo.InvariantCulture) : null;
    }

    protected static async Task<List<UsageEvent>> ListAsync(
        DbConnection connection, string search, UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken)
    {
        var parts = await PartsAsync(connection, search, filter, cancellationToken);
        if (parts is [var whole])
            return await ListOneAsync(connection, search, whole, before, count, cancellationToken);
        var found = new List<UsageEvent>();
        foreach (var part in parts)
            found.AddRange(await ListOneAsync(connection, search, part, before, count, cancellationToken));
        return [.. found.OrderByDescending(one => one.Time).ThenByDescending(one => one.Id, StringComparer.Ordinal).ThenByDescending(one => one.IsClosing).Take(count)];
    }

    /// <summary>What is asked about in parts of which an index has the newest first.</summary>
    private static async Task<IReadOnlyList<UsageFilter>> PartsAsync(DbConnection connection, string search, UsageFilter filter, CancellationToken cancellationToken)
    {
        if (filter.Digest is not null)
            return [.. Enum.GetValues<DigestRole>().Select(role => filter with { DigestRole = role })];
        return filter.IsNarrow || filter is { Organization: null, Scope.IsEverything: true } || await SetsAsync(connection, search, filter, cancellationToken) is not { } sets
            ? [filter]
            : [.. sets.Select(organizations => filter with { Organizations = organizations })];
    }

    /// <summary>The sets of organizations that judged what is asked about together, as the sums of days have them.</summary>
    /// <returns>Null where there are too many.</returns>
    private static async Task<List<string>?> SetsAsync(DbConnection connection, string search, UsageFilter filter, CancellationToken cancellationToken)
    {
        var sets = new List<string>();
        await ReadAsync(
            connection,
            search,
            new UsageQuery(filter.OfWholeDays, UsageSource.Counts, "DISTINCT \"Organizations\"", $"LIMIT {MaximumSets + 1}") { By = UsageBy.Outcome },
            row => sets.Add(row.GetString(0)),
            cancellationToken);
        return sets.Count > MaximumSets ? null : sets;
    }

    private static async Task<List<UsageEvent>> ListOneAsync(
        DbConnection connection, string search, UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken)
    {
        var (where, parameters) = filter.ToSql(search, ofDays: false);
        if (before is { } key)
        {
            where += """ AND ("Time", "Id", "IsClosing") < (@time, @id, @closing)""";
            parameters.AddRange([("@time", key.Time), ("@id", key.Id), ("@closing", key.IsClosing ? 1 : 0)]);
        }

        parameters.Add(("@count", count));
        var found = new List<UsageEvent>();
        await using var command = Command(
            connection, null, $"""SELECT {Columns} FROM "UsageEvents" WHERE {where} ORDER BY "Time" DESC, "Id" DESC, "IsClosing" DESC LIMIT @count;""", [.. parameters]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            found.Add(Read(reader));
        return found;
    }

    private static async Task ReadAsync(DbConnection connection, string search, UsageQuery query, Action<DbDataReader> take, CancellationToken cancellationToken)
    {
        var (where, parameters) = query.Filter.ToSql(search, query.Source != UsageSource.Decisions);
        await using var command = Command(connection, null, $"SELECT {query.Columns} FROM {query.Table} {where} {query.Rest};", [.. parameters]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            take(reader);
    }

    private static UsageEvent Read(DbDataReader row) => new(row.GetInt64(0), row.GetString(1), row.GetInt32(2) != 0)
    {
        Organizations = row.GetString(3),
        Caller = row.GetString(4),
        Client = row.IsDBNull(5) ? null : row.GetString(5),
        WayIn = row.GetString(6),
        Family = row.GetString(7),
        Method = row.GetString(8),
        Repository = row.GetString(9),
        Reference = row.IsDBNull(10) ? null : row.GetString(10),
        Digest = row.IsDBNull(11) ? null : row.GetString(11),
        Index = row.IsDBNull(12) ? null : row.GetString(12),
        Type = row.GetString(13),
        Rule = row.GetString(14),
        Outcome = row.GetString(15),
        PolicyVersion = row.IsDBNull(16) ? null : row.GetString(16),
        Decisions = row.GetInt32(17),
        Pulls = row.GetInt32(18),
        Memberships = row.IsDBNull(19) ? null : row.GetString(19),
        Block = row.IsDBNull(20) ? null : row.GetInt64(20),
    };
}

/// <summary>What is read of decisions.</summary>
/// <param name="Source">Where; the filter must allow it.</param>
/// <param name="Columns">In SQL.</param>
/// <param name="Rest">Further conditions, and how the rows are grouped, in SQL.</param>
internal sealed record UsageQuery(UsageFilter Filter, UsageSource Source, string Columns, string Rest)
{
    /// <summary>The only word of counts that it has, beside those of the filter; null where it has several.</summary>
    public UsageBy? By { get; init; }

    /// <summary>The smallest table that has the answer, and how its conditions begin.</summary>
    public string Table => Source switch
    {
        UsageSource.Decisions => "\"UsageEvents\" WHERE",
        UsageSource.Digests => "\"UsageDigests\" WHERE",
        UsageSource.Machines => "\"UsageMachines\" WHERE",
        UsageSource.Tags => "\"UsageTags\" WHERE",
        _ when By is { } what && SumKinds.Of(Filter, what) is { } kind => string.Create(CultureInfo.InvariantCulture, $"\"UsageSums\" WHERE \"Kind\" = {(int)kind} AND"),
        _ => "\"UsageCounts\" WHERE",
    };
}

/// <summary>Where an answer is read: in single decisions, or in one of the tables that count those of a day.</summary>
internal enum UsageSource
{
    Decisions,

    /// <summary>The counts, or the smallest of their sums that has the answer.</summary>
    Counts,

    Digests,

    Machines,

    /// <summary>Which digests tags came to, and when first on each day.</summary>
    Tags,
}

/// <summary>What the counts of a day are summed by.</summary>
internal enum SumKind
{
    /// <summary>By neither caller nor repository.</summary>
    All,

    /// <summary>By caller, without repository.</summary>
    Callers,

    /// <summary>By repository, without caller, way in and client.</summary>
    Repositories,

    /// <summary>By caller and outcome alone.</summary>
    CallersOnly,
}

internal static class SumKinds
{
    public static string[] Dropped(this SumKind kind) => kind switch
    {
        SumKind.Callers => ["Repository"],
        SumKind.Repositories => ["Caller", "WayIn", "Family"],
        SumKind.CallersOnly => ["Repository", "Type", "Rule", "WayIn", "Family"],
        _ => ["Caller", "Repository"],
    };

    /// <returns>Null where only the counts themselves have all that is asked about.</returns>
    public static SumKind? Of(UsageFilter filter, UsageBy by)
    {
        var isOfCaller = by == UsageBy.Caller || filter.Caller is not null || filter.Scope.IsOfPerson;
        var isOfRepository = by == UsageBy.Repository || filter.Repository is not null;
        var isOfClient = by == UsageBy.Client || filter.WayIn is not null || filter.Family is not null;
        var isOfRule = by is UsageBy.Type or UsageBy.Rule || filter.Type is not null || filter.Rule is not null;
        return (isOfCaller, isOfRepository) switch
        {
            (false, false) => SumKind.All,
            (true, false) => isOfClient || isOfRule ? SumKind.Callers : SumKind.CallersOnly,
            (false, true) when !isOfClient => SumKind.Repositories,
            _ => null,
        };
    }
}
