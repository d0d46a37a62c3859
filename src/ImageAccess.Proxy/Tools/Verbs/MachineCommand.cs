using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess machines</c>: who came in from where, and what the doctor found there.</summary>
internal static class MachineCommand
{
    private const int NamesShown = 3;

    public static Command Build()
    {
        var since = new Option<string>("--since") { Description = "Of the last days, as 30d. Days begin at midnight, UTC.", HelpName = "TIME", DefaultValueFactory = _ => UsageQuestion.DefaultSince };
        var organization = new Option<string?>("--organization") { Description = "Of callers whom it judged.", HelpName = "ORG" };
        var wayIn = new Option<string?>("--way-in") { Description = "Those alone that came in by mirror, gateway or forward-proxy.", HelpName = "WAY" };
        var client = new Option<string?>("--client") { Description = "Those alone with this kind of client, as docker or containerd.", HelpName = "FAMILY" };
        var anonymous = new Option<bool>("--anonymous") { Description = "Those alone where nobody is signed in." };
        var fallsBack = new Option<bool>("--falls-back") { Description = "Those alone that fall back to Docker Hub, as imageaccess doctor --report told." };
        var top = new Option<int>("--top")
        {
            Description = $"Those alone that were seen last, at most {MachineQuestion.MaximumLimit}.",
            HelpName = "COUNT",
            DefaultValueFactory = _ => MachineQuestion.DefaultLimit,
        };
        top.Validators.Add(result =>
        {
            if (result.GetValue(top) is < 1 or > MachineQuestion.MaximumLimit)
                result.AddError($"--top: choose a number from 1 to {MachineQuestion.MaximumLimit}");
        });
        var (csv, json, file) = (new Option<bool>("--csv") { Description = "Print CSV (RFC 4180) that a spreadsheet runs nothing of." }, Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("machines", "Tells which machines came in, how, with which client, signed in or not, and what the doctor found there.")
        {
            since, organization, wayIn, client, anonymous, fallsBack, top, csv, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(csv) && parsed.GetValue(json))
                throw new MisuseException("--csv does not go with --json");
            using var api = server.Find(parsed, file);
            var words = new UsageFilter { Organization = parsed.GetValue(organization), WayIn = parsed.GetValue(wayIn), Family = parsed.GetValue(client) };
            var (time, limit, onlyAnonymous, onlyFallsBack) = (parsed.GetValue(since)!, parsed.GetValue(top), parsed.GetValue(anonymous), parsed.GetValue(fallsBack));
            var machines = api is not null
                ? await api.ListAsync<Machine>(
                    "machines",
                    limit,
                    cancellationToken,
                    ("since", time),
                    ("organization", words.Organization),
                    ("wayIn", words.WayIn),
                    ("clientFamily", words.Family),
                    ("anonymous", onlyAnonymous ? "true" : null),
                    ("fallsBack", onlyFallsBack ? "true" : null))
                : await AskAsync(parsed.GetValue(file), time, words, onlyAnonymous, onlyFallsBack, limit, cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Machines = machines });
            else if (parsed.GetValue(csv))
                await Csv.WriteAsync(output, Machine.ToRows(machines));
            else
                await WriteAsync(output, machines);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<IReadOnlyList<Machine>> AskAsync(
        string? file, string since, UsageFilter words, bool anonymous, bool fallsBack, int limit, CancellationToken cancellationToken)
    {
        var question = new UsageQuestion().About(words).SinceDays(since, TimeProvider.System.GetUtcNow());
        if (question.Faults.Count > 0)
            throw new MisuseException([.. question.Faults.Select(fault => $"{OptionOf(fault.Member)} {fault.Fault}")]);
        var (database, store, _) = UsageCommands.Open(file);
        try
        {
            var found = await new MachineQuestion(question.Filter, anonymous, fallsBack).AskAsync(store, cancellationToken);
            return await MachineQuestion.FillAsync(store, [.. found.Take(limit)], cancellationToken);
        }
        catch (TooManyValuesException exception)
        {
            throw new MisuseException(exception.Message);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw new MisuseException($"{DatabaseCommands.Shown(database)}: {store.Name} {store.Explain(exception)}");
        }
    }

    private static string OptionOf(string member) => member switch
    {
        "wayIn" => "--way-in",
        "clientFamily" => "--client",
        _ => $"--{member}",
    };

    private static async Task WriteAsync(TextWriter output, IReadOnlyList<Machine> machines)
    {
        if (machines.Count == 0)
        {
            await output.WriteLineAsync("no such machine was seen in that time");
            return;
        }

        var table = new TextTable("ADDRESS", "CLIENT", "WAY IN", ">PULLS", ">NOT SIGNED IN", "LAST SEEN", "FALLS BACK", "CALLERS");
        foreach (var machine in machines)
        {
            table.Add(
                machine.Address,
                machine.ClientFamily ?? "-",
                machine.WaysIn.Count == 0 ? "-" : string.Join(' ', machine.WaysIn),
                machine.Pulls.ToString("N0", CultureInfo.InvariantCulture),
                machine.Decisions == 0 ? "-" : machine.Share.ToString("0.# %", CultureInfo.InvariantCulture),
                machine.Last?.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) ?? "-",
                machine.FallsBack switch { true => "yes", false => "no", null => "not told" },
                machine.Names.Count == 0 ? "-" : string.Join(", ", machine.Names.Take(NamesShown)) + (machine.Callers > NamesShown ? $" and {machine.Callers - NamesShown} more" : ""));
            if (machine.LastReport is { Open: > 0 } report)
                table.Note($"{report.Name}: {TextTable.Count(report.Open, "way")} past the policy, told {report.Time.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)}");
        }

        await table.WriteAsync(output);
    }
}
