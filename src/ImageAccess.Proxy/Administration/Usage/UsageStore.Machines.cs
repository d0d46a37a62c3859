using System.Data.Common;
using System.Globalization;

namespace ImageAccess.Proxy.Administration.Usage;

internal abstract partial class UsageStore
{
    /// <summary>By what decisions of a day are counted together that came from machines.</summary>
    protected const string MachineDimensions = """ "Client", "Organizations", "Caller", "WayIn", "Family" """;

    /// <summary>What stands before machines that are added to others.</summary>
    protected const string Machines = $"""INSERT INTO "UsageMachines" ("Day", {MachineDimensions}, "Decisions", "Pulls", "First", "Last")""";

    /// <summary>What stands behind them.</summary>
    protected const string MachinesTogether = $"""
        ON CONFLICT ("Day", {MachineDimensions}) DO UPDATE
        SET "Decisions" = "UsageMachines"."Decisions" + excluded."Decisions", "Pulls" = "UsageMachines"."Pulls" + excluded."Pulls",
          "First" = CASE WHEN excluded."First" < "UsageMachines"."First" THEN excluded."First" ELSE "UsageMachines"."First" END,
          "Last" = CASE WHEN excluded."Last" > "UsageMachines"."Last" THEN excluded."Last" ELSE "UsageMachines"."Last" END
        """;

    /// <summary>Reports of machines, of one organization: those beyond are the oldest.</summary>
    public const int MaximumReports = 10_000;

    /// <summary>The same from one address of an organization: behind it there may be several machines.</summary>
    public const int MaximumReportsOfAddress = 20;

    /// <summary>How many reports a question looks at, the newest.</summary>
    private const int MaximumReportsRead = 100_000;

    /// <summary>The machines of decisions; an address is cut to the length of a word.</summary>
    /// <param name="source">What has the decisions.</param>
    protected static string MachinesOf(string source) => string.Create(CultureInfo.InvariantCulture, $"""
        SELECT "Time" / 86400000, substr("Client", 1, {UsageEvent.MaximumWord}), "Organizations", "Caller", "WayIn", "Family", SUM("Decisions"), SUM("Pulls"), MIN("Time"), MAX("Time")
        FROM {source} WHERE "Client" <> '' GROUP BY 1, 2, 3, 4, 5, 6
        """);

    /// <summary>Who came in from where, together for each address, client family, way in and caller.</summary>
    /// <param name="filter">Of whole days.</param>
    public Task ReadMachinesAsync(UsageFilter filter, Action<DbDataReader> take, CancellationToken cancellationToken) => ReadAsync(
        new UsageQuery(
            filter,
            UsageSource.Machines,
            """ "Client", "Family", "WayIn", "Caller", SUM("Decisions"), SUM("Pulls"), MIN("First"), MAX("Last") """,
            """ GROUP BY "Client", "Family", "WayIn", "Caller" """),
        take,
        cancellationToken);

