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
        var version = new Argument<string?>("VERSION") { Description = "Print the document of this version, byte for byte.", Arity = ArgumentArity.ZeroOrOne };
        var count = Verb.Last("The newest versions alone", PolicyVersions.MaximumListed);
        var organization = new Option<string?>("--organization") { Description = "The versions alone that changed the section of this organization.", HelpName = "ORG" };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("history", "Lists the versions of the policy that came into force, or prints one. Exit code 1 when there is no such version.")
        {
            version, count, organization, json, file,
        };
        Verb.SetAction(command, (parsed, cancellationToken) =>
        {
            var database = DatabaseCommands.Open(parsed.GetValue(file));
            var output = parsed.InvocationConfiguration.Output;
            return parsed.GetValue(version) is { } wanted
                ? PrintAsync(parsed.InvocationConfiguration, database, wanted, parsed.GetValue(json), cancellationToken)
                : ListAsync(output, database, parsed.GetValue(organization), parsed.GetValue(count), parsed.GetValue(json), cancellationToken);
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

    private static async Task<int> ListAsync(TextWriter output, SqlDatabase database, string? organization, int count, bool json, CancellationToken cancellationToken)
    {
        var rows = await ReadAsync(
            database,
            versions => organization is null ? versions.ListAsync(count, cancellationToken) : versions.ListAsync(organization, count, cancellationToken),
            cancellationToken);
        if (json)
        {
            await Verb.WriteJsonAsync(output, rows.Select(Facts));
            return Verb.Yes;
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
        return Verb.Yes;
    }

    private static async Task<int> PrintAsync(
        InvocationConfiguration invocation, SqlDatabase database, string version, bool json, CancellationToken cancellationToken)
    {
        if (await FindAsync(database, version, cancellationToken) is not { } row)
        {
            await invocation.Error.WriteLineAsync(TextTable.Plain($"imageaccess: no version {version} of the policy is in the history"));
            return Verb.No;
        }

        if (json)
            await Verb.WriteJsonAsync(invocation.Output, Facts(row));
        else
            await invocation.Output.WriteAsync(Encoding.UTF8.GetString(row.Document));
        return Verb.Yes;
    }

    private static Task<T> ReadAsync<T>(SqlDatabase database, Func<PolicyVersions, Task<T>> read, CancellationToken cancellationToken) =>
        DatabaseCommands.FindAsync(database, context => read(new PolicyVersions(context)), cancellationToken);
}
