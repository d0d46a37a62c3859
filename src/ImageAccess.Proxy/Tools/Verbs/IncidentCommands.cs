using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Incidents;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess incident …</c>: who pulled images that turn out to be bad.</summary>
internal static class IncidentCommands
{
    public static Command Build()
    {
        var images = Images();
        var since = new Option<string?>("--since") { Description = $"Of the last days or hours, as 30d or 12h; {UsageQuestion.DefaultSince} by default. Days begin at midnight, UTC.", HelpName = "TIME" };
        var organization = new Option<string?>("--organization") { Description = "Of callers whom it judged.", HelpName = "ORG" };
        var top = new Option<int>("--top")
        {
            Description = $"The newest lines alone, at most {IncidentAnswer.MaximumLimit}.",
            HelpName = "COUNT",
            DefaultValueFactory = _ => IncidentAnswer.DefaultLimit,
        };
        top.Validators.Add(result =>
        {
            if (result.GetValue(top) is < 1 or > IncidentAnswer.MaximumLimit)
                result.AddError($"--top: choose a number from 1 to {IncidentAnswer.MaximumLimit}");
        });
        var csv = new Option<bool>("--csv") { Description = "Print CSV (RFC 4180) that a spreadsheet runs nothing of." };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("incident", "Tells who pulled images that turn out to be bad, from which machine and when, and what is kept of them here.")
        {
            images, since, organization, top, csv, json, file, Block(),
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(csv) && parsed.GetValue(json))
                throw new MisuseException("--csv does not go with --json");
            using var api = server.Find(parsed, file);
            var wanted = new IncidentOperations.Wanted(parsed.GetValue(images)!)
            {
                Organization = parsed.GetValue(organization),
                Since = parsed.GetValue(since) ?? UsageQuestion.DefaultSince,
                Limit = parsed.GetValue(top),
            };
            var answer = api is not null
                ? await api.PostAsync<IncidentAnswer>("incidents/pulls", wanted, cancellationToken)
                : await AskAsync(parsed.GetValue(file), wanted, cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, answer);
            else if (parsed.GetValue(csv))
                await Csv.WriteAsync(output, answer.ToRows());
            else
                await WriteAsync(output, answer);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Block()
    {
        var (images, file, json, by, ticket) = (Images(), Verb.ConfigurationFile(), Verb.Json(), ChangeCommands.By(), ChangeCommands.Ticket());
        var reason = new Option<string>("--reason") { Description = "Why; whoever is denied reads it.", HelpName = "TEXT", Required = true };
        var tell = new Option<bool>("--tell") { Description = "With --server: tell those who pulled it in the last 30 days, by mail where a member list has their address." };
        var command = new Command("block", "Denies images to everybody, all of them or none, and makes every proxy forget what it keeps of them.") { images, reason, ticket, tell, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is null && parsed.GetValue(tell))
                throw new MisuseException("--tell goes with --server: the running proxy knows whom to tell");
            var output = parsed.InvocationConfiguration.Output;
            if (api is not null)
            {
                var wanted = new IncidentOperations.Blocking(parsed.GetValue(images)!, parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket), Tell = parsed.GetValue(tell) };
                var blocked = await api.PostAsync<IncidentBlocked>("incidents/block", wanted, cancellationToken);
                await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, blocked) : WriteAsync(output, blocked, api.Source));
                return Verb.Yes;
            }

            var configuration = Verb.Configuration(parsed.GetValue(file));
            Verb.DemandDataDirectory(configuration["Data:Directory"]!);
            var read = Read(parsed.GetValue(images)!);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var desk = ChangeCommands.Desk(configuration, SqlDatabase.Of(DatabaseOptions.Of(configuration)));
            var blocks = await ChangeCommands.ChangeAsync(() => desk.BlockAsync(read, forgets: true, request, cancellationToken));
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new { Blocked = blocks.Select(BlockFacts.Of) });
                return Verb.Yes;
            }

            var path = Verb.Shown(PolicyStoreOptions.Of(configuration).BlocksPath);
            foreach (var block in blocks)
                await output.WriteLineAsync(TextTable.Plain($"{block.Pattern} is blocked (block {block.Id} in {path}): a running proxy enforces it within a second, and forgets what it keeps"));
            return Verb.Yes;
        });
        return command;
    }

    private static async Task WriteAsync(TextWriter output, IncidentBlocked blocked, string source)
    {
        foreach (var image in blocked.Images)
        {
            var (callers, machines) = (TextTable.Count(image.Callers ?? 0, "caller"), TextTable.Count(image.Machines ?? 0, "machine"));
            var pulled = image.Pulls is null ? "" : $"; {TextTable.Count(image.Pulls.Value, "pull")} in {IncidentDesk.Days} days, by {callers} from {machines}";
            await output.WriteLineAsync(TextTable.Plain($"{image.Image} is blocked (block {image.Block} of {source}); {Kept(new KeptSize(image.Contents, image.Bytes))} removed there{pulled}"));
        }

        if (blocked.Told is { } told)
        {
            var receivers = told.Receivers ? "the configured receivers" : "no configured receiver";
            await output.WriteLineAsync($"told: {receivers}, {TextTable.Count(told.Pullers, "caller")} by mail; {TextTable.Count(told.NotTold, "caller")} not");
        }

        foreach (var problem in blocked.Problems)
            await output.WriteLineAsync(TextTable.Plain(problem));
    }

    private static Argument<string[]> Images() => new("IMAGE")
    {
        Description = "As block names it: nginx@sha256:… or sha256:… for a digest; nginx:1.27 for a tag; nginx for a repository; bitnami/* for a publisher.",
        Arity = ArgumentArity.OneOrMore,
    };

    /// <exception cref="MisuseException">Some are no images.</exception>
    private static IReadOnlyList<ImagePattern> Read(IReadOnlyList<string?> images)
    {
        var read = IncidentQuestion.Read(images, out var faults);
        return faults.Count == 0 ? read : throw new MisuseException([.. faults.Select(fault => fault.Member == "images" ? $"{fault.Member} {fault.Fault}" : fault.Fault)]);
    }

    private static async Task<IncidentAnswer> AskAsync(string? file, IncidentOperations.Wanted wanted, CancellationToken cancellationToken)
    {
        var (now, question, images, configuration) = (TimeProvider.System.GetUtcNow(), new UsageQuestion(), Read(wanted.Images), Verb.Configuration(file));
        question.Since(wanted.Since!, now).About(new UsageFilter { Organization = wanted.Organization });
        if (question.Faults.Count > 0)
            throw new MisuseException([.. question.Faults.Select(fault => $"--{fault.Member} {fault.Fault}")]);
        var (database, store, options) = UsageCommands.Open(file);
        var (kept, blocks) = (KeptOnDisk.Open(configuration), new BlocksOnDisk(PolicyStoreOptions.Of(configuration)).Find().ToBlocks());
        try
        {
            return await IncidentAnswer.AskAsync(store, images, question.Filter, wanted.Limit!.Value, UsageDays.At(now, options), LookAsync, cancellationToken);
        }
        catch (TooManyPullsException exception)
        {
            throw new MisuseException(exception.Message);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw new MisuseException($"{DatabaseCommands.Shown(database)}: {store.Name} {store.Explain(exception)}");
        }

        async Task<(bool, KeptSize?)> LookAsync(ImagePattern image) => (
            (image.Asked is { } asked ? blocks.Find(asked) : blocks.Find(image)) is not null,
            kept is null ? new KeptSize(0, 0) : await kept.MeasureAsync(image, cancellationToken));
    }

    private static async Task WriteAsync(TextWriter output, IncidentAnswer answer)
    {
        var summary = new TextTable(">PULLS", ">DENIED", ">CALLERS", ">MACHINES", "LAST", "KEPT HERE", "BLOCKED", "IMAGE");
        foreach (var image in answer.Images)
        {
            summary.Add(
                Number(image.Pulls), Number(image.Denied), Number(image.Callers), Number(image.Machines), image.Last is { } last ? Minute(last) : "-", Kept(image.Kept),
                image.Blocked ? "yes" : "no", image.Image);
        }

        await summary.WriteAsync(output);
        if (answer.Pulls.Count > 0)
        {
            await output.WriteLineAsync();
            var table = new TextTable("LAST", ">PULLS", "OUTCOME", "CALLER", "CLIENT", "BY", "PULLED");
            foreach (var pull in answer.Pulls)
            {
                table.Add(
                    Minute(pull.Last), Number(pull.Pulls), pull.Outcome, pull.Caller, pull.Client ?? "-", $"{pull.ClientFamily}, {pull.WayIn}",
                    $"{pull.Repository}{(pull.Reference is null ? "" : pull.Reference.Contains(':', StringComparison.Ordinal) ? $"@{pull.Reference}" : $":{pull.Reference}")}");
            }

            if (answer.Rows > answer.Pulls.Count)
                table.Note($"and {TextTable.Count(answer.Rows - answer.Pulls.Count, "older line")}: --top shows more, --json and --csv too");
            await table.WriteAsync(output);
        }

        if (answer.KeptSince is { } day)
            await output.WriteLineAsync($"single decisions are kept since {day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}: Usage:Keep");
    }

    private static string Kept(KeptSize? kept) => kept switch
    {
        null => "unknown",
        { Contents: 0 } => "nothing",
        _ => $"{TextTable.Count(kept.Contents, "content")}, {CacheCommands.Size(kept.Bytes)}",
    };

    private static string Minute(DateTime time) => time.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