    /// <summary>Keeps a report in the place of the one before of that machine.</summary>
    public Task AddReportAsync(MachineReport report, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var of = new (string, object?)[] { ("@organization", report.Organization), ("@address", report.Address) };
            await ExecuteAsync(
                connection,
                transaction,
                """
                INSERT INTO "UsageReports" ("Organization", "Address", "Name", "Time", "Open", "FallsBack", "Facts") VALUES (@organization, @address, @name, @time, @open, @fallsBack, @facts)
                ON CONFLICT ("Organization", "Address", "Name") DO UPDATE
                SET "Time" = excluded."Time", "Open" = excluded."Open", "FallsBack" = excluded."FallsBack", "Facts" = excluded."Facts";
                """,
                cancellationToken,
                [.. of, ("@name", report.Name), ("@time", report.Time), ("@open", report.Open), ("@fallsBack", report.FallsBack ? 1 : 0), ("@facts", report.Facts)]);
            await ExecuteAsync(
                connection,
                transaction,
                """
                DELETE FROM "UsageReports" WHERE "Organization" = @organization AND "Address" = @address AND "Name" IN (
                  SELECT "Name" FROM "UsageReports" WHERE "Organization" = @organization AND "Address" = @address ORDER BY "Time" DESC, "Name" LIMIT 1000000 OFFSET @keep);
                """,
                cancellationToken,
                [.. of, ("@keep", MaximumReportsOfAddress)]);
            await ExecuteAsync(
                connection,
                transaction,
                """
                DELETE FROM "UsageReports" WHERE "Organization" = @organization AND ("Address", "Name") IN (
                  SELECT "Address", "Name" FROM "UsageReports" WHERE "Organization" = @organization ORDER BY "Time" DESC LIMIT 1000000 OFFSET @keep);
                """,
                cancellationToken,
                [.. of, ("@keep", MaximumReports)]);
        },
        cancellationToken);

    /// <summary>The newest reports, without what they tell in detail.</summary>
    public Task<List<MachineReport>> ListReportsAsync(CancellationToken cancellationToken) => AskReportsAsync(
        async connection =>
        {
            var found = new List<MachineReport>();
            await using var command = Command(
                connection, null, """SELECT "Organization", "Address", "Name", "Time", "Open", "FallsBack" FROM "UsageReports" ORDER BY "Time" DESC LIMIT @count;""", [("@count", MaximumReportsRead)]);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                found.Add(new MachineReport(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetInt64(3), reader.GetInt32(4), reader.GetInt32(5) != 0, ""));
            return found;
        },
        [],
        cancellationToken);

    /// <summary>The same reports with what they tell; those that are gone meanwhile are left out.</summary>
    public Task<List<MachineReport>> FillReportsAsync(IReadOnlyCollection<MachineReport> reports, CancellationToken cancellationToken) => AskReportsAsync(
        async connection =>
        {
            var found = new List<MachineReport>();
            foreach (var report in reports)
            {
                await using var command = Command(
                    connection,
                    null,
                    """SELECT "Facts", "Time" FROM "UsageReports" WHERE "Organization" = @organization AND "Address" = @address AND "Name" = @name;""",
                    [("@organization", report.Organization), ("@address", report.Address), ("@name", report.Name)]);
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                if (await reader.ReadAsync(cancellationToken) && reader.GetInt64(1) == report.Time)
                    found.Add(report with { Facts = reader.GetString(0) });
            }

            return found;
        },
        [],
        cancellationToken);

    /// <summary>Changes what is not of days, all of it or nothing.</summary>
    protected abstract Task ChangeAsync(Func<DbConnection, DbTransaction, Task> change, CancellationToken cancellationToken);

    /// <summary>Asks what is not of days.</summary>
    /// <param name="nothing">The answer where there are no tables yet.</param>
    protected abstract Task<T> AskReportsAsync<T>(Func<DbConnection, Task<T>> ask, T nothing, CancellationToken cancellationToken);

    /// <summary>A report that nobody has renewed is not true any more.</summary>
    protected static Task PruneReportsAsync(DbConnection connection, DbTransaction? transaction, UsageDays days, CancellationToken cancellationToken) => ExecuteAsync(
        connection, transaction, """DELETE FROM "UsageReports" WHERE "Time" < @first;""", cancellationToken, ("@first", days.First * UsageDays.Milliseconds));
}

/// <summary>What the doctor of a machine told last.</summary>
/// <param name="Organization">Of the token that it was told with; empty for every one.</param>
/// <param name="Address">Where it came from.</param>
/// <param name="Name">What the machine calls itself.</param>
/// <param name="Time">When it came, in milliseconds since 1970.</param>
/// <param name="Open">How many ways lead past the policy.</param>
/// <param name="FallsBack">An engine turns to Docker Hub by one of them.</param>
/// <param name="Facts">All of it, in JSON.</param>
internal sealed record MachineReport(string Organization, string Address, string Name, long Time, int Open, bool FallsBack, string Facts);
