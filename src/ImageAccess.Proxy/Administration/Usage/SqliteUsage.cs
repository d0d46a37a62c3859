using System.Data.Common;
using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// The folder <c>usage</c> beside the database: a file for each month with its decisions and their counts, and <c>counts.db</c> with the months there are, how
/// far the trail is read, and the counts of months that are gone.
/// </summary>
/// <remarks>
/// A transaction of SQLite is one of a single file. So a month's decisions and their counts stand in the same file, and how far the trail is read is noted
/// last: who is killed between the two brings the same decisions again, and they are known by their ids. A month whose file is lost or damaged is read from
/// the trail again, as far as that reaches.
/// </remarks>
internal sealed class SqliteUsage(SqliteDatabase database, KeyFile key) : UsageStore
{
    private const string Search = "instr";

    private const string CountsTable = $"""
        CREATE TABLE "UsageCounts" (
          "Day" INTEGER NOT NULL, "Organizations" TEXT NOT NULL, "Caller" TEXT NOT NULL, "Repository" TEXT NOT NULL, "Type" TEXT NOT NULL, "Rule" TEXT NOT NULL,
          "Outcome" TEXT NOT NULL, "WayIn" TEXT NOT NULL, "Family" TEXT NOT NULL, "Decisions" INTEGER NOT NULL, "Pulls" INTEGER NOT NULL,
          PRIMARY KEY ("Day", {Dimensions})) WITHOUT ROWID;
        """;

    /// <summary>Of every file.</summary>
    private static readonly string SecondVersion = $"""
        {CountIndexes}
        CREATE TABLE "UsageSums" (
          "Kind" INTEGER NOT NULL, "Day" INTEGER NOT NULL, "Organizations" TEXT NOT NULL, "Caller" TEXT NOT NULL, "Repository" TEXT NOT NULL, "Type" TEXT NOT NULL,
          "Rule" TEXT NOT NULL, "Outcome" TEXT NOT NULL, "WayIn" TEXT NOT NULL, "Family" TEXT NOT NULL, "Decisions" INTEGER NOT NULL, "Pulls" INTEGER NOT NULL,
          PRIMARY KEY ("Kind", "Day", {Dimensions})) WITHOUT ROWID;
        {Sums} {Summed(FirstKinds, "\"UsageCounts\"", "\"Day\"")};
        """;

    /// <inheritdoc cref="SecondVersion"/>
    private static readonly string ThirdVersion = $"""
        {ReviewIndexes}
        {Sums} {Summed([SumKind.CallersOnly], "\"UsageCounts\"", "\"Day\"")};
        """;

    /// <summary>Of a month's file beside it.</summary>
    private static readonly string SecondVersionOfMonth = $"""
        ALTER TABLE "UsageEvents" ADD COLUMN "Memberships" TEXT;
        ALTER TABLE "UsageEvents" ADD COLUMN "Block" INTEGER;
        {Indexes}
        {SecondVersion}
        """;

    /// <inheritdoc cref="SecondVersionOfMonth"/>
    private static readonly string ThirdVersionOfMonth = $"""
        {OrganizationIndex}
        {ThirdVersion}
        CREATE TABLE "UsageTags" (
          "Day" INTEGER NOT NULL, "Organizations" TEXT NOT NULL, "Repository" TEXT NOT NULL, "Reference" TEXT NOT NULL, "Digest" TEXT NOT NULL, "First" INTEGER NOT NULL,
          PRIMARY KEY ("Day", {TagDimensions})) WITHOUT ROWID;
        {Tags} {TagsOf("\"UsageEvents\"")};
        CREATE TABLE "UsageDigests" (
          "Day" INTEGER NOT NULL, "Organizations" TEXT NOT NULL, "Repository" TEXT NOT NULL, "Digest" TEXT NOT NULL, "Outcome" TEXT NOT NULL,
          "Decisions" INTEGER NOT NULL, "Pulls" INTEGER NOT NULL, PRIMARY KEY ("Day", {DigestDimensions})) WITHOUT ROWID;
        {Digests} {OfDigests("\"UsageEvents\"", "\"Time\" / 86400000")};
        CREATE TABLE "UsageMachines" (
          "Day" INTEGER NOT NULL, "Client" TEXT NOT NULL, "Organizations" TEXT NOT NULL, "Caller" TEXT NOT NULL, "WayIn" TEXT NOT NULL, "Family" TEXT NOT NULL,
          "Decisions" INTEGER NOT NULL, "Pulls" INTEGER NOT NULL, "First" INTEGER NOT NULL, "Last" INTEGER NOT NULL, PRIMARY KEY ("Day", {MachineDimensions})) WITHOUT ROWID;
        {Machines} {MachinesOf("\"UsageEvents\"")};
        """;

