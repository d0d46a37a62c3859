using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess tokens …</c>: who may use the HTTP API. On the server they change the database, and need no running proxy; the first token comes from here.</summary>
internal static class TokenCommands
{
    public static Command Build() => new("tokens", "Makes, lists and revokes tokens of the HTTP API.") { Create(), List(), Revoke() };

    private static Command Create()
    {
        var role = new Option<string>("--role") { Description = $"What it may: {RoleNames.All}.", HelpName = "ROLE", Required = true };
        var organization = new Option<string?>("--organization") { Description = "In this organization alone; without it in every one.", HelpName = "ORG" };
        var person = new Option<string?>("--for") { Description = "The Docker Hub user whose token it is: it ends with their role. Without it, it is the server's own.", HelpName = "NAME" };
        var expires = new Option<string?>("--expires") { Description = "How long it is good, as 30d; 1 to 365 days, 90 where it is not said.", HelpName = "DURATION" };
        var label = new Option<string?>("--label") { Description = "What it is for, for lists and the audit trail.", HelpName = "TEXT" };
        var reason = new Option<string?>("--reason") { Description = "Why it is made; the second person reads it, where the policy demands one.", HelpName = "TEXT" };
        var (ticket, by, file, json) = (ChangeCommands.Ticket(), ChangeCommands.By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("create", "Makes a token, and prints it once.") { role, organization, person, expires, label, reason, ticket, by, json, file };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var configuration = Verb.Configuration(parsed.GetValue(file));
            var grant = new TokenGrant
            {
                Role = parsed.GetValue(role)!,
                Organization = parsed.GetValue(organization),
                Person = parsed.GetValue(person)?.ToLowerInvariant(),
                Label = parsed.GetValue(label) ?? $"made by {Environment.UserName} on the server",
                Lifetime = ReadLifetime(parsed.GetValue(expires)),
            };
            var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
            var faults = grant.Faults(policy).Select(fault => $"--{fault.Part} {fault.Fault}").ToList();
            if (faults.Count > 0)
                throw new MisuseException(faults);

            var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason) ?? "") { Ticket = parsed.GetValue(ticket) };
            var made = await ChangeCommands.ChangeAsync(
                database, () => ChangeCommands.Desk(configuration, database, policy).CreateTokenAsync(grant, request, cancellationToken), cancellationToken);
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new MadeToken(made.Secret, TokenFacts.Of(made.Row)) { Waiting = made.Waiting is null ? null : ChangeFacts.Of(made.Waiting) });
                return Verb.Yes;
            }

            await output.WriteLineAsync(made.Secret);
            await error.WriteLineAsync($"token {made.Row.Id}: {Scope(made.Row)}, until {ExceptionChanges.Minute(made.Row.Expires)}; it is shown this once");
            if (made.Waiting is { } waiting)
                await error.WriteLineAsync($"it is good once a second person has approved it: imageaccess changes approve {waiting.Id}");
            return Verb.Yes;
        });
        return command;
    }

    private static Command List()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists the tokens, the newest first; none of them is readable.") { json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            var tokens = api is not null
                ? await api.ListAsync<TokenFacts>("tokens", cancellationToken)
                : await ListAsync(parsed.GetValue(file), cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Tokens = tokens });
            else if (tokens.Count == 0)
                await output.WriteLineAsync("there is no token");
            else
                await Table(tokens).WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<IReadOnlyList<TokenFacts>> ListAsync(string? file, CancellationToken cancellationToken)
    {
        var database = ChangeCommands.Open(file, Verb.Configuration(file));
        var rows = await DatabaseCommands.ReadAsync(
            database, context => new TokenTable(context).ListAsync(null, long.MaxValue, TokenTable.Maximum + TokenTable.MaximumHistory, cancellationToken), cancellationToken);
        return rows.ConvertAll(TokenFacts.Of);
    }

    private static Command Revoke()
    {
        var id = new Argument<long>("ID") { Description = "Its number, as imageaccess tokens list shows it." };
        var (by, file, json) = (ChangeCommands.By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("revoke", "Revokes a token, and those that were made with it: nothing is answered to them from now on.") { id, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            var revoked = api is not null
                ? await api.PostAsync<TokenFacts>(string.Create(CultureInfo.InvariantCulture, $"tokens/{parsed.GetValue(id)}/revoke"), null, cancellationToken)
                : await RevokeAsync(parsed.GetValue(id), parsed.GetValue(by), parsed.GetValue(file), cancellationToken);
            var output = parsed.InvocationConfiguration.Output;
            await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, new { Revoked = revoked }) : output.WriteLineAsync(TextTable.Plain($"the token {revoked.Id} ({revoked.Label}) is revoked")));
            return Verb.Yes;
        });
        return command;
    }

    private static async Task<TokenFacts> RevokeAsync(long id, string? by, string? file, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        var database = ChangeCommands.Open(file, configuration);
        return TokenFacts.Of(await ChangeCommands.ChangeAsync(
            database, () => ChangeCommands.Desk(configuration, database).RevokeTokenAsync(id, ChangeCommands.Server(by), cancellationToken), cancellationToken));
    }

    private static TimeSpan ReadLifetime(string? text)
    {
        try
        {
            return text is null ? TokenGrant.DefaultLifetime : ConfigurationKey.Duration(text);
        }
        catch (FormatException exception)
        {
            throw new MisuseException($"--expires {exception.Message}");
        }
    }

    private static TextTable Table(IReadOnlyList<TokenFacts> tokens)
    {
        var now = TimeProvider.System.GetUtcNow();
        var table = new TextTable(">ID", "ROLE", "ORGANIZATION", "FOR", "UNTIL", "LAST USED", "LABEL");
        foreach (var token in tokens)
        {
            table.Add(
                token.Id.ToString(CultureInfo.InvariantCulture),
                token.Role,
                token.Organization ?? "every one",
                token.Person ?? "the server",
                token.Revoked is not null ? "revoked" : token.Waits == true ? "waits" : token.Expires <= now.UtcDateTime ? "expired" : ExceptionChanges.Minute(new DateTimeOffset(token.Expires)),
                token.LastUsed is { } used ? ExceptionChanges.Minute(new DateTimeOffset(used)) : "never",
                token.Label);
        }

        return table;
    }

    private static string Scope(ApiTokenRow row) => $"{row.Role} of {row.Organization ?? "every organization"}{(row.Person is null ? "" : $" for {row.Person}")}";
}
