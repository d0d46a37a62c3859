using System.CommandLine;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess accounts …</c>: user names of the policy that more than one account was seen with, and which one is right. A running proxy sees it by itself.</summary>
internal static class AccountCommands
{
    public static Command Build() => new("accounts", "Lists the user names of the policy that more than one account was seen with, and confirms which one is right.") { List(), Confirm() };

    private static Command List()
    {
        var organization = new Option<string?>("--organization") { Description = "Names of this organization alone.", HelpName = "ORG" };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists the names with their accounts, as this proxy has seen them.") { organization, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var configuration = Verb.Configuration(parsed.GetValue(file));
            var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
            var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
            var rows = await DatabaseCommands.ReadAsync(database, context => new ConfirmedAccountTable(context).ListAsync(cancellationToken), cancellationToken);
            var holders = NamedAccounts.Find(configuration["Data:Directory"]!);
            var found = AccountFacts.Find(policy, holders, rows, parsed.GetValue(organization)).ToList();
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Accounts = found });
            else if (found.Count == 0)
                await output.WriteLineAsync("no name of the policy was seen with two accounts, and none is confirmed");
            else
                await Table(found).WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Confirm()
    {
        var name = new Argument<string>("NAME") { Description = "A user name of the policy." };
        var account = new Option<string>("--account") { Description = "Docker Hub's id of the account, as the list, the log and the audit trail show it.", HelpName = "ID", Required = true };
        var reason = new Option<string>("--reason") { Description = "How you know that it is the right one, for the audit trail.", HelpName = "TEXT", Required = true };
        var (ticket, by, file, json) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("confirm", "Confirms that a user name stands for an account, and for no other: it gets what the policy grants to the name.") { name, account, reason, ticket, by, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var configuration = Verb.Configuration(parsed.GetValue(file));
            var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
            var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var outcome = await ChangeCommands.ChangeAsync(
                database,
                () => ChangeCommands.Desk(configuration, database, policy).ConfirmAccountAsync(parsed.GetValue(name)!, parsed.GetValue(account)!, request, cancellationToken),
                cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (outcome.Waiting is { } waiting)
                await ChangeCommands.TellWaitingAsync(parsed, json, waiting);
            else if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Confirmed = ConfirmedFacts.Of(outcome.Done!) });
            else
                await output.WriteLineAsync(TextTable.Plain($"the user name {outcome.Done!.Name} stands for the account {outcome.Done.Account}"));
            return Verb.Yes;
        });
        return command;
    }

    private static TextTable Table(IReadOnlyList<AccountFacts> found)
    {
        var table = new TextTable("NAME", "ACCOUNT", "STATE", "ORGANIZATIONS");
        foreach (var facts in found)
        {
            var state = facts.Disputed ? "disputed" : facts.Confirmed is { } confirmed ? $"confirmed {ExceptionChanges.Minute(new DateTimeOffset(confirmed.At))} by {confirmed.By}" : "in the policy";
            table.Add(facts.Name, facts.Account ?? "-", state, facts.Organizations.Count == 0 ? "-" : string.Join(", ", facts.Organizations));
            if (facts.Confirmed is { Reason: var reason })
                table.Note(reason);
            foreach (var other in facts.Others)
                table.Note($"also seen with {other}");
        }

        return table;
    }
}