    /// <summary>Of the file that is for all months.</summary>
    private static readonly string SecondVersionOfMain = $"""
        CREATE TABLE "UsageForgotten" ("Hash" TEXT PRIMARY KEY, "Until" INTEGER NOT NULL);
        {SecondVersion}
        """;

    /// <inheritdoc cref="SecondVersionOfMain"/>
    private static readonly string ThirdVersionOfMain = $"""
        {ThirdVersion}
        CREATE TABLE "UsageReports" (
          "Organization" TEXT NOT NULL, "Address" TEXT NOT NULL, "Name" TEXT NOT NULL, "Time" INTEGER NOT NULL, "Open" INTEGER NOT NULL, "FallsBack" INTEGER NOT NULL, "Facts" TEXT NOT NULL,
          PRIMARY KEY ("Organization", "Address", "Name")) WITHOUT ROWID;
        CREATE INDEX "UsageReports_Time" ON "UsageReports" ("Organization", "Time");
        """;

    private static readonly string MonthTables = $"""
        CREATE TABLE "UsageEvents" (
          "Time" INTEGER NOT NULL, "Id" TEXT NOT NULL, "IsClosing" INTEGER NOT NULL, "Organizations" TEXT NOT NULL, "Caller" TEXT NOT NULL, "Client" TEXT,
          "WayIn" TEXT NOT NULL, "Family" TEXT NOT NULL, "Method" TEXT NOT NULL, "Repository" TEXT NOT NULL, "Reference" TEXT, "Digest" TEXT,
          "Index" TEXT, "Type" TEXT NOT NULL, "Rule" TEXT NOT NULL, "Outcome" TEXT NOT NULL, "PolicyVersion" TEXT, "Decisions" INTEGER NOT NULL, "Pulls" INTEGER NOT NULL,
          PRIMARY KEY ("Time", "Id", "IsClosing")) WITHOUT ROWID;
        {CountsTable}
        """;

    /// <summary>What makes a file of each version out of that before it.</summary>
    private static readonly string[] MonthSteps = [MonthTables, SecondVersionOfMonth, ThirdVersionOfMonth];

    private static readonly string MainTables = $"""
        CREATE TABLE "UsageState" ("Name" TEXT PRIMARY KEY, "Value" INTEGER NOT NULL);
        CREATE TABLE "UsageMonths" ("Month" TEXT PRIMARY KEY);
        CREATE TABLE "UsagePositions" ("File" TEXT PRIMARY KEY, "Place" INTEGER NOT NULL, "Day" INTEGER NOT NULL);
        {CountsTable}
        """;

    /// <inheritdoc cref="MonthSteps"/>
    private static readonly string[] MainSteps = [MainTables, SecondVersionOfMain, ThirdVersionOfMain];

    private const string Insert = $"""
        INSERT OR IGNORE INTO "UsageEvents" ({Columns})
        VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12, @p13, @p14, @p15, @p16, @p17, @p18, @p19, @p20);
        """;

    private const string Count = $"""
        INSERT INTO "UsageCounts" ("Day", {Dimensions}, "Decisions", "Pulls") VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10)
        ON CONFLICT DO UPDATE SET "Decisions" = "Decisions" + excluded."Decisions", "Pulls" = "Pulls" + excluded."Pulls";
        """;

    private const string Sum = $"""
        {Sums} VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11)
        ON CONFLICT DO UPDATE SET "Decisions" = "Decisions" + excluded."Decisions", "Pulls" = "Pulls" + excluded."Pulls";
        """;

    private const string CountDigest = $"""
        {Digests} VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6)
        ON CONFLICT DO UPDATE SET "Decisions" = "Decisions" + excluded."Decisions", "Pulls" = "Pulls" + excluded."Pulls";
        """;

    /// <summary>Digests lie all over their index: with 2 MB, what SQLite has of itself, a batch reads and writes the same pages again and again. In KiB.</summary>
    private const string PageCache = "PRAGMA cache_size = -32768;";

    /// <summary>A question that takes long lets the log grow; it becomes small again after it. In bytes.</summary>
    private const string LogSize = "PRAGMA journal_size_limit = 67108864;";

