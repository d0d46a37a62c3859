using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess changes …</c>: what waits for a second person; and what all verbs that change something share. They are run on the server, where
/// whoever runs them may everything, and need no running proxy; the running one records each step.
/// </summary>
internal static class ChangeCommands
{
    private const string Unchanged = "; nothing was changed";

    public static Command Build() => new("changes", "Lists, approves and declines what waits for a second person, where the policy demands one (changes.approvals).")
    {
        List(), Approve(), Decline(),
    };

    public static Option<string?> By() => new("--by") { Description = "Who; the user of the operating system by default.", HelpName = "NAME" };

    public static Option<string?> Ticket() => new("--ticket") { Description = "The ticket; the policy may demand one for whatever opens.", HelpName = "TICKET" };

    public static Actor Server(string? by) => Actor.Server(by ?? Environment.UserName);

    /// <summary>The desk of the server.</summary>
    /// <param name="policy">The policy that a start would put into force; null for what does not depend on it, and must not fail with it.</param>
    public static ChangeDesk Desk(IConfiguration configuration, SqlDatabase database, Policy? policy = null) => new(
        database, PolicyStoreOptions.Of(configuration), () => policy ?? throw new InvalidOperationException("The policy was not read."), TimeProvider.System);

    /// <exception cref="MisuseException">What is written there would be read by no proxy.</exception>
    public static SqlDatabase Open(string? file, IConfiguration configuration)
    {
        var database = DatabaseCommands.Open(file);
        if (database is SqliteDatabase)
            Verb.DemandDataDirectory(configuration["Data:Directory"]!);
        return database;
    }

    /// <summary>Changes something of a database that must be there and up to date.</summary>
    /// <inheritdoc cref="ReadAsync"/>
    public static Task<T> ChangeAsync<T>(SqlDatabase database, Func<Task<T>> run, CancellationToken cancellationToken) => WithAsync(database, Unchanged, run, cancellationToken);

    /// <summary>Reads something of a database that must be there and up to date; what is wrong with it may pass.</summary>
    /// <exception cref="PassingFaultException">It cannot be used at the moment.</exception>
    /// <exception cref="MisuseException">The change was refused.</exception>
    public static Task<T> ReadAsync<T>(SqlDatabase database, Func<Task<T>> run, CancellationToken cancellationToken) => WithAsync(database, "", run, cancellationToken);

    /// <summary>Changes something that needs no database.</summary>
    /// <exception cref="MisuseException">The change was refused.</exception>
    public static async Task<T> ChangeAsync<T>(Func<Task<T>> run)
    {
        try
        {
            return await run();
        }
        catch (FaultyChangeException faulty)
        {
            throw new MisuseException([.. faulty.Faults.Select(Words)]);
        }
        catch (RefusedChangeException refused)
        {
            throw new MisuseException(refused.Problems);
        }
    }

    public static string Words(ChangeFault fault) => fault.Part is null ? fault.Text : $"--{fault.Part} {fault.Text}";

    /// <summary>Tells that something waits. It was asked for as wanted: the exit code is that of success.</summary>
    public static Task TellWaitingAsync(ParseResult parsed, Option<bool> json, PendingChangeRow change)
    {
        var output = parsed.InvocationConfiguration.Output;
        return parsed.GetValue(json)
            ? Verb.WriteJsonAsync(output, new { Waiting = Facts(change) })
            : output.WriteLineAsync(TextTable.Plain(string.Create(
                CultureInfo.InvariantCulture,
                $"the change {change.Id} waits for a second person, until {ExceptionChanges.Minute(change.Until)}: {string.Join("; ", change.Opens)}; imageaccess changes approve {change.Id}")));
    }

