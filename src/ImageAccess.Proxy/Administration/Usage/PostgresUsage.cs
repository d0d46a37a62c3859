using System.Data.Common;
using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Npgsql;
using NpgsqlTypes;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// A table of single decisions with a partition for each day, and one of counts. A batch is copied aside, and what of it is new is taken over and counted
/// in the same transaction.
/// </summary>
internal sealed class PostgresUsage(PostgresDatabase database, KeyFile key) : UsageStore
{
    /// <summary>How many days are removed in one transaction: a clock that is wrong for a moment does not cost everything.</summary>
    public const int MaximumDropped = 7;

    /// <summary>The number of the advisory lock that whoever writes decisions takes, whatever else is written; any number does that nobody else takes.</summary>
    private const long WriterLock = 0x7573_6167_65;

    private const string Partition = "UsageEvents_";

    private const string Search = "strpos";

    private const string Tables = $"""
        CREATE TABLE "UsageState" ("Name" text PRIMARY KEY, "Value" bigint NOT NULL);
        CREATE TABLE "UsagePositions" ("File" text PRIMARY KEY, "Place" bigint NOT NULL, "Day" integer NOT NULL);
        CREATE TABLE "UsageEvents" (
          "Time" bigint NOT NULL, "Id" text NOT NULL, "IsClosing" integer NOT NULL, "Organizations" text NOT NULL, "Caller" text NOT NULL, "Client" text,
          "WayIn" text NOT NULL, "Family" text NOT NULL, "Method" text NOT NULL, "Repository" text NOT NULL, "Reference" text, "Digest" text,
          "Index" text, "Type" text NOT NULL, "Rule" text NOT NULL, "Outcome" text NOT NULL, "PolicyVersion" text, "Decisions" integer NOT NULL, "Pulls" integer NOT NULL,
          PRIMARY KEY ("Time", "Id", "IsClosing")) PARTITION BY RANGE ("Time");
        CREATE TABLE "UsageCounts" (
          "Day" integer NOT NULL, "Organizations" text NOT NULL, "Caller" text NOT NULL, "Repository" text NOT NULL, "Type" text NOT NULL, "Rule" text NOT NULL,
          "Outcome" text NOT NULL, "WayIn" text NOT NULL, "Family" text NOT NULL, "Decisions" bigint NOT NULL, "Pulls" bigint NOT NULL,
          PRIMARY KEY ("Day", {Dimensions}));
        INSERT INTO "UsageState" VALUES ('version', 1);
        """;

    private const string Later = """ADD COLUMN IF NOT EXISTS "Memberships" text, ADD COLUMN IF NOT EXISTS "Block" bigint""";

    private static readonly string SecondVersion = $"""
        ALTER TABLE "UsageEvents" {Later};
        {Indexes}
        {CountIndexes}
        CREATE TABLE "UsageSums" (
          "Kind" integer NOT NULL, "Day" integer NOT NULL, "Organizations" text NOT NULL, "Caller" text NOT NULL, "Repository" text NOT NULL, "Type" text NOT NULL,
          "Rule" text NOT NULL, "Outcome" text NOT NULL, "WayIn" text NOT NULL, "Family" text NOT NULL, "Decisions" bigint NOT NULL, "Pulls" bigint NOT NULL,
          PRIMARY KEY ("Kind", "Day", {Dimensions}));
        {Sums} {Summed(FirstKinds, "\"UsageCounts\"", "\"Day\"")};
        CREATE TABLE "UsageForgotten" ("Hash" text PRIMARY KEY, "Until" bigint NOT NULL);
        UPDATE "UsageState" SET "Value" = 2 WHERE "Name" = 'version';
        """;

    private static readonly string ThirdVersion = $"""
        {OrganizationIndex}
        {ReviewIndexes}
        CREATE TABLE "UsageTags" (
          "Day" integer NOT NULL, "Organizations" text NOT NULL, "Repository" text NOT NULL, "Reference" text NOT NULL, "Digest" text NOT NULL, "First" bigint NOT NULL,
          PRIMARY KEY ("Day", {TagDimensions}));
        {Tags} {TagsOf("\"UsageEvents\"")};
        {Sums} {Summed([SumKind.CallersOnly], "\"UsageCounts\"", "\"Day\"")};
        CREATE TABLE "UsageDigests" (
          "Day" integer NOT NULL, "Organizations" text NOT NULL, "Repository" text NOT NULL, "Digest" text NOT NULL, "Outcome" text NOT NULL,
          "Decisions" bigint NOT NULL, "Pulls" bigint NOT NULL, PRIMARY KEY ("Day", {DigestDimensions}));
        {Digests} {OfDigests("\"UsageEvents\"", "\"Time\" / 86400000")};
        CREATE TABLE "UsageMachines" (
          "Day" integer NOT NULL, "Client" text NOT NULL, "Organizations" text NOT NULL, "Caller" text NOT NULL, "WayIn" text NOT NULL, "Family" text NOT NULL,
          "Decisions" bigint NOT NULL, "Pulls" bigint NOT NULL, "First" bigint NOT NULL, "Last" bigint NOT NULL, PRIMARY KEY ("Day", {MachineDimensions}));
        {Machines} {MachinesOf("\"UsageEvents\"")};
        CREATE TABLE "UsageReports" (
          "Organization" text NOT NULL, "Address" text NOT NULL, "Name" text NOT NULL, "Time" bigint NOT NULL, "Open" integer NOT NULL, "FallsBack" integer NOT NULL, "Facts" text NOT NULL,
          PRIMARY KEY ("Organization", "Address", "Name"));
        CREATE INDEX "UsageReports_Time" ON "UsageReports" ("Organization", "Time");
        UPDATE "UsageState" SET "Value" = 3 WHERE "Name" = 'version';
        """;