    private const string AddMachine = $"""
        {Machines} VALUES (@p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9)
        {MachinesTogether};
        """;

    private const string AddTag = $"""
        {Tags} VALUES (@p0, @p1, @p2, @p3, @p4, @p5)
        {TagsTogether};
        """;

    private static readonly string[] Companions = ["", "-wal", "-shm"];

    public override string Name => Folder;

    private string Folder => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(database.Path))!, "usage");

    private string MainPath => Path.Combine(Folder, "counts.db");

    public override async Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyCollection<string> files, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        await ForgetLostMonthsAsync(main, cancellationToken);
        var positions = new Dictionary<string, long>();
        foreach (var file in files)
        {
            if (await NumberAsync(main, null, """SELECT "Place" FROM "UsagePositions" WHERE "File" = @file;""", cancellationToken, ("@file", file)) is { } place)
                positions[file] = place;
        }

        return positions;
    }

    public override async Task<UsageAdded> AddAsync(
        IReadOnlyList<UsageEvent> decisions, TrailPosition? position, UsageDays days, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        var horizon = await NumberAsync(main, null, """SELECT "Value" FROM "UsageState" WHERE "Name" = 'horizon';""", cancellationToken) ?? 0;
        var kept = Kept(decisions, days, horizon, out var old, out var future);
        var added = 0;
        foreach (var month in kept.GroupBy(decision => MonthOf(decision.Day)))
            added += await AddAsync(main, month.Key, month, cancellationToken);
        if (position is not null)
        {
            await ExecuteAsync(
                main,
                null,
                """INSERT OR REPLACE INTO "UsagePositions" VALUES (@file, @place, @day);""",
                cancellationToken,
                ("@file", position.File),
                ("@place", position.Place),
                ("@day", days.Today));
        }

        return new UsageAdded(added, old, future);
    }

    public override async Task<UsageForgotten> ForgetAsync(string caller, DateTimeOffset now, Action<UsageForgotten> progress, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        await NoteForgottenAsync(main, null, ForgottenCallers.Hash(key, caller), now, cancellationToken);
        var forgotten = new UsageForgotten(0, 0);
        foreach (var month in (await MonthsAsync(main, cancellationToken)).Where(month => File.Exists(PathOf(month))))
        {
            await using var connection = await OpenMonthAsync(main, month, cancellationToken);
            forgotten = await ForgetAsync(connection, caller, hasDecisions: true, forgotten, progress, cancellationToken);
        }

        return await ForgetAsync(main, caller, hasDecisions: false, forgotten, progress, cancellationToken);
    }

    public override async Task<bool> PruneAsync(UsageDays days, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        var months = await MonthsAsync(main, cancellationToken);
        foreach (var month in months.Where(month => File.Exists(PathOf(month))))
            await (await OpenMonthAsync(main, month, cancellationToken)).DisposeAsync(); // so that no question has to bring it up to date
        var ended = months.Where(month => EndOf(month) <= days.First).ToList();
        if (ended.Count > 0)
            await DropAsync(main, ended[0], cancellationToken);
        await ExecuteAsync(main, null, """DELETE FROM "UsageSums" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await ExecuteAsync(main, null, """DELETE FROM "UsageCounts" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await ExecuteAsync(main, null, """DELETE FROM "UsagePositions" WHERE "Day" < @day;""", cancellationToken, ("@day", days.FirstCounted));
        await PruneForgottenAsync(main, null, days, cancellationToken);
        await PruneReportsAsync(main, null, days, cancellationToken);
        return ended.Count > 1;
    }

    public override async Task<IReadOnlyList<UsageEvent>> ListAsync(UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken)
    {
        var found = new List<UsageEvent>();
        await using var main = await OpenMainAsync(cancellationToken);
        foreach (var month in Enumerable.Reverse(await MonthsAsync(main, cancellationToken)).Where(month => IsIn(month, filter)))
        {
            if (found.Count == count)
                break;
            await using var connection = await OpenMonthAsync(main, month, cancellationToken);
            await using var end = Interrupt(connection, cancellationToken);
            found.AddRange(await ListAsync(connection, Search, filter, before, count - found.Count, cancellationToken));
        }

        return found;
    }

    protected override async Task VisitAsync(UsageFilter filter, bool ofCounts, Func<DbConnection, string, Task> ask, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        if (ofCounts)
            await ask(main, Search);
        foreach (var month in (await MonthsAsync(main, cancellationToken)).Where(month => IsIn(month, filter)))
        {
            await using var connection = await OpenMonthAsync(main, month, cancellationToken);
            await using var end = Interrupt(connection, cancellationToken);
            await ask(connection, Search);
        }
    }

    protected override async Task ChangeAsync(Func<DbConnection, DbTransaction, Task> change, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        await using var transaction = main.BeginTransaction();
        await change(main, transaction);
        await transaction.CommitAsync(cancellationToken);
    }

    protected override async Task<T> AskReportsAsync<T>(Func<DbConnection, Task<T>> ask, T nothing, CancellationToken cancellationToken)
    {
        await using var main = await OpenMainAsync(cancellationToken);
        await using var end = Interrupt(main, cancellationToken);
        return await ask(main);
    }

    public override string Explain(Exception exception) => IsDamage(exception)
        ? "has a damaged file: move the folder away; decisions are taken from the audit files again, as far as they reach"
        : database.Explain(exception);

    private static bool IsDamage(Exception exception) => exception is SqliteException { SqliteErrorCode: raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB };

    /// <summary>A file that is no database any more makes room for another, which the next look begins.</summary>
    private static DatabaseException MoveAway(string path)
    {
        var name = Path.GetFileName(path);
        try
        {
            foreach (var companion in Companions.Where(companion => File.Exists(path + companion)))
                File.Move(path + companion, $"{path}.damaged{companion}", overwrite: true);
            return new DatabaseException($"had a damaged file, which is {name}.damaged now; its decisions are taken from the audit files again, as far as they reach");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new DatabaseException($"has a damaged file, {name}, which cannot be moved away: {failure.Message}");
        }
    }

    /// <summary>A command of SQLite knows no cancellation of its own.</summary>
    private static CancellationTokenRegistration Interrupt(SqliteConnection connection, CancellationToken cancellationToken) =>
        cancellationToken.Register(() => raw.sqlite3_interrupt(connection.Handle));

    private static string MonthOf(int day) => UsageDays.DateOf(day).ToString("yyyy-MM", CultureInfo.InvariantCulture);

    private static DateTime FirstOf(string month) =>
        DateTime.ParseExact(month, "yyyy-MM", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal);

    /// <summary>The first day of the month after it.</summary>
    private static int EndOf(string month) => (FirstOf(month).AddMonths(1) - DateTime.UnixEpoch).Days;

    private static bool IsIn(string month, UsageFilter filter) =>
        EndOf(month) * UsageDays.Milliseconds > filter.From && (FirstOf(month) - DateTime.UnixEpoch).Days * UsageDays.Milliseconds < filter.Until;

    private static async Task<IReadOnlyList<string>> MonthsAsync(DbConnection main, CancellationToken cancellationToken)
    {
        var months = new List<string>();
        await using var command = Command(main, null, """SELECT "Month" FROM "UsageMonths" ORDER BY "Month";""");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            months.Add(reader.GetString(0));
        return months;
    }

    private static SqliteCommand Prepared(SqliteConnection connection, SqliteTransaction transaction, string text, int parameters)
    {
        var command = (SqliteCommand)Command(connection, transaction, text);
        for (var number = 0; number < parameters; number++)
            command.Parameters.Add(new SqliteParameter(string.Create(CultureInfo.InvariantCulture, $"@p{number}"), DBNull.Value));
        return command;
    }

    private static int Execute(SqliteCommand command, params ReadOnlySpan<object?> values)
    {
        for (var number = 0; number < values.Length; number++)
            command.Parameters[number].Value = values[number] ?? DBNull.Value;
        return command.ExecuteNonQuery();
    }

    private static async Task<UsageForgotten> ForgetAsync(
        SqliteConnection connection, string caller, bool hasDecisions, UsageForgotten forgotten, Action<UsageForgotten> progress, CancellationToken cancellationToken)
    {
        foreach (var day in await DaysOfAsync(connection, null, caller, cancellationToken))
        {
            await using var transaction = connection.BeginTransaction();
            forgotten = new UsageForgotten(forgotten.Decisions + await ForgetDayAsync(connection, transaction, day, caller, hasDecisions, cancellationToken), forgotten.Days + 1);
            await transaction.CommitAsync(cancellationToken);
            progress(forgotten);
        }

        return forgotten;
    }

    private string PathOf(string month) => Path.Combine(Folder, $"{month}.db");

    private async Task<int> AddAsync(DbConnection main, string month, IEnumerable<UsageEvent> decisions, CancellationToken cancellationToken)
    {
        await using var connection = await OpenMonthAsync(main, month, cancellationToken);
        try
        {
            return await AddAsync(main, connection, decisions, cancellationToken);
        }
        catch (SqliteException exception) when (IsDamage(exception))
        {
            throw MoveAway(PathOf(month));
        }
    }

    /// <summary>Who is forgotten is read under the lock of the month: whoever forgets notes it first, and looks through the month once that is free.</summary>
    private async Task<int> AddAsync(DbConnection main, SqliteConnection connection, IEnumerable<UsageEvent> decisions, CancellationToken cancellationToken)
    {
        await using var transaction = connection.BeginTransaction();
        var forgotten = await ReadForgottenAsync(main, null, key, cancellationToken);
        await using var insert = Prepared(connection, transaction, Insert, 21);
        var (added, counts) = (0, new BatchCounts());
        foreach (var one in decisions.Select(forgotten.Of))
        {
            if (Execute(
                    insert, one.Time, one.Id, one.IsClosing ? 1 : 0, one.Organizations, one.Caller, one.Client, one.WayIn, one.Family, one.Method, one.Repository,
                    one.Reference, one.Digest, one.Index, one.Type, one.Rule, one.Outcome, one.PolicyVersion, one.Decisions, one.Pulls, one.Memberships ?? "", one.Block) == 0)
                continue;
            counts.Add(one);
            added++;
        }

        await CountAsync(connection, transaction, counts);
        await transaction.CommitAsync(cancellationToken);
        return added;
    }

    private static async Task CountAsync(SqliteConnection connection, SqliteTransaction transaction, BatchCounts counts)
    {
        await using var count = Prepared(connection, transaction, Count, 11);
        foreach (var (of, total) in counts.Counts)
            Execute(count, of.Day, of.Organizations, of.Caller, of.Repository, of.Type, of.Rule, of.Outcome, of.WayIn, of.Family, total.Decisions, total.Pulls);
        await using var sum = Prepared(connection, transaction, Sum, 12);
        foreach (var ((kind, of), total) in counts.Sums())
            Execute(sum, (int)kind, of.Day, of.Organizations, of.Caller, of.Repository, of.Type, of.Rule, of.Outcome, of.WayIn, of.Family, total.Decisions, total.Pulls);
        await using var digest = Prepared(connection, transaction, CountDigest, 7);
        foreach (var (of, total) in counts.Digests)
            Execute(digest, of.Day, of.Organizations, of.Repository, of.Digest, of.Outcome, total.Decisions, total.Pulls);
        await using var tag = Prepared(connection, transaction, AddTag, 6);
        foreach (var (of, first) in counts.Tags)
            Execute(tag, of.Day, of.Organizations, of.Repository, of.Reference, of.Digest, first);
        await using var machine = Prepared(connection, transaction, AddMachine, 10);
        foreach (var (of, came) in counts.Machines)
            Execute(machine, of.Day, of.Client, of.Organizations, of.Caller, of.WayIn, of.Family, came.Decisions, came.Pulls, came.First, came.Last);
    }

    /// <summary>Its counts stay: they are copied in the transaction that forgets it.</summary>
    private async Task DropAsync(SqliteConnection main, string month, CancellationToken cancellationToken)
    {
        if (File.Exists(PathOf(month)))
        {
            await (await OpenMonthAsync(main, month, cancellationToken)).DisposeAsync();
            await ExecuteAsync(main, null, "ATTACH @path AS month;", cancellationToken, ("@path", PathOf(month)));
        }
        else
        {
            await ExecuteAsync(main, null, """ATTACH ':memory:' AS month; CREATE TABLE month."UsageCounts" AS SELECT * FROM main."UsageCounts" LIMIT 0; CREATE TABLE month."UsageSums" AS SELECT * FROM main."UsageSums" LIMIT 0;""", cancellationToken);
        }

        await using (var transaction = main.BeginTransaction())
        {
            await ExecuteAsync(main, transaction, """INSERT OR REPLACE INTO main."UsageCounts" SELECT * FROM month."UsageCounts";""", cancellationToken);
            await ExecuteAsync(main, transaction, """INSERT OR REPLACE INTO main."UsageSums" SELECT * FROM month."UsageSums";""", cancellationToken);
            await ExecuteAsync(
                main,
                transaction,
                """INSERT INTO "UsageState" VALUES ('horizon', @day) ON CONFLICT DO UPDATE SET "Value" = MAX("Value", excluded."Value");""",
                cancellationToken,
                ("@day", EndOf(month)));
            await ExecuteAsync(main, transaction, """DELETE FROM "UsageMonths" WHERE "Month" = @month;""", cancellationToken, ("@month", month));
            await transaction.CommitAsync(cancellationToken);
        }

        await ExecuteAsync(main, null, "DETACH month;", cancellationToken);
        foreach (var companion in Companions)
            File.Delete(PathOf(month) + companion);
    }

    /// <summary>Without its file a month begins anew, and the trail with it: what is known already is not taken again.</summary>
    private async Task ForgetLostMonthsAsync(DbConnection main, CancellationToken cancellationToken)
    {
        foreach (var month in (await MonthsAsync(main, cancellationToken)).Where(month => !File.Exists(PathOf(month))))
        {
            await ExecuteAsync(main, null, """DELETE FROM "UsagePositions";""", cancellationToken);
            await ExecuteAsync(main, null, """DELETE FROM "UsageMonths" WHERE "Month" = @month;""", cancellationToken, ("@month", month));
        }
    }

    /// <summary>Where it is made anew, the months whose files are there come into its list again.</summary>
    private async Task<SqliteConnection> OpenMainAsync(CancellationToken cancellationToken)
    {
        var main = await OpenAsync(MainPath, MainSteps, cancellationToken);
        try
        {
            if (await NumberAsync(main, null, """SELECT COUNT(*) FROM "UsageState" WHERE "Name" = 'begun';""", cancellationToken) == 0)
            {
                foreach (var month in Directory.EnumerateFiles(Folder, "????-??.db").Select(Path.GetFileNameWithoutExtension))
                    await ExecuteAsync(main, null, """INSERT OR IGNORE INTO "UsageMonths" VALUES (@month);""", cancellationToken, ("@month", month));
                await ExecuteAsync(main, null, """INSERT OR IGNORE INTO "UsageState" VALUES ('begun', 1);""", cancellationToken);
            }

            return main;
        }
        catch
        {
            await main.DisposeAsync();
            throw;
        }
    }

    /// <summary>It is in the list before its file is made, so that one that is lost is missed.</summary>
    private async Task<SqliteConnection> OpenMonthAsync(DbConnection main, string month, CancellationToken cancellationToken)
    {
        if (!File.Exists(PathOf(month)))
            await ExecuteAsync(main, null, """INSERT OR IGNORE INTO "UsageMonths" VALUES (@month);""", cancellationToken, ("@month", month));
        return await OpenAsync(PathOf(month), MonthSteps, cancellationToken);
    }

    /// <summary>Opens a file, which is its owner's alone, makes its tables where it has none, and brings those of an earlier version up to date.</summary>
    private async Task<SqliteConnection> OpenAsync(string path, string[] steps, CancellationToken cancellationToken)
    {
        CreateFile(path);
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWrite,
            Pooling = false,
            DefaultTimeout = SqliteDatabase.BusyTimeout,
        }.ToString());
        try
        {
            await connection.OpenAsync(cancellationToken);
            await ExecuteAsync(connection, null, PageCache + LogSize, cancellationToken);
            var version = await NumberAsync(connection, null, "PRAGMA user_version;", cancellationToken) ?? 0;
            DemandVersion(version);
            if (version < Version)
                await MakeAsync(connection, steps, cancellationToken);
            return connection;
        }
        catch (Exception exception)
        {
            await connection.DisposeAsync();
            if (IsDamage(exception))
                throw MoveAway(path);
            throw;
        }
    }

    private void CreateFile(string path)
    {
        try
        {
            Directory.CreateDirectory(Folder);
            using var file = new FileStream(path, OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DatabaseException(database.Explain(exception)); // of the database, and not of a file that is read
        }
    }

    private static async Task MakeAsync(SqliteConnection connection, string[] steps, CancellationToken cancellationToken)
    {
        await ExecuteAsync(connection, null, "PRAGMA journal_mode = WAL;", cancellationToken);
        await using var transaction = connection.BeginTransaction();
        var version = await NumberAsync(connection, transaction, "PRAGMA user_version;", cancellationToken) ?? 0;
        if (version < Version)
        {
            await using var command = Command(
                connection, transaction, string.Create(CultureInfo.InvariantCulture, $"{string.Join('\n', steps.Skip((int)version))} PRAGMA user_version = {Version};"));
            command.CommandTimeout = 0; // a month may have ten millions
            await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }
}
