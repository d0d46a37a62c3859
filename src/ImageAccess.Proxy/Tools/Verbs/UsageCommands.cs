using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess usage …</c>: who pulls what. It uses the database itself, beside a proxy that runs or without one.</summary>
internal static class UsageCommands
{
    public static Command Build() => new("usage", "Brings audit files into the database of who pulls what.")
    {
        Import(),
    };

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
            var (database, options) = (DatabaseCommands.Open(parsed.GetValue(file)), UsageOptions.Of(Verb.Configuration(parsed.GetValue(file))));
            if (options.Faults().ToList() is { Count: > 0 } faults)
                throw new MisuseException(faults);
            if (database is SqliteDatabase sqlite)
                Verb.DemandDataDirectory(Path.GetDirectoryName(sqlite.Path)!);
            var paths = parsed.GetValue(files)!.Select(Path.GetFullPath).ToList();
            if (paths.Find(path => !File.Exists(path)) is { } missing)
                throw new MisuseException($"{Verb.Shown(missing)} does not exist");
            var (line, imported) = (new ProgressLine(TimeProvider.System, parsed.InvocationConfiguration.Error), new List<ImportedFile>());
            var output = parsed.InvocationConfiguration.Output;
            foreach (var path in paths)
            {
                var result = await ImportAsync(path, database, options, line, cancellationToken);
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

    private static async Task<ImportedFile> ImportAsync(string path, SqlDatabase database, UsageOptions options, ProgressLine line, CancellationToken cancellationToken)
    {
        var store = UsageStore.Of(database);
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

    private static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
