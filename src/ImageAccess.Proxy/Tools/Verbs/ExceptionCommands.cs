using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess exceptions …</c>: what an organization's members may have beside its policy. They change the database, and need no running
/// proxy; the running one records each change.
/// </summary>
internal static class ExceptionCommands
{
    private const string Effect = "a running proxy has it within a second";

    public static Command Build() => new("exceptions", "Grants, lists and ends exceptions: images that an organization's members may have beside its policy.")
    {
        Add(), List(), End(),
    };

    private static Command Add()
    {
        var image = new Argument<string>("IMAGE")
        {
            Description = "bitnami/* for a namespace; acme/tool for a repository; acme/tool:1.2 for a tag; acme/tool@sha256:… for one image.",
        };
        var organization = new Option<string>("--organization") { Description = "To whose members; as the policy names it.", HelpName = "ORG", Required = true };
        var reason = new Option<string>("--reason") { Description = "Why, for the list and the audit trail.", HelpName = "TEXT", Required = true };
        var duration = new Option<string?>("--for") { Description = "How long, as 30d or 12h; without it and --until it has no end.", HelpName = "DURATION" };
        var lastDay = new Option<string?>("--until") { Description = "Its last day in UTC, as 2027-01-31.", HelpName = "DATE" };
        var digest = new Option<string?>("--digest")
        {
            Description = "Of a tag: the digest that it has now. Another image under the same tag is denied.",
            HelpName = "DIGEST",
        };
        var follow = new Option<bool>("--follow") { Description = "Of a tag: whatever it comes to." };
        var asker = new Option<string?>("--asked-by") { Description = "Who asked for it.", HelpName = "NAME" };
        var (by, ticket, file, json) = (ChangeCommands.By(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("add", "Grants an exception, or lets it wait for a second person where the policy demands one.")
        {
            image, organization, reason, duration, lastDay, digest, follow, asker, ticket, by, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is not null)
            {
                var until = ReadEnd(parsed.GetValue(duration), parsed.GetValue(lastDay), new ExceptionsDocument(), TimeProvider.System.GetUtcNow(), out var flaw);
                if (flaw is not null)
                    throw new MisuseException(flaw);
                var wanted = new ExceptionOperations.Wanted(parsed.GetValue(organization)!, parsed.GetValue(image)!, parsed.GetValue(reason)!)
                {
                    Digest = parsed.GetValue(digest),
                    Follow = parsed.GetValue(follow),
                    AskedBy = parsed.GetValue(asker),
                    Ticket = parsed.GetValue(ticket),
                    Until = until?.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                };
                var changed = await api.PostAsync<Changed<ExceptionFacts>>("exceptions", wanted, cancellationToken);
                await (changed.Waiting is { } waiting
                    ? ChangeCommands.TellWaitingAsync(parsed, json, waiting.ToRow())
                    : TellGrantedAsync(parsed, json, (changed.Done ?? throw api.Foreign()).ToRow()));
                return Verb.Yes;
            }

            var configuration = Verb.Configuration(parsed.GetValue(file));
            var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
            var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
            var now = SqlDatabase.NowOf(TimeProvider.System);
            var end = ReadEnd(parsed.GetValue(duration), parsed.GetValue(lastDay), policy.Document.Exceptions, now, out var problem);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var grant = new ExceptionGrant
            {
                Image = parsed.GetValue(image)!,
                Organization = parsed.GetValue(organization)!,
                Reason = request.Reason,
                Digest = parsed.GetValue(digest),
                Follow = parsed.GetValue(follow),
                AskedBy = parsed.GetValue(asker),
                ApprovedBy = request.Actor.Name,
                Until = end,
            };
            if (problem is not null)
            {
                _ = grant.Check(policy, now, out var faults);
                throw new MisuseException([problem, .. faults.Select(ChangeCommands.Words)]);
            }

            var outcome = await ChangeCommands.ChangeAsync(
                database, () => ChangeCommands.Desk(configuration, database, policy).GrantExceptionAsync(grant, request, cancellationToken), cancellationToken);
            if (outcome.Done is not { } row)
            {
                await ChangeCommands.TellWaitingAsync(parsed, json, outcome.Waiting!);
                return Verb.Yes;
            }

            await TellGrantedAsync(parsed, json, row);
            return Verb.Yes;
        });
        return command;
    }

