using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess denials …</c>: what was denied in the last 30 days, to whom and why; by the id that the client was told.</summary>
internal static class DenialCommands
{
    public static Command Build() => new("denials", "Lists what was denied in the last 30 days, and shows one denial by the id that its client was told.")
    {
        List(), Show(),
    };

    private static Command List()
    {
        var organization = new Option<string?>("--organization") { Description = "Those of callers who were judged under it.", HelpName = "ORG" };
        var caller = new Option<string?>("--caller") { Description = "Those of this caller.", HelpName = "NAME" };
        var count = Verb.Last("The newest alone", DenialTable.MaximumListed);
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists denials, the newest first. Those that were merged have one line, under the id of the first.") { organization, caller, count, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (name, person, most) = (parsed.GetValue(organization), parsed.GetValue(caller), parsed.GetValue(count));
            using var api = server.Find(parsed, file);
            var rows = api is not null
                ? (await api.ListAsync<DenialFacts>("denials", most, cancellationToken, ("organization", name), ("caller", person))).Select(facts => facts.ToRow()).ToList()
                : await DatabaseCommands.FindAsync(
                    DatabaseCommands.Open(parsed.GetValue(file)), context => new DenialTable(context).ListAsync(name, person, most, cancellationToken), cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Denials = rows.Select(Facts) });
            else if (rows.Count == 0)
                await output.WriteLineAsync("no denial is kept");
            else
                await Table(rows).WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Show()
    {
        var id = new Argument<string>("ID") { Description = "As the client was told it, and the audit trail has it." };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("show", "Shows one denial. Exit code 1 when none is kept under the id.") { id, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var wanted = parsed.GetValue(id)!;
            using var api = server.Find(parsed, file);
            var row = api is not null ? await FindAsync(api, wanted, cancellationToken) : await DatabaseCommands.FindAsync(
                DatabaseCommands.Open(parsed.GetValue(file)), context => new DenialTable(context).FindAsync(wanted, cancellationToken), cancellationToken);
            var invocation = parsed.InvocationConfiguration;
            if (row is null)
            {
                await invocation.Error.WriteLineAsync(TextTable.Plain(
                    $"imageaccess: no denial {wanted} is kept: they are for 30 days; of a client that was denied too much at once the audit trail has the count alone"));
                return Verb.No;
            }

            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(invocation.Output, Facts(row));
            else
                await WriteAsync(invocation.Output, row);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<DenialRow?> FindAsync(ServerApi api, string id, CancellationToken cancellationToken)
    {
        try
        {
            return (await api.GetAsync<DenialFacts>($"denials/{ServerApi.Segment(id)}", cancellationToken)).ToRow();
        }
        catch (NotThereException)
        {
            return null;
        }
    }

    private static TextTable Table(IReadOnlyList<DenialRow> rows)
    {
        var table = new TextTable("TIME", "CALLER", "RULE", "IMAGE");
        foreach (var row in rows)
        {
            table.Add(Time(row), row.Caller ?? "-", row.Rule, row.Image ?? "-");
            table.Command(row.Id);
        }

        return table;
    }

    private static async Task WriteAsync(TextWriter output, DenialRow row)
    {
        foreach (var (name, value) in new[]
        {
            ("denial", row.Id),
            ("time", Time(row)),
            ("caller", row.Caller ?? "nobody signed in"),
            ("client", row.Client ?? "-"),
            ("way in", row.WayIn ?? "-"),
            ("image", row.Image ?? "-"),
            ("rule", row.Rule),
            ("judged by", row.Organizations.Count == 0 ? "-" : string.Join(", ", row.Organizations)),
            ("message", row.Message),
        })
        {
            await output.WriteLineAsync(TextTable.Plain($"{name,-11}{value}"));
        }
    }

    private static string Time(DenialRow row) =>
        DateTimeOffset.FromUnixTimeMilliseconds(row.TimeMilliseconds).UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static object Facts(DenialRow row) => new
    {
        row.Id,
        Time = DateTimeOffset.FromUnixTimeMilliseconds(row.TimeMilliseconds).UtcDateTime,
        row.Caller,
        row.Client,
        row.WayIn,
        row.Repository,
        row.Reference,
        row.Rule,
        row.Organizations,
        row.Message,
    };
}
