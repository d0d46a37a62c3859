using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess changes …</c>: what waits for a second person; and what all verbs that change something share. Run on the server they need no running
/// proxy, and whoever runs them may everything; the running one records each step.
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
        database,
        PolicyStoreOptions.Of(configuration),
        () => policy ?? throw new InvalidOperationException("The policy was not read."),
        TimeProvider.System,
        followers: [new RequestAnswers()]);

    /// <exception cref="MisuseException">What is written there would be read by no proxy.</exception>
    public static SqlDatabase Open(string? file, IConfiguration configuration)
    {
        var database = DatabaseCommands.Open(file);
        if (database is SqliteDatabase)
            Verb.DemandDataDirectory(configuration["Data:Directory"]!);
        return database;
    }

    /// <summary>Changes something of a database that must be there and up to date; what is wrong with it may pass.</summary>
    /// <exception cref="PassingFaultException">It cannot be used at the moment.</exception>
    /// <exception cref="MisuseException">The change was refused.</exception>
    public static Task<T> ChangeAsync<T>(SqlDatabase database, Func<Task<T>> run, CancellationToken cancellationToken) =>
        DatabaseCommands.UseAsync(database, Unchanged, () => ChangeAsync(run), cancellationToken);

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
        var (file, json, server) = (Verb.ConfigurationFile(), Verb.Json(), new ServerOptions());
        var command = new Command("list", "Lists the changes that wait, the oldest first.") { organization, json, file };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            var rows = api is not null
                ? await ListAsync(api, parsed.GetValue(organization), cancellationToken)
                : await ListAsync(parsed.GetValue(file), parsed.GetValue(organization), cancellationToken);
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

    private static async Task<IReadOnlyList<PendingChangeRow>> ListAsync(ServerApi api, string? organization, CancellationToken cancellationToken) =>
        [.. (await api.ListAsync<ChangeFacts>("changes", cancellationToken))
            .Where(change => organization is null || change.Organization == organization).Select(change => change.ToRow()).OrderBy(row => row.Id)];

    private static Task<IReadOnlyList<PendingChangeRow>> ListAsync(string? file, string? organization, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        var database = Open(file, configuration);
        return DatabaseCommands.UseAsync(database, otherwise: "", () => Desk(configuration, database).ListWaitingAsync(organization, cancellationToken), cancellationToken);
    }

    private static Command Approve()
    {
        var (id, by, file, json, server) = (Id(), By(), Verb.ConfigurationFile(), Verb.Json(), new ServerOptions());
        var command = new Command("approve", "Does a change that waits. Who asked for it cannot approve it.") { id, by, json, file };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            var change = api is not null
                ? (await api.PostAsync<ChangeFacts>(Path(parsed.GetValue(id), "approve"), null, cancellationToken)).ToRow()
                : await DecideAsync(
                    parsed.GetValue(file), (desk, cancel) => desk.ApproveAsync(parsed.GetValue(id), Server(parsed.GetValue(by)), cancel), cancellationToken);
            return await TellDecidedAsync(parsed, json, change, $"the change {change.Id} is done: {string.Join("; ", change.Opens)}");
        });
        return command;
    }

    private static Command Decline()
    {
        var (id, by, file, json, server) = (Id(), By(), Verb.ConfigurationFile(), Verb.Json(), new ServerOptions());
        var reason = new Option<string>("--reason") { Description = "Why, for the audit trail.", HelpName = "TEXT", Required = true };
        var command = new Command("decline", "Ends a change that waits, without doing it.") { id, reason, by, json, file };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            var change = api is not null
                ? (await api.PostAsync<ChangeFacts>(Path(parsed.GetValue(id), "decline"), new Because(parsed.GetValue(reason)!), cancellationToken)).ToRow()
                : await DecideAsync(
                    parsed.GetValue(file),
                    (desk, cancel) => desk.DeclineAsync(parsed.GetValue(id), parsed.GetValue(reason)!, Server(parsed.GetValue(by)), cancel),
                    cancellationToken);
            return await TellDecidedAsync(parsed, json, change, $"the change {change.Id} is declined: {string.Join("; ", change.Opens)}");
        });
        return command;
    }

    private static async Task<PendingChangeRow> DecideAsync(string? file, Func<ChangeDesk, CancellationToken, Task<PendingChangeRow>> decide, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        var database = Open(file, configuration);
        var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
        return await ChangeAsync(database, () => decide(Desk(configuration, database, policy), cancellationToken), cancellationToken);
    }

    private static async Task<int> TellDecidedAsync(ParseResult parsed, Option<bool> json, PendingChangeRow change, FormattableString line)
    {
        var output = parsed.InvocationConfiguration.Output;
        await (parsed.GetValue(json)
            ? Verb.WriteJsonAsync(output, new { Change = Facts(change) })
            : output.WriteLineAsync(TextTable.Plain(FormattableString.Invariant(line))));
        return Verb.Yes;
    }

    private static string Path(long id, string act) => string.Create(CultureInfo.InvariantCulture, $"changes/{id}/{act}");

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
