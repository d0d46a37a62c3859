using System.CommandLine;
using System.Globalization;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess break-glass</c>: opens something in an emergency, by a file of the data directory: with no database, no identity provider and no Docker Hub.</summary>
internal static class BreakGlassCommands
{
    public static Command BreakGlass()
    {
        var organization = new Option<string?>("--organization") { Description = "Whose rules.", HelpName = "ORG" };
        var repository = new Option<string?>("--repository") { Description = "Opens this repository to its members, for pulls.", HelpName = "REPO" };
        var observe = new Option<bool>("--observe") { Description = "Or lets it only observe: nothing is denied but what is blocked." };
        var length = new Option<string?>("--for") { Description = "How long, as 2h or 30m; at most 4h.", HelpName = "DURATION" };
        var reason = new Option<string?>("--reason") { Description = "Why; everybody who may read the policy reads it.", HelpName = "TEXT" };
        var (by, ticket, file, json) = (ChangeCommands.By(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("break-glass", "Opens something in an emergency: at once, for hours at most, and on record. It ends by itself; what is blocked stays so.")
        {
            organization, repository, observe, length, reason, ticket, by, json, file, List(), Step("end", "Ends one before its time.", (desk, id, request, cancel) => desk.EndBreakGlassAsync(id, request, cancel)),
            Step("review", "Says that another person has looked at one.", (desk, id, request, cancel) => desk.ReviewBreakGlassAsync(id, request, cancel)),
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var wanted = Read(parsed, organization, repository, observe, length, reason) with { Ticket = parsed.GetValue(ticket) };
            using var api = server.Find(parsed, by, file);
            if (api is not null)
                return await TellAsync(parsed, json, await api.PostAsync<BreakGlassFacts>("break-glass", wanted, cancellationToken));

            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), wanted.Reason) { Ticket = wanted.Ticket };
            var desk = await DeskAsync(parsed.GetValue(file), cancellationToken);
            var entry = await ChangeCommands.ChangeAsync(() => desk.BreakGlassAsync(
                wanted.Organization, wanted.Repository, TimeSpan.FromMinutes(wanted.Minutes), request, cancellationToken));
            return await TellAsync(parsed, json, BreakGlassFacts.Of(entry, TimeProvider.System.GetUtcNow()));
        });
        return command;
    }

    private static Command List()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Names the last ones, the newest first.") { json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, file);
            IReadOnlyList<BreakGlassFacts> found = api is not null
                ? await api.ListAsync<BreakGlassFacts>("break-glass", cancellationToken)
                : [.. BreakGlassFile.Read(Options(parsed.GetValue(file))).Entries.Reverse().Select(entry => BreakGlassFacts.Of(entry, TimeProvider.System.GetUtcNow()))];
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Verb.WriteJsonAsync(output, new { BreakGlass = found });
                return Verb.Yes;
            }

            if (found.Count == 0)
            {
                await output.WriteLineAsync("there was no emergency");
                return Verb.Yes;
            }

            var table = new TextTable(">ID", "OPENS", "SINCE", "UNTIL", "STATE", "BY", "REVIEWED BY", "REASON");
            foreach (var one in found)
            {
                table.Add(
                    one.Id.ToString(CultureInfo.InvariantCulture), Words(one), Minute(one.Since), Minute(one.Until), State(one), one.By, one.Reviewed?.By ?? "nobody", one.Reason);
            }

            await table.WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Step(string name, string description, Func<ChangeDesk, long, ChangeRequest, CancellationToken, Task<BreakGlassEntry>> step)
    {
        var id = new Argument<long>("ID") { Description = "The number that break-glass list names." };
        var reason = new Option<string>("--reason") { Description = "Why, for the audit trail.", HelpName = "TEXT", Required = true };
        var (by, file, json) = (ChangeCommands.By(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command(name, description) { id, reason, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            using var api = server.Find(parsed, by, file);
            if (api is not null)
            {
                var path = string.Create(CultureInfo.InvariantCulture, $"break-glass/{parsed.GetValue(id)}/{name}");
                return await TellAsync(parsed, json, await api.PostAsync<BreakGlassFacts>(path, new Because(parsed.GetValue(reason)!), cancellationToken));
            }

            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(reason)!);
            var desk = await DeskAsync(parsed.GetValue(file), cancellationToken);
            var entry = await ChangeCommands.ChangeAsync(() => step(desk, parsed.GetValue(id), request, cancellationToken));
            return await TellAsync(parsed, json, BreakGlassFacts.Of(entry, TimeProvider.System.GetUtcNow()));
        });
        return command;
    }

    /// <exception cref="MisuseException">Something is missing, or does not fit together.</exception>
    private static BreakGlassOperations.Wanted Read(
        ParseResult parsed, Option<string?> organization, Option<string?> repository, Option<bool> observe, Option<string?> length, Option<string?> reason)
    {
        foreach (var option in new[] { organization, length, reason })
        {
            if (parsed.GetValue(option) is null)
                throw new MisuseException($"{option.Name} is missing; imageaccess break-glass --help");
        }

        if (parsed.GetValue(repository) is null == !parsed.GetValue(observe))
            throw new MisuseException("name a repository with --repository, or say --observe, and not both");
        try
        {
            var time = ConfigurationKey.Duration(parsed.GetValue(length)!);
            if (time < TimeSpan.FromMinutes(1) || time > Core.Policies.BreakGlass.Longest)
                throw new MisuseException($"--for must be at least a minute and at most {Core.Policies.BreakGlass.Longest.TotalHours} hours");
            return new BreakGlassOperations.Wanted(parsed.GetValue(organization)!, parsed.GetValue(reason)!, (int)time.TotalMinutes)
            {
                Repository = parsed.GetValue(repository),
                Observe = parsed.GetValue(observe),
            };
        }
        catch (FormatException exception)
        {
            throw new MisuseException($"--for {exception.Message}");
        }
    }

    /// <summary>The desk of the server. The database is not opened; where the policy lives there and cannot be read, the last one that was accepted counts.</summary>
    private static async Task<ChangeDesk> DeskAsync(string? file, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(file);
        Verb.DemandDataDirectory(configuration["Data:Directory"]!);
        var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
        return ChangeCommands.Desk(configuration, SqlDatabase.Of(DatabaseOptions.Of(configuration)), policy.With(new BlocksOnDisk(PolicyStoreOptions.Of(configuration)).Find().ToBlocks()));
    }

    private static PolicyStoreOptions Options(string? file) => PolicyStoreOptions.Of(Verb.Configuration(file));

    private static async Task<int> TellAsync(ParseResult parsed, Option<bool> json, BreakGlassFacts facts)
    {
        var output = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(json))
            await Verb.WriteJsonAsync(output, facts);
        else
            await output.WriteLineAsync(TextTable.Plain($"break-glass {facts.Id}: {Words(facts)}, {State(facts)}{(facts.Holds ? "; a running proxy does so within a second" : "")}"));
        return Verb.Yes;
    }

    private static string Words(BreakGlassFacts facts) => facts.Repository is null ? $"{facts.Organization} only observes" : $"{facts.Repository} for {facts.Organization}";

    private static string State(BreakGlassFacts facts) => facts.Holds ? $"until {Minute(facts.Until)}"
        : facts.Ended is { } ended ? $"ended {Minute(ended.At)} by {ended.By}"
        : $"ended {Minute(facts.Until)} by itself";

    private static string Minute(DateTime time) => ExceptionChanges.Minute(new DateTimeOffset(time));
}