    private static Command List()
    {
        var organization = new Option<string?>("--organization") { Description = "Of this organization alone.", HelpName = "ORG" };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists the changes that wait, the oldest first.") { organization, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var configuration = Verb.Configuration(parsed.GetValue(file));
            var database = Open(parsed.GetValue(file), configuration);
            var rows = await ReadAsync(database, () => Desk(configuration, database).ListWaitingAsync(parsed.GetValue(organization), cancellationToken), cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Changes = rows.Select(Facts) });
            else if (rows.Count == 0)
                await output.WriteLineAsync("no change waits");
            else
                await Table(rows).WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Approve()
    {
        var (id, by, file, json) = (Id(), By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("approve", "Does a change that waits. Who asked for it cannot approve it.") { id, by, json, file };
        Verb.SetAction(command, (parsed, cancellationToken) => DecideAsync(
            parsed,
            file,
            json,
            (desk, cancel) => desk.ApproveAsync(parsed.GetValue(id), Server(parsed.GetValue(by)), cancel),
            change => $"the change {change.Id} is done: {string.Join("; ", change.Opens)}",
            cancellationToken));
        return command;
    }

    private static Command Decline()
    {
        var (id, by, file, json) = (Id(), By(), Verb.ConfigurationFile(), Verb.Json());
        var reason = new Option<string>("--reason") { Description = "Why, for the audit trail.", HelpName = "TEXT", Required = true };
        var command = new Command("decline", "Ends a change that waits, without doing it.") { id, reason, by, json, file };
        Verb.SetAction(command, (parsed, cancellationToken) => DecideAsync(
            parsed,
            file,
            json,
            (desk, cancel) => desk.DeclineAsync(parsed.GetValue(id), parsed.GetValue(reason)!, Server(parsed.GetValue(by)), cancel),
            change => $"the change {change.Id} is declined: {string.Join("; ", change.Opens)}",
            cancellationToken));
        return command;
    }

    private static async Task<int> DecideAsync(
        ParseResult parsed, Option<string?> file, Option<bool> json, Func<ChangeDesk, CancellationToken, Task<PendingChangeRow>> decide,
        Func<PendingChangeRow, FormattableString> line, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(parsed.GetValue(file));
        var database = Open(parsed.GetValue(file), configuration);
        var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
        var change = await ChangeAsync(database, () => decide(Desk(configuration, database, policy), cancellationToken), cancellationToken);
        var output = parsed.InvocationConfiguration.Output;
        await (parsed.GetValue(json)
            ? Verb.WriteJsonAsync(output, new { Change = Facts(change) })
            : output.WriteLineAsync(TextTable.Plain(FormattableString.Invariant(line(change)))));
        return Verb.Yes;
    }

    private static async Task<T> WithAsync<T>(SqlDatabase database, string otherwise, Func<Task<T>> run, CancellationToken cancellationToken)
    {
        var shown = DatabaseCommands.Shown(database);
        if (!database.Exists)
            throw ConfigurationLoading.FailedForNow($"there is no database in {shown}: the proxy makes it when it starts");
        try
        {
            if (await database.ReadMigrationAsync(cancellationToken) != SqlDatabase.NewestMigration)
                throw new DatabaseException("is not up to date: imageaccess database migrate");
            return await ChangeAsync(run);
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or MisuseException))
        {
            throw ConfigurationLoading.FailedForNow($"{shown} {database.Explain(exception)}{otherwise}");
        }
    }

    private static TextTable Table(IReadOnlyList<PendingChangeRow> rows)
    {
        var table = new TextTable(">CHANGE", "KIND", "ORGANIZATION", "ASKED", "UNTIL", "BY");
        foreach (var row in rows)
        {
            table.Add(
                row.Id.ToString(CultureInfo.InvariantCulture), row.Kind, row.Organization ?? "-", ExceptionChanges.Minute(row.At), ExceptionChanges.Minute(row.Until), row.By);
            foreach (var opened in row.Opens)
                table.Note($"opens {opened}");
            table.Note(row.Ticket is null ? row.Reason : $"{row.Reason} ({row.Ticket})");
        }

        return table;
    }

    private static Argument<long> Id() => new("ID") { Description = "Its number, as imageaccess changes list shows it." };

    private static object Facts(PendingChangeRow row) => new
    {
        row.Id,
        row.Kind,
        row.Organization,
        row.Opens,
        row.By,
        row.Reason,
        row.Ticket,
        At = row.At.UtcDateTime,
        Until = row.Until.UtcDateTime,
        row.State,
        row.DecidedBy,
        DecidedAt = row.DecidedAt?.UtcDateTime,
        row.DecidedReason,
    };
}
