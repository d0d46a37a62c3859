using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess usage …</c>: who pulls what. It uses the database itself, beside a proxy that runs or without one.</summary>
internal static class UsageCommands
{
    public static Command Build()
    {
        var by = new Option<string?>("--by") { Description = $"What to count by: {string.Join(", ", UsageQuestion.Bys)}.", HelpName = "WHAT" };
        var denied = new Option<bool>("--denied") { Description = "Denied requests alone." };
        var since = new Option<string?>("--since") { Description = $"Of the last days or hours, as 30d or 12h; {UsageQuestion.DefaultSince} by default. Days begin at midnight, UTC.", HelpName = "TIME" };
        var organization = new Option<string?>("--organization") { Description = "Of callers whom it judged.", HelpName = "ORG" };
        var top = new Option<int>("--top")
        {
            Description = $"The most frequent values alone, at most {UsageAnswer.MaximumLimit}.",
            HelpName = "COUNT",
            DefaultValueFactory = _ => UsageAnswer.DefaultLimit,
        };
        top.Validators.Add(result =>
        {
            if (result.GetValue(top) is < 1 or > UsageAnswer.MaximumLimit)
                result.AddError($"--top: choose a number from 1 to {UsageAnswer.MaximumLimit}");
        });
        var csv = new Option<bool>("--csv") { Description = "Print CSV (RFC 4180) that a spreadsheet runs nothing of." };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("usage", "Counts what was pulled and denied, from the database of decisions; brings audit files into it.") { by, denied, since, organization, top, csv, json, file, Import(), UsageReviewCommand.Build(), UsageCoverage.Build(), UsageForgetting.Build() };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(csv) && parsed.GetValue(json))
                throw new MisuseException("--csv does not go with --json");
            using var api = server.Find(parsed, file);
            var (what, isDenied, time, name, limit) =
                (parsed.GetValue(by), parsed.GetValue(denied), parsed.GetValue(since) ?? UsageQuestion.DefaultSince, parsed.GetValue(organization), parsed.GetValue(top));
            var answer = api is not null
                ? await api.GetAsync<UsageAnswer>(
                    "usage" + RunningProxy.Query(
                        ("by", what), ("denied", isDenied ? "true" : null), ("since", time), ("organization", name), ("limit", limit.ToString(CultureInfo.InvariantCulture))),
                    cancellationToken)
                : await AskAsync(parsed.GetValue(file), what, time, new UsageFilter { Organization = name, Outcome = isDenied ? "deny" : null }, limit, cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, answer);
            else if (parsed.GetValue(csv))
                await Csv.WriteAsync(output, [[answer.By, "decisions", "pulls"], .. answer.Items.Select(one => new[] { one.Value, Plain(one.Decisions), Plain(one.Pulls) })]);
            else
                await WriteAsync(output, answer);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<UsageAnswer> AskAsync(string? file, string? by, string since, UsageFilter words, int limit, CancellationToken cancellationToken)
    {
        var (now, question) = (TimeProvider.System.GetUtcNow(), new UsageQuestion());
        var kind = question.About(words).Since(since, now).By(by);
        if (question.Faults.Count > 0)
            throw new MisuseException([.. question.Faults.Select(fault => $"--{fault.Member} {fault.Fault}")]);
        var (database, store, options) = Open(file);
        try
        {
            return await UsageAnswer.AskAsync(store, question.Filter, kind, limit, UsageDays.At(now, options), cancellationToken);
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

    private static async Task WriteAsync(TextWriter output, UsageAnswer answer)
    {
        if (answer.Items.Count == 0)
        {
            await output.WriteLineAsync("no such decision is kept of that time");
        }
        else
        {
            var table = new TextTable(">DECISIONS", ">PULLS", answer.By.ToUpperInvariant());
            foreach (var one in answer.Items)
                table.Add(Number(one.Decisions), Number(one.Pulls), one.Value.Length == 0 ? "-" : one.Value);
            table.Note($"{TextTable.Count(answer.Decisions, "decision")} and {TextTable.Count(answer.Pulls, "pull")} in all"
                + (answer.Values > answer.Items.Count ? $", of {TextTable.Count(answer.Values, "value")}: --top shows more" : ""));
            await table.WriteAsync(output);
        }

        if (answer.KeptSince is { } day)
            await output.WriteLineAsync($"this is kept since {day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}: Usage:Keep and Usage:KeepCounts");
    }

    /// <exception cref="MisuseException">The configuration is wrong, or the database is not there.</exception>
    public static (SqlDatabase Database, UsageStore Store, UsageOptions Options) Open(string? file)
    {
        var (database, configuration) = (DatabaseCommands.Open(file), Verb.Configuration(file));
        var options = UsageOptions.Of(configuration);
        if (options.Faults().ToList() is { Count: > 0 } faults)
            throw new MisuseException(faults);
        if (database is SqliteDatabase sqlite)
            Verb.DemandDataDirectory(Path.GetDirectoryName(sqlite.Path)!);
        return (database, UsageStore.Of(database, KeyOf(configuration)), options);
    }

    public static KeyFile KeyOf(IConfiguration configuration) => new(configuration[KeyFile.Setting], configuration["Data:Directory"] ?? "");

    private static Command Import()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var files = new Argument<string[]>("FILE")
        {
            Description = "Files of an audit trail, also packed with gzip. A second time changes nothing.",
            Arity = ArgumentArity.OneOrMore,
        };
        var command = new Command("import", "Brings the decisions of audit files into the database, also while a proxy uses it. Exit code 1 when a line is no event, or a file cannot be read to its end.")
        {
            files, file, json,
        };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (database, store, options) = Open(parsed.GetValue(file));
            var paths = parsed.GetValue(files)!.Select(Path.GetFullPath).ToList();
            if (paths.Find(path => !File.Exists(path)) is { } missing)
                throw new MisuseException($"{Verb.Shown(missing)} does not exist");
            var (line, imported) = (new ProgressLine(TimeProvider.System, parsed.InvocationConfiguration.Error), new List<ImportedFile>());
            var output = parsed.InvocationConfiguration.Output;
            foreach (var path in paths)
            {
                var result = await ImportAsync(path, database, store, options, line, cancellationToken);
                imported.Add(result);
                if (!parsed.GetValue(json))
                    await output.WriteLineAsync(TextTable.Plain($"{Verb.Shown(path)}: {Words(result)}"));
            }

            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, imported);
            return imported.TrueForAll(one => one is { Malformed: 0, TooLong: 0, IsCut: false, Failure: null }) ? Verb.Yes : Verb.No;
        });
        return command;
    }

    private static async Task<ImportedFile> ImportAsync(
        string path, SqlDatabase database, UsageStore store, UsageOptions options, ProgressLine line, CancellationToken cancellationToken)
    {
        try
        {
            return await UsageImport.ReadAsync(
                path,
                store,
                () => UsageDays.At(TimeProvider.System.GetUtcNow(), options),
                (sofar, read, length) => line.Report($"{Path.GetFileName(path)}: {(length == 0 ? 100 : read * 100 / length)} % read, {sofar.Added} decisions added"),
                cancellationToken);
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or FileNotFoundException))
        {
            throw new MisuseException($"{DatabaseCommands.Shown(database)}: {store.Name} {store.Explain(exception)}; import {Verb.Shown(path)} again, nothing is doubled");
        }
    }

    private static string Words(ImportedFile file)
    {
        var parts = new List<string> { $"{Number(file.Added)} decisions added" };
        Add(file.Known, "there already");
        Add(file.Others, "other events");
        Add(file.Old, "older than Usage:Keep");
        Add(file.Future, "of a day that has not come");
        Add(file.Malformed + file.TooLong, $"lines are no event (line {string.Join(", ", file.Flawed)}{(file.Malformed + file.TooLong > file.Flawed.Count ? ", …" : "")})");
        if (file.IsCut)
            parts.Add("the last line is cut");
        if (file.Failure is not null)
            parts.Add($"cannot be read to its end: {file.Failure}");
        return string.Join("; ", parts);

        void Add(long count, string what)
        {
            if (count > 0)
                parts.Add($"{Number(count)} {what}");
        }
    }

    private static string Plain(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