    private static readonly string TakeOver = $"""
        WITH added AS (
          INSERT INTO "UsageEvents" ({Columns}) SELECT {Columns} FROM "UsageStaging" ON CONFLICT DO NOTHING
          RETURNING "Time", "Client", {Dimensions}, "Reference", "Digest", "Index", "Decisions", "Pulls"),
        counted AS (
          INSERT INTO "UsageCounts" ("Day", {Dimensions}, "Decisions", "Pulls")
          SELECT "Time" / 86400000, {Dimensions}, SUM("Decisions"), SUM("Pulls") FROM added GROUP BY "Time" / 86400000, {Dimensions}
          ON CONFLICT ("Day", {Dimensions}) DO UPDATE
          SET "Decisions" = "UsageCounts"."Decisions" + EXCLUDED."Decisions", "Pulls" = "UsageCounts"."Pulls" + EXCLUDED."Pulls"),
        summed AS (
          {Sums} {Summed(Enum.GetValues<SumKind>(), "added", "\"Time\" / 86400000")}
          ON CONFLICT ("Kind", "Day", {Dimensions}) DO UPDATE
          SET "Decisions" = "UsageSums"."Decisions" + EXCLUDED."Decisions", "Pulls" = "UsageSums"."Pulls" + EXCLUDED."Pulls"),
        digests AS (
          {Digests} {OfDigests("added", "\"Time\" / 86400000")}
          ON CONFLICT ("Day", {DigestDimensions}) DO UPDATE
          SET "Decisions" = "UsageDigests"."Decisions" + EXCLUDED."Decisions", "Pulls" = "UsageDigests"."Pulls" + EXCLUDED."Pulls"),
        tags AS (
          {Tags} {TagsOf("added")}
          {TagsTogether}),
        machines AS (
          {Machines} {MachinesOf("added")}
          {MachinesTogether})
        SELECT COUNT(*) FROM added;
        """;

    public override string Name => database.Name;

