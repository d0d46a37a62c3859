using System.CommandLine;
using System.Globalization;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess policy import|apply|revert|export</c>: the policy document of the database. They need no running proxy.</summary>
internal static class PolicyEditCommands
{
    private const string Effect = "a running proxy has it within a second";

    public static IEnumerable<Command> All() => [Import(), Apply(), Revert(), Export()];

    private static Command Import()
    {
        var (document, reason, ticket, by, json, file) = (Document(), Reason(), ChangeCommands.Ticket(), ChangeCommands.By(), Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("import", "Brings a policy document into the database, which is its home from then on.") { document, reason, ticket, by, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var configuration = Verb.Configuration(parsed.GetValue(file));
            var options = PolicyStoreOptions.Of(configuration);
            Verb.DemandDataDirectory(options.DataDirectory);
            if (PolicyHome.Find(options) is { Source: PolicySource.File, Key: { } key })
                throw new MisuseException($"{key} says that the policy document is the file {Verb.Shown(options.DocumentPath)}: leave that key out, and import again");
            PolicyCommands.Compile(parsed.GetValue(document)!);
            var before = await FindBeforeAsync(configuration, cancellationToken);
            var database = DatabaseCommands.Open(parsed.GetValue(file));
            var edits = new PolicyEdits(database, options, TimeProvider.System);
            var content = PolicyCommands.Read(parsed.GetValue(document)!);
            var author = new PolicyAuthor(ChangeCommands.Server(parsed.GetValue(by)).Name, parsed.GetValue(reason)!, parsed.GetValue(ticket));
            var row = await ChangeCommands.ChangeAsync(
                database, () => edits.ImportAsync(content, before, author, cancellationToken), cancellationToken);
            AtomicFile.Write(options.SourcePath, PolicyHome.ToBytes(PolicySource.Database));
            return await TellAsync(
                parsed, json, row, $"the policy document is in {DatabaseCommands.Shown(database)} from now on{(row is null ? ", which had it already" : $": policy {row.Version}")}: {Effect}");
        });
        return command;
    }

    private static Command Apply()
    {
        var (document, reason, organization, unchanged) = (Document(), Reason(), Organization(), IfVersion());
        var (ticket, by, json, file) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("apply", "Puts a policy document, or an organization's section, into force. Its home must be the database.")
        {
            document, reason, organization, unchanged, ticket, by, json, file,
        };
        Verb.SetAction(command, (parsed, cancellationToken) =>
        {
            var path = parsed.GetValue(document)!;
            if (parsed.GetValue(organization) is null)
                PolicyCommands.Compile(path); // its problems have the file's name
            var edit = new PolicyEdit { Content = PolicyCommands.Read(path), Organization = parsed.GetValue(organization), IfUnchanged = parsed.GetValue(unchanged) };
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            return ChangeAsync(parsed, edit, request, parsed.GetValue(file), json, cancellationToken);
        });
        return command;
    }

    private static Command Revert()
    {
        var version = new Argument<string>("VERSION") { Description = "The version to go back to, as imageaccess policy history lists it." };
        var (reason, organization, unchanged) = (Reason(), Organization(), IfVersion());
        var (ticket, by, json, file) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("revert", "Puts an earlier version into force again, as a new one. Its home must be the database.")
        {
            version, reason, organization, unchanged, ticket, by, json, file,
        };
        Verb.SetAction(command, (parsed, cancellationToken) =>
        {
            var edit = new PolicyEdit { Version = parsed.GetValue(version)!, Organization = parsed.GetValue(organization), IfUnchanged = parsed.GetValue(unchanged) };
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            return ChangeAsync(parsed, edit, request, parsed.GetValue(file), json, cancellationToken);
        });
        return command;
    }

