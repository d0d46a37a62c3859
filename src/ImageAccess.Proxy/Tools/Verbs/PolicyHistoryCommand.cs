using System.CommandLine;
using System.Globalization;
using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess policy history</c>: which documents were in force, since when, and what each changed.</summary>
internal static class PolicyHistoryCommand
{
    public static Command Build()
    {
        var version = new Argument<string?>("VERSION") { Description = "Print the document of this version, byte for byte; with --organization that organization's section of it.", Arity = ArgumentArity.ZeroOrOne };
        var count = Verb.Last("The newest versions alone", PolicyVersions.MaximumListed);
        var organization = new Option<string?>("--organization") { Description = "The versions alone that changed the section of this organization.", HelpName = "ORG" };
        var (file, json, server) = (Verb.ConfigurationFile(), Verb.Json(), new ServerOptions());
        var command = new Command("history", "Lists the versions of the policy that came into force, or prints one. Exit code 1 when there is no such version.")
        {
            version, count, organization, json, file,
        };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            var name = parsed.GetValue(organization);
            if (parsed.GetValue(version) is { } wanted)
            {
                return await (api is not null
                    ? PrintAsync(parsed, new ServerPolicy(api, name), wanted, parsed.GetValue(json), cancellationToken)
                    : PrintAsync(parsed, DatabaseCommands.Open(parsed.GetValue(file)), wanted, name, parsed.GetValue(json), cancellationToken));
            }

            var rows = api is not null
                ? await new ServerPolicy(api, name).ListAsync(parsed.GetValue(count), cancellationToken)
                : await ReadAsync(
                    DatabaseCommands.Open(parsed.GetValue(file)),
                    versions => name is null ? versions.ListAsync(parsed.GetValue(count), cancellationToken) : versions.ListAsync(name, parsed.GetValue(count), cancellationToken),
                    cancellationToken);
            await WriteAsync(parsed.InvocationConfiguration.Output, rows, parsed.GetValue(json));
            return Verb.Yes;
        });
        return command;
    }

    public static object Facts(PolicyVersionRow row) => new
    {
        row.Version,
        row.PreviousVersion,
        Since = row.Since.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        row.Who,
        row.Why,
        row.Ticket,
        row.Opens,
        row.TakesBack,
        Document = row.Document.Length == 0 ? null : Encoding.UTF8.GetString(row.Document),
    };

    /// <summary>A version with its document; null where there is none.</summary>
    public static Task<PolicyVersionRow?> FindAsync(SqlDatabase database, string version, CancellationToken cancellationToken) =>
        ReadAsync(database, versions => versions.FindAsync(version, cancellationToken), cancellationToken);

    private static async Task WriteAsync(TextWriter output, IReadOnlyList<PolicyVersionRow> rows, bool json)
    {
        if (json)
        {
            await Verb.WriteJsonAsync(output, rows.Select(Facts));
            return;
        }

        var table = new TextTable("VERSION", "SINCE", "WHO", "WHY");
        foreach (var row in rows)
        {
            table.Add(row.Version, row.Since.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture), row.Who ?? "-", row.Why);
            foreach (var opened in row.Opens)
                table.Note($"opens: {opened}");
            foreach (var taken in row.TakesBack)
                table.Note($"takes back: {taken}");
        }

        await table.WriteAsync(output);
    }

    private static async Task<int> PrintAsync(
        ParseResult parsed, SqlDatabase database, string version, string? organization, bool json, CancellationToken cancellationToken)
    {
        if (await FindAsync(database, version, cancellationToken) is { } row)
            return await PrintAsync(parsed, row with { Document = PolicyEditCommands.PartOf(row.Document, organization) }, json);
        await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: no version {version} of the policy is in the history"));
        return Verb.No;
    }

    private static async Task<int> PrintAsync(ParseResult parsed, ServerPolicy policy, string version, bool json, CancellationToken cancellationToken)
    {
        try
        {
            var document = (await policy.FindAsync(version, cancellationToken)).Bytes;
            var row = json ? (await policy.ListAsync(PolicyVersions.MaximumListed, cancellationToken)).FirstOrDefault(row => row.Version == version) : null;
            return await PrintAsync(parsed, (row ?? new PolicyVersionRow { Id = "", Version = version, Document = [], Why = "" }) with { Document = document }, json);
        }
        catch (NotThereException missing)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: {missing.Message}"));
            return Verb.No;
        }
    }

    private static async Task<int> PrintAsync(ParseResult parsed, PolicyVersionRow row, bool json)
    {
        var output = parsed.InvocationConfiguration.Output;
        await (json ? Verb.WriteJsonAsync(output, Facts(row)) : output.WriteAsync(Encoding.UTF8.GetString(row.Document)));
        return Verb.Yes;
    }

    private static Task<T> ReadAsync<T>(SqlDatabase database, Func<PolicyVersions, Task<T>> read, CancellationToken cancellationToken) =>
        DatabaseCommands.FindAsync(database, context => read(new PolicyVersions(context)), cancellationToken);
}