    public override async Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyCollection<string> files, CancellationToken cancellationToken)
    {
        var positions = new Dictionary<string, long>();
        await using var connection = await OpenAsync(cancellationToken);
        if (await VersionAsync(connection, null, cancellationToken) is null)
            return positions;
        await using var command = Command(connection, null, """SELECT "File", "Place" FROM "UsagePositions" WHERE "File" = ANY(@files);""", [("@files", files.ToArray())]);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            positions[reader.GetString(0)] = reader.GetInt64(1);
        return positions;
    }

    public override async Task<UsageAdded> AddAsync(
        IReadOnlyList<UsageEvent> decisions, TrailPosition? position, UsageDays days, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await PrepareAsync(connection, transaction, cancellationToken);
        var horizon = await NumberAsync(connection, transaction, """SELECT "Value" FROM "UsageState" WHERE "Name" = 'horizon';""", cancellationToken) ?? 0;
        var kept = Kept(decisions, days, horizon, out var old, out var future);
        var added = 0L;
        if (kept.Count > 0)
        {
            await MakePartitionsAsync(connection, transaction, kept, cancellationToken);
            var forgotten = await ReadForgottenAsync(connection, transaction, key, cancellationToken);
            await CopyAsync(connection, transaction, kept.ConvertAll(forgotten.Of), cancellationToken);
            added = await NumberAsync(connection, transaction, TakeOver, cancellationToken) ?? 0;
        }

        if (position is not null)
        {
            await ExecuteAsync(
                connection,
                transaction,
                """INSERT INTO "UsagePositions" VALUES (@file, @place, @day) ON CONFLICT ("File") DO UPDATE SET "Place" = EXCLUDED."Place", "Day" = EXCLUDED."Day";""",
                cancellationToken,
                ("@file", position.File),
                ("@place", position.Place),
                ("@day", days.Today));
        }

        await transaction.CommitAsync(cancellationToken);
        return new UsageAdded((int)added, old, future);
    }

    public override async Task<UsageForgotten> ForgetAsync(string caller, DateTimeOffset now, Action<UsageForgotten> progress, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using (var noting = await connection.BeginTransactionAsync(cancellationToken))
        {
            await PrepareAsync(connection, noting, cancellationToken);
            await NoteForgottenAsync(connection, noting, ForgottenCallers.Hash(key, caller), now, cancellationToken);
            await noting.CommitAsync(cancellationToken);
        }

        var forgotten = new UsageForgotten(0, 0);
        foreach (var day in await DaysOfAsync(connection, null, caller, cancellationToken))
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await PrepareAsync(connection, transaction, cancellationToken);
            forgotten = new UsageForgotten(forgotten.Decisions + await ForgetDayAsync(connection, transaction, day, caller, hasDecisions: true, cancellationToken), forgotten.Days + 1);
            await transaction.CommitAsync(cancellationToken);
            progress(forgotten);
        }

        return forgotten;
    }

    public override async Task<bool> PruneAsync(UsageDays days, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await PrepareAsync(connection, transaction, cancellationToken);
        // A question that takes long would hold this up, and this all other questions.
        await ExecuteAsync(connection, transaction, "SET LOCAL lock_timeout = '2s';", cancellationToken);
        var ended = (await PartitionsAsync(connection, transaction, cancellationToken)).Where(day => day < days.First).Order().ToList();
        var dropped = ended.Take(MaximumDropped).ToList();
        foreach (var day in dropped)
            await ExecuteAsync(connection, transaction, $"""DROP TABLE "{NameOf(day)}";""", cancellationToken);
        if (dropped.Count > 0)
        {
            await ExecuteAsync(
                connection,
                transaction,
                """INSERT INTO "UsageState" VALUES ('horizon', @day) ON CONFLICT ("Name") DO UPDATE SET "Value" = GREATEST("UsageState"."Value", EXCLUDED."Value");""",
                cancellationToken,
                ("@day", dropped[^1] + 1L));
            await ExecuteAsync(connection, transaction, """DELETE FROM "UsageMachines" WHERE "Day" <= @day;""", cancellationToken, ("@day", dropped[^1]));
        }

        await ExecuteAsync(connection, transaction, """DELETE FROM "UsageDigests" WHERE "Day" < @day;""", cancellationToken, ("@day", days.First));
        await ExecuteAsync(connection, transaction, """DELETE FROM "UsageTags" WHERE "Day" < @day;""", cancellationToken, ("@day", days.First));
        await ExecuteAsync(connection, transaction, """DELETE FROM "UsageSums" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await ExecuteAsync(connection, transaction, """DELETE FROM "UsageCounts" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await ExecuteAsync(connection, transaction, """DELETE FROM "UsagePositions" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await PruneForgottenAsync(connection, transaction, days, cancellationToken);
        await PruneReportsAsync(connection, transaction, days, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return ended.Count > dropped.Count;
    }

    public override async Task<IReadOnlyList<UsageEvent>> ListAsync(UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        return await IsReadableAsync(connection, cancellationToken) ? await ListAsync(connection, Search, filter, before, count, cancellationToken) : [];
    }

    protected override async Task VisitAsync(UsageFilter filter, bool ofCounts, Func<DbConnection, string, Task> ask, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        if (await IsReadableAsync(connection, cancellationToken))
            await ask(connection, Search);
    }

    protected override async Task ChangeAsync(Func<DbConnection, DbTransaction, Task> change, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await PrepareAsync(connection, transaction, cancellationToken);
        await change(connection, transaction);
        await transaction.CommitAsync(cancellationToken);
    }

    protected override async Task<T> AskReportsAsync<T>(Func<DbConnection, Task<T>> ask, T nothing, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(cancellationToken);
        return await IsReadableAsync(connection, cancellationToken) ? await ask(connection) : nothing;
    }

    public override string Explain(Exception exception) => database.Explain(exception);

    private static async Task PrepareAsync(DbConnection connection, DbTransaction transaction, CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, transaction, $"SELECT pg_advisory_xact_lock({WriterLock});", cancellationToken);
        var version = await VersionAsync(connection, transaction, cancellationToken);
        if (version is null)
            await ExecuteAsync(connection, transaction, Tables, cancellationToken);
        if (version is null or < Version)
            await BringUpAsync(connection, transaction, version is null or 1 ? SecondVersion + ThirdVersion : ThirdVersion, cancellationToken);
    }

    /// <summary>It takes as long as it takes: about a minute for ten million decisions.</summary>
    private static async Task BringUpAsync(DbConnection connection, DbTransaction transaction, string steps, CancellationToken cancellationToken)
    {
        await using var command = Command(connection, transaction, steps);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Whether there are tables; those of an earlier version are brought up to date first.</summary>
    private static async Task<bool> IsReadableAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await VersionAsync(connection, null, cancellationToken) is not { } version)
            return false;
        if (version < Version)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await PrepareAsync(connection, transaction, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        return true;
    }

    /// <returns>Null where there are no tables.</returns>
    /// <exception cref="DatabaseException">A newer program has made the tables.</exception>
    private static async Task<long?> VersionAsync(DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken)
    {
        // to_regclass would remember that there was none, also when another has made it while the lock was waited for.
        if (await NumberAsync(
                connection, transaction, "SELECT COUNT(*) FROM pg_class WHERE relname = 'UsageState' AND relnamespace = current_schema()::regnamespace;", cancellationToken) == 0)
            return null;
        var version = await NumberAsync(connection, transaction, """SELECT "Value" FROM "UsageState" WHERE "Name" = 'version';""", cancellationToken) ?? 0;
        DemandVersion(version);
        return version;
    }

    private static string NameOf(int day) => Partition + UsageDays.DateOf(day).ToString("yyyyMMdd", CultureInfo.InvariantCulture);

    private static async Task<List<int>> PartitionsAsync(DbConnection connection, DbTransaction transaction, CancellationToken cancellationToken)
    {
        var days = new List<int>();
        await using var command = Command(
            connection, transaction, """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '"UsageEvents"'::regclass;""");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (DateTime.TryParseExact(
                    reader.GetString(0), $"'{Partition}'yyyyMMdd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var date))
                days.Add((date - DateTime.UnixEpoch).Days);
        }

        return days;
    }

    /// <summary>A partition is attached, where one that is made as such would wait for all who read. One that somebody has detached comes back.</summary>
    private static async Task MakePartitionsAsync(
        DbConnection connection, DbTransaction transaction, List<UsageEvent> decisions, CancellationToken cancellationToken)
    {
        var attached = await PartitionsAsync(connection, transaction, cancellationToken);
        foreach (var day in decisions.Select(decision => decision.Day).Distinct().Except(attached))
        {
            var (from, until) = (day * UsageDays.Milliseconds, (day + 1) * UsageDays.Milliseconds);
            await ExecuteAsync(
                connection,
                transaction,
                string.Create(CultureInfo.InvariantCulture, $"""
                    CREATE TABLE IF NOT EXISTS "{NameOf(day)}" (LIKE "UsageEvents" INCLUDING ALL);
                    ALTER TABLE "{NameOf(day)}" {Later};
                    ALTER TABLE "UsageEvents" ATTACH PARTITION "{NameOf(day)}" FOR VALUES FROM ({from}) TO ({until});
                    """),
                cancellationToken);
        }
    }

    private static async Task CopyAsync(
        NpgsqlConnection connection, DbTransaction transaction, List<UsageEvent> decisions, CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, transaction, """CREATE TEMPORARY TABLE "UsageStaging" (LIKE "UsageEvents") ON COMMIT DROP;""", cancellationToken);
        await using var copy = await connection.BeginBinaryImportAsync($"""COPY "UsageStaging" ({Columns}) FROM STDIN (FORMAT BINARY)""", cancellationToken);
        foreach (var decision in decisions)
        {
            await copy.StartRowAsync(cancellationToken);
            await copy.WriteAsync(decision.Time, NpgsqlDbType.Bigint, cancellationToken);
            await copy.WriteAsync(decision.Id, NpgsqlDbType.Text, cancellationToken);
            await copy.WriteAsync(decision.IsClosing ? 1 : 0, NpgsqlDbType.Integer, cancellationToken);
            foreach (var text in new[]
                     {
                         decision.Organizations, decision.Caller, decision.Client, decision.WayIn, decision.Family, decision.Method, decision.Repository,
                         decision.Reference, decision.Digest, decision.Index, decision.Type, decision.Rule, decision.Outcome, decision.PolicyVersion,
                     })
            {
                if (text is null)
                    await copy.WriteNullAsync(cancellationToken);
                else
                    await copy.WriteAsync(text, NpgsqlDbType.Text, cancellationToken);
            }

            await copy.WriteAsync(decision.Decisions, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(decision.Pulls, NpgsqlDbType.Integer, cancellationToken);
            await copy.WriteAsync(decision.Memberships ?? "", NpgsqlDbType.Text, cancellationToken);
            if (decision.Block is { } block)
                await copy.WriteAsync(block, NpgsqlDbType.Bigint, cancellationToken);
            else
                await copy.WriteNullAsync(cancellationToken);
        }

        await copy.CompleteAsync(cancellationToken);
    }

    private async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = (NpgsqlConnection)database.CreateConnection();
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}
