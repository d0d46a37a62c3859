using System.CommandLine;
using System.Globalization;
using System.Text;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess policy import|apply|revert|export</c>: the policy document of the database. On the server they need no running proxy.</summary>
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
        var (ticket, by, json, file, server) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.Json(), Verb.ConfigurationFile(), new ServerOptions());
        var command = new Command("apply", "Puts a policy document, or an organization's section, into force. Its home must be the database.")
        {
            document, reason, organization, unchanged, ticket, by, json, file,
        };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            var (path, name) = (parsed.GetValue(document)!, parsed.GetValue(organization));
            var because = new Because(parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            if (api is not null)
            {
                var changed = await new ServerPolicy(api, name).ApplyAsync(PolicyCommands.Read(path), parsed.GetValue(unchanged), because, cancellationToken);
                return await TellAsync(parsed, json, changed, api);
            }

            if (name is null)
                PolicyCommands.Compile(path); // its problems have the file's name
            var edit = new PolicyEdit { Content = PolicyCommands.Read(path), Organization = name, IfUnchanged = parsed.GetValue(unchanged) };
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), because.Reason) { Ticket = because.Ticket };
            return await ChangeAsync(parsed, edit, request, parsed.GetValue(file), json, cancellationToken);
        });
        return command;
    }

    private static Command Revert()
    {
        var version = new Argument<string>("VERSION") { Description = "The version to go back to, as imageaccess policy history lists it." };
        var (reason, organization, unchanged) = (Reason(), Organization(), IfVersion());
        var (ticket, by, json, file, server) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.Json(), Verb.ConfigurationFile(), new ServerOptions());
        var command = new Command("revert", "Puts an earlier version into force again, as a new one. Its home must be the database.")
        {
            version, reason, organization, unchanged, ticket, by, json, file,
        };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            var (wanted, name) = (parsed.GetValue(version)!, parsed.GetValue(organization));
            var because = new Because(parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            if (api is not null)
                return await TellAsync(parsed, json, await new ServerPolicy(api, name).RevertAsync(wanted, parsed.GetValue(unchanged), because, cancellationToken), api);

            var edit = new PolicyEdit { Version = wanted, Organization = name, IfUnchanged = parsed.GetValue(unchanged) };
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), because.Reason) { Ticket = because.Ticket };
            return await ChangeAsync(parsed, edit, request, parsed.GetValue(file), json, cancellationToken);
        });
        return command;
    }

    private static Command Export()
    {
        var version = new Argument<string?>("VERSION") { Description = "An earlier version, as imageaccess policy history lists it.", Arity = ArgumentArity.ZeroOrOne };
        var (organization, json, file, server) = (Organization(), Verb.Json(), Verb.ConfigurationFile(), new ServerOptions());
        var command = new Command("export", "Prints the policy document in force, byte for byte, or an organization's section. Exit code 1 when there is none.") { version, organization, json, file };
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            var (wanted, name) = (parsed.GetValue(version), parsed.GetValue(organization));
            if (api is not null)
                return await ExportAsync(parsed, new ServerPolicy(api, name), wanted, name, parsed.GetValue(json), cancellationToken);
            if (await FindAsync(parsed, wanted, parsed.GetValue(file), cancellationToken) is not { } document)
                return await TellMissingAsync(parsed, wanted is null ? "there is no policy document: image access is off" : $"no version {wanted} of the policy is in the history");

            var policy = PolicyOnDisk.Parse(FileReading.Found(document)).Value;
            var part = new ServedDocument(PartOf(document, name), name is null ? "" : PolicySections.TagOf(document, name)!);
            return await WriteAsync(parsed, policy?.Version, name, part, parsed.GetValue(json));
        });
        return command;
    }

    /// <summary>A document, or an organization's section of it.</summary>
    /// <exception cref="MisuseException">It has none.</exception>
    public static byte[] PartOf(byte[] document, string? organization)
    {
        if (organization is null)
            return document;
        if (PolicyOnDisk.Parse(FileReading.Found(document)).Value is null)
            throw new MisuseException("this program cannot read the version: export the whole document");
        return PolicySections.Find(document, organization) ?? throw new MisuseException($"the policy has no organization {organization}");
    }

    private static async Task<int> ExportAsync(ParseResult parsed, ServerPolicy policy, string? version, string? organization, bool json, CancellationToken cancellationToken)
    {
        try
        {
            var served = await policy.FindAsync(version, cancellationToken);
            if (version is null)
                await TellFollowedAsync(parsed, policy, served.Bytes, cancellationToken);
            return await WriteAsync(parsed, version ?? (organization is null ? served.Tag : null), organization, served, json);
        }
        catch (NotThereException missing) when (version is not null || organization is null)
        {
            return await TellMissingAsync(parsed, missing.Message);
        }
    }

    /// <summary>The document, or the section, alone does not tell which switches hold where Docker Hub's own are followed.</summary>
    private static async Task TellFollowedAsync(ParseResult parsed, ServerPolicy policy, ReadOnlyMemory<byte> document, CancellationToken cancellationToken)
    {
        foreach (var (organization, facts) in await policy.FollowedAsync(document, cancellationToken))
            await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: note: {FollowedNotes.Of(organization, facts.Switches)}"));
    }

    private static async Task<int> TellMissingAsync(ParseResult parsed, string what)
    {
        await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: {what}"));
        return Verb.No;
    }

    private static async Task<int> WriteAsync(ParseResult parsed, string? version, string? organization, ServedDocument document, bool json)
    {
        var (output, text) = (parsed.InvocationConfiguration.Output, Encoding.UTF8.GetString(document.Bytes));
        await (json
            ? Verb.WriteJsonAsync(output, new { Version = version, Organization = organization, Tag = organization is null ? null : document.Tag, Document = text })
            : output.WriteAsync(text));
        return Verb.Yes;
    }

    private static async Task<byte[]?> FindAsync(ParseResult parsed, string? version, string? file, CancellationToken cancellationToken)
    {
        if (version is not null)
            return (await PolicyHistoryCommand.FindAsync(DatabaseCommands.Open(file), version, cancellationToken))?.Document;
        var found = await PolicyOnDisk.FindAsync(Verb.Configuration(file), cancellationToken);
        if (found.Concern is { } concern)
            await parsed.InvocationConfiguration.Error.WriteLineAsync(TextTable.Plain($"imageaccess: this is the copy of the last accepted policy: {concern}"));
        await PolicyCommands.TellFollowedAsync(parsed, found.Policy);
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
            return await TellSameAsync(parsed, json, plan.After.DocumentVersion);
        if (!parsed.GetValue(json))
            await WriteAsync(parsed.InvocationConfiguration.Output, plan.Opens, plan.TakesBack);
        var desk = ChangeCommands.Desk(configuration, database, await FindBeforeAsync(configuration, cancellationToken));
        var outcome = await ChangeCommands.ChangeAsync(database, () => desk.ChangePolicyAsync(edit, request, cancellationToken), cancellationToken);
        if (outcome.Done is not { } row)
        {
            await ChangeCommands.TellWaitingAsync(parsed, json, outcome.Waiting!);
            return Verb.Yes;
        }

        return await TellAsync(parsed, json, row);
    }

    /// <summary>Says what became of a change at a server as that of this machine is told.</summary>
    private static async Task<int> TellAsync(ParseResult parsed, Option<bool> json, ChangedPolicy changed, ServerApi api)
    {
        if (changed.Unchanged is { } version)
            return await TellSameAsync(parsed, json, version);
        var (opens, takesBack) = changed.Waiting is { } asked ? (asked.Opens, changed.TakesBack ?? []) : changed.Done is { } done ? (done.Opens, done.TakesBack) : throw api.Foreign();
        if (!parsed.GetValue(json))
            await WriteAsync(parsed.InvocationConfiguration.Output, opens, takesBack);
        if (changed.Waiting is not { } waiting)
            return await TellAsync(parsed, json, changed.Done!.ToRow());
        await ChangeCommands.TellWaitingAsync(parsed, json, waiting.ToRow());
        return Verb.Yes;
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

    private static async Task WriteAsync(TextWriter output, IReadOnlyList<string> opens, IReadOnlyList<string> takesBack)
    {
        foreach (var opened in opens)
            await output.WriteLineAsync(TextTable.Plain($"opens: {opened}"));
        foreach (var taken in takesBack)
            await output.WriteLineAsync(TextTable.Plain($"takes back: {taken}"));
    }

    private static Task<int> TellAsync(ParseResult parsed, Option<bool> json, PolicyVersionRow row) =>
        TellAsync(parsed, json, row, $"policy {row.Version} is in force (before: {row.PreviousVersion}): {Effect}");

    private static Task<int> TellSameAsync(ParseResult parsed, Option<bool> json, string version) =>
        TellAsync(parsed, json, null, $"the policy is {version} already: nothing is to change");

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
