using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Incidents;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Content.Serving;
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
            images, since, organization, top, csv, json, file,
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
        var (database, options) = UsageCommands.Open(file);
        var (store, kept, blocks) = (UsageStore.Of(database), KeptOnDisk.Open(configuration), new BlocksOnDisk(PolicyStoreOptions.Of(configuration)).Find().ToBlocks());
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