    private static Command End()
    {
        var id = new Argument<long>("ID") { Description = "Its number, as imageaccess exceptions list shows it." };
        var reason = new Option<string?>("--reason") { Description = "Why, for the list and the audit trail.", HelpName = "TEXT" };
        var (by, ticket, file, json) = (ChangeCommands.By(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("end", "Ends an exception.") { id, reason, ticket, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is not null)
            {
                var because = new Because(parsed.GetValue(reason) ?? "no reason given") { Ticket = parsed.GetValue(ticket) };
                var ended = await api.PostAsync<ExceptionFacts>(string.Create(CultureInfo.InvariantCulture, $"exceptions/{parsed.GetValue(id)}/end"), because, cancellationToken);
                await TellEndedAsync(parsed, json, ended.ToRow());
                return Verb.Yes;
            }

            var configuration = Verb.Configuration(parsed.GetValue(file));
            var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason) ?? "") { Ticket = parsed.GetValue(ticket) };
            var row = await ChangeCommands.ChangeAsync(
                database, () => ChangeCommands.Desk(configuration, database).EndExceptionAsync(parsed.GetValue(id), request, cancellationToken), cancellationToken);
            await TellEndedAsync(parsed, json, row);
            return Verb.Yes;
        });
        return command;
    }

    private static Command List()
    {
        var organization = new Option<string?>("--organization") { Description = "Of this organization alone.", HelpName = "ORG" };
        var ended = new Option<bool>("--ended") { Description = "Those that are over instead." };
        var unused = new Option<bool>("--unused") { Description = "Those alone that nobody has used for 90 days." };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists the exceptions in force, those first that nobody has used.") { organization, ended, unused, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (name, isEnded) = (parsed.GetValue(organization), parsed.GetValue(ended));
            if (isEnded && parsed.GetValue(unused))
                throw new MisuseException("--ended and --unused exclude each other: choose one of them");
            var list = isEnded ? ExceptionList.Ended : parsed.GetValue(unused) ? ExceptionList.Unused : ExceptionList.InForce;
            using var api = server.Find(parsed, file);
            var (rows, document) = api is not null
                ? (await ListAsync(api, name, list, cancellationToken), new ExceptionsDocument())
                : await ListAsync(parsed.GetValue(file), name, list, cancellationToken);
            if (!isEnded)
                rows = [.. rows.OrderBy(row => row.LastUsed ?? DateTimeOffset.MinValue).ThenBy(row => row.Id)];

            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Exceptions = rows.Select(Facts) });
            else if (rows.Count == 0)
                await output.WriteLineAsync(Nothing(list));
            else
                await WriteAsync(output, rows, isEnded, document);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<List<ExceptionRow>> ListAsync(ServerApi api, string? organization, ExceptionList list, CancellationToken cancellationToken) =>
        [.. (await api.ListAsync<ExceptionFacts>("exceptions", cancellationToken, ("organization", organization), ("ended", list == ExceptionList.Ended ? "true" : null), ("unused", list == ExceptionList.Unused ? "true" : null))).Select(facts => facts.ToRow())];

    private static async Task<(List<ExceptionRow> Rows, ExceptionsDocument Document)> ListAsync(string? file, string? organization, ExceptionList list, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        var now = TimeProvider.System.GetUtcNow();
        var rows = await DatabaseCommands.ReadAsync(
            ChangeCommands.Open(file, configuration), context => new ExceptionTable(context).ListAsync(organization, list, now, cancellationToken), cancellationToken);
        return (rows, await DocumentOfAsync(configuration, cancellationToken));
    }

    private static string Nothing(ExceptionList list) => list switch
    {
        ExceptionList.Ended => "no exception is over",
        ExceptionList.Unused => "no exception in force was unused for 90 days",
        _ => "no exception is in force",
    };

    private static async Task WriteAsync(TextWriter output, IReadOnlyList<ExceptionRow> rows, bool isEnded, ExceptionsDocument document)
    {
        await Table(rows, isEnded, document).WriteAsync(output);
        if (!isEnded && document.Forbidden)
            await output.WriteLineAsync("the policy allows no exceptions (exceptions.allowed): none of them opens anything");
    }

    /// <summary>What the policy says of exceptions; nothing where there is no policy that could be in force, which is no matter of a list.</summary>
    private static async Task<ExceptionsDocument> DocumentOfAsync(IConfiguration configuration, CancellationToken cancellationToken)
    {
        try
        {
            return (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy.Document.Exceptions;
        }
        catch (OptionsValidationException)
        {
            return new ExceptionsDocument();
        }
    }

    private static TextTable Table(IReadOnlyList<ExceptionRow> rows, bool isEnded, ExceptionsDocument document)
    {
        var table = new TextTable(">ID", "ORGANIZATION", isEnded ? "ENDED" : "UNTIL", ">USES", "LAST USED", "IMAGE");
        foreach (var row in rows)
        {
            table.Add(
                row.Id.ToString(CultureInfo.InvariantCulture),
                row.Organization,
                isEnded ? Time(row.Ended ?? row.Until) ?? "-" : Time(row.Until) ?? "no end",
                row.Uses.ToString(CultureInfo.InvariantCulture),
                Time(row.LastUsed) ?? "never",
                row.Follow ? $"{row.Image} (whatever it comes to)" : row.Image);
            if (row.Digest is not null)
                table.Command($"as {row.Digest}");
            table.Note($"{row.Reason} ({(row.AskedBy is null ? "" : $"asked by {row.AskedBy}, ")}granted {Time(row.Since)} by {row.ApprovedBy})");
            if (!isEnded && ExceptionTable.Parse(row, out _)?.EndUnder(document) is { } end && end != row.Until)
                table.Note($"the policy ends it {Time(end)} (exceptions.maximumDays)");
            if (row.Ended is not null)
                table.Note($"ended by {row.EndedBy}{(row.EndedReason is null ? "" : $": {row.EndedReason}")}");
        }

        return table;
    }

    /// <summary>When it ends. A last day that the policy's longest time ends in ends with that.</summary>
    internal static DateTimeOffset? ReadEnd(string? duration, string? until, ExceptionsDocument document, DateTimeOffset now, out string? problem)
    {
        problem = null;
        if (duration is not null && until is not null)
        {
            problem = "--until and --for exclude each other: choose one of them";
        }
        else if (duration is not null)
        {
            try
            {
                return now + ConfigurationKey.Duration(duration);
            }
            catch (Exception exception) when (exception is FormatException or ArgumentOutOfRangeException)
            {
                problem = exception is FormatException ? $"--for {exception.Message}" : $"--for '{duration}' is too long";
            }
        }
        else if (until is not null)
        {
            if (!DateOnly.TryParseExact(until, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) || day == DateOnly.MaxValue)
            {
                problem = $"--until '{until}' is no day, as 2027-01-31";
                return null;
            }

            var end = new DateTimeOffset(day.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);
            var longest = document.MaximumDays is { } days ? now.AddDays(days) : DateTimeOffset.MaxValue;
            return end > longest && end.AddDays(-1) <= longest ? longest : end;
        }

        return null;
    }

    private static Task TellGrantedAsync(ParseResult parsed, Option<bool> json, ExceptionRow row) => TellAsync(
        parsed, json, new { Granted = Facts(row) }, $"the exception {row.Id} opens {Shown(row)} to {row.Organization} {ExceptionChanges.Words(row.Until)}: {Effect}");

    private static Task TellEndedAsync(ParseResult parsed, Option<bool> json, ExceptionRow row) =>
        TellAsync(parsed, json, new { Ended = Facts(row) }, $"the exception {row.Id} opens {Shown(row)} to {row.Organization} no longer: {Effect}");

    private static async Task TellAsync(ParseResult parsed, Option<bool> json, object facts, string line)
    {
        var output = parsed.InvocationConfiguration.Output;
        await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, facts) : output.WriteLineAsync(TextTable.Plain(line)));
    }

    private static object Facts(ExceptionRow row) => new
    {
        row.Id,
        row.Organization,
        row.Image,
        row.Digest,
        Follow = row.Follow ? true : (bool?)null,
        row.Reason,
        row.Ticket,
        row.AskedBy,
        row.ApprovedBy,
        Since = row.Since.UtcDateTime,
        Until = row.Until?.UtcDateTime,
        Ended = row.Ended?.UtcDateTime,
        row.EndedBy,
        row.EndedReason,
        row.EndedTicket,
        row.Uses,
        LastUsed = row.LastUsed?.UtcDateTime,
    };

    private static string Shown(ExceptionRow row) => row.Digest is null ? row.Image : $"{row.Image} as {row.Digest}";

    private static string? Time(DateTimeOffset? time) => time is { } known ? ExceptionChanges.Minute(known) : null;
}
