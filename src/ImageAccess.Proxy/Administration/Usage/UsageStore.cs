using System.Data.Common;
using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;

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
    public const int Version = 2;

    /// <summary>How many different values a question may have: they are counted in memory.</summary>
    public const int MaximumValues = 250_000;

    /// <summary>By what decisions of a day are counted together.</summary>
    protected const string Dimensions = """ "Organizations", "Caller", "Repository", "Type", "Rule", "Outcome", "WayIn", "Family" """;

    protected const string Columns =
        """ "Time", "Id", "IsClosing", "Organizations", "Caller", "Client", "WayIn", "Family", "Method", "Repository", "Reference", "Digest", "Index", "Type", "Rule", "Outcome", "PolicyVersion", "Decisions", "Pulls" """;

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

    /// <summary>What it is called in a sentence.</summary>
    public abstract string Name { get; }

    public static UsageStore Of(SqlDatabase database) => database switch
    {
        PostgresDatabase postgres => new PostgresUsage(postgres),
        SqliteDatabase sqlite => new SqliteUsage(sqlite),
        _ => throw new NotSupportedException(database.GetType().Name),
    };

    /// <summary>How far these files are read; one that is not named is not begun.</summary>
    public abstract Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyCollection<string> files, CancellationToken cancellationToken);

    /// <summary>Adds decisions, their counts, and how far the file is read with them: all of it or nothing, and again without harm.</summary>
    public abstract Task<UsageAdded> AddAsync(
        IReadOnlyList<UsageEvent> decisions, TrailPosition? position, UsageDays days, CancellationToken cancellationToken);

    /// <summary>Removes what is kept no longer.</summary>
    /// <returns>Whether there is more to remove.</returns>
    public abstract Task<bool> PruneAsync(UsageDays days, CancellationToken cancellationToken);

    /// <summary>The last decisions, the newest first.</summary>
    public abstract Task<IReadOnlyList<UsageEvent>> ListAsync(UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken);

    /// <summary>Decisions and pulls, together for each value of what they are asked by.</summary>
    public abstract Task<IReadOnlyList<UsageCount>> CountAsync(UsageFilter filter, UsageBy by, CancellationToken cancellationToken);

    /// <summary>Asks each part of the store that has decisions of this time, with the name of its function that finds a text in another.</summary>
    protected abstract Task VisitAsync(UsageFilter filter, Func<DbConnection, string, Task> ask, CancellationToken cancellationToken);

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

    protected static void DemandVersion(long version)
    {
        if (version > Version)
            throw new DatabaseException(string.Create(
                CultureInfo.InvariantCulture, $"has decisions in tables of a newer version of imageaccess ({version}, this one knows {Version}): start that version"));
    }

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
        var (where, parameters) = filter.ToSql(search, ofCounts: false);
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

    /// <summary>Adds to what is counted already.</summary>
    protected static async Task CountAsync(
        DbConnection connection, string search, UsageFilter filter, UsageBy by, Dictionary<string, UsageCount> counts, CancellationToken cancellationToken)
    {
        var ofCounts = filter.IsOfCounts && by != UsageBy.Digest;
        var (where, parameters) = filter.ToSql(search, ofCounts);
        if (by == UsageBy.Digest)
            where += """ AND "Digest" IS NOT NULL""";
        var column = by.Column(ofCounts);
        await using var command = Command(
            connection,
            null,
            $"""SELECT {column}, SUM("Decisions"), SUM("Pulls") FROM {(ofCounts ? "\"UsageCounts\"" : "\"UsageEvents\"")} WHERE {where} GROUP BY {column};""",
            [.. parameters]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var value = reader.IsDBNull(0) ? "" : Convert.ToString(reader.GetValue(0), CultureInfo.InvariantCulture)!;
            if (by == UsageBy.Day)
                value = UsageDays.DateOf(int.Parse(value, CultureInfo.InvariantCulture)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
            var (decisions, pulls) = (Convert.ToInt64(reader.GetValue(1), CultureInfo.InvariantCulture), Convert.ToInt64(reader.GetValue(2), CultureInfo.InvariantCulture));
            var before = counts.GetValueOrDefault(value);
            if (before is null && counts.Count == MaximumValues)
                throw new TooManyValuesException();
            counts[value] = new UsageCount(value, decisions + (before?.Decisions ?? 0), pulls + (before?.Pulls ?? 0));
        }
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
    };
}