    private static Command Export()
    {
        var version = new Argument<string?>("VERSION") { Description = "An earlier version, as imageaccess policy history lists it.", Arity = ArgumentArity.ZeroOrOne };
        var (organization, json, file) = (Organization(), Verb.Json(), Verb.ConfigurationFile());
        var command = new Command("export", "Prints the policy document in force, byte for byte, or an organization's section. Exit code 1 when there is none.") { version, organization, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var found = await FindAsync(parsed, parsed.GetValue(version), parsed.GetValue(file), cancellationToken);
            if (found is not { } document)
            {
                await error.WriteLineAsync(TextTable.Plain($"imageaccess: {(parsed.GetValue(version) is { } wanted ? $"no version {wanted} of the policy is in the history" : "there is no policy document: image access is off")}"));
                return Verb.No;
            }

            var name = parsed.GetValue(organization);
            var policy = PolicyOnDisk.Parse(FileReading.Found(document)).Value;
            if (name is not null && policy is null)
                throw new MisuseException("this program cannot read the version: export the whole document");
            var bytes = name is null ? document : PolicySections.Find(document, name) ?? throw new MisuseException($"the policy has no organization {name}");
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { policy?.Version, Organization = name, Tag = name is null ? null : PolicySections.TagOf(document, name), Document = Encoding.UTF8.GetString(bytes) });
            else
                await output.WriteAsync(Encoding.UTF8.GetString(bytes));
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<byte[]?> FindAsync(ParseResult parsed, string? version, string? file, CancellationToken cancellationToken)
    {
        if (version is not null)
            return (await PolicyHistoryCommand.FindAsync(DatabaseCommands.Open(file), version, cancellationToken))?.Document;
        var found = await PolicyOnDisk.FindAsync(Verb.Configuration(file), cancellationToken);
        if (found.Concern is { } concern)
            await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: this is the copy of the last accepted policy: {concern}"));
        return found.Path is null ? null : found.Document;
    }

    /// <summary>Says what a change opens, and makes it.</summary>
    private static async Task<int> ChangeAsync(
        ParseResult parsed, PolicyEdit edit, ChangeRequest request, string? file, Option<bool> json, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        var options = PolicyStoreOptions.Of(configuration);
        var database = DatabaseCommands.Open(file);
        var edits = new PolicyEdits(database, options, TimeProvider.System);
        DemandHome(edits);
        var plan = await ChangeCommands.ChangeAsync(database, () => edits.PlanAsync(edit, cancellationToken), cancellationToken);
        if (plan.IsSame)
            return await TellAsync(parsed, json, null, $"the policy is {plan.After.Version} already: nothing is to change");
        if (!parsed.GetValue(json))
            await WriteAsync(parsed.InvocationConfiguration.Output, plan);
        var desk = ChangeCommands.Desk(configuration, database, await FindBeforeAsync(configuration, cancellationToken));
        var outcome = await ChangeCommands.ChangeAsync(database, () => desk.ChangePolicyAsync(edit, request, cancellationToken), cancellationToken);
        if (outcome.Done is not { } row)
        {
            await ChangeCommands.TellWaitingAsync(parsed, json, outcome.Waiting!);
            return Verb.Yes;
        }

        return await TellAsync(parsed, json, row, $"policy {row.Version} is in force (before: {row.PreviousVersion}): {Effect}");
    }

    /// <summary>Before the database is looked for: where the document is a file there need be none.</summary>
    private static void DemandHome(PolicyEdits edits)
    {
        try
        {
            edits.DemandHome();
        }
        catch (RefusedChangeException refused)
        {
            throw new MisuseException(refused.Problems);
        }
    }

    /// <summary>The policy that another takes the place of. There may be none that could be in force.</summary>
    private static async Task<Policy> FindBeforeAsync(IConfiguration configuration, CancellationToken cancellationToken)
    {
        try
        {
            return (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
        }
        catch (OptionsValidationException)
        {
            return Policy.Off;
        }
    }

    private static async Task WriteAsync(TextWriter output, PolicyPlan plan)
    {
        foreach (var opened in plan.Opens)
            await output.WriteLineAsync(TextTable.Plain($"opens: {opened}"));
        foreach (var taken in plan.TakesBack)
            await output.WriteLineAsync(TextTable.Plain($"takes back: {taken}"));
    }

    private static async Task<int> TellAsync(ParseResult parsed, Option<bool> json, PolicyVersionRow? row, string line)
    {
        var output = parsed.InvocationConfiguration.Output;
        await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, new { Applied = row is null ? null : PolicyHistoryCommand.Facts(row with { Document = [] }), Text = line }) : output.WriteLineAsync(TextTable.Plain(line)));
        return Verb.Yes;
    }

    private static Argument<string> Document() => new("FILE") { Description = "The policy document; with --organization that organization's section of it." };

    private static Option<string> Reason() => new("--reason")
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"Why, for the history and the audit trail; 1 to {PolicyEdits.MaximumReason} characters."),
        HelpName = "TEXT",
        Required = true,
    };

    private static Option<string?> Organization() => new("--organization") { Description = "The section of this organization alone.", HelpName = "ORG" };

    private static Option<string?> IfVersion() => new("--if-version")
    {
        Description = "Only where this version is in force; with --organization, where its section has this tag (policy export --json).",
        HelpName = "VERSION",
    };
}
