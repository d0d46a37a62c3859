using System.CommandLine;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>imageaccess requests …</c>: images that members ask for, and what their organizations answer. On the server they change the database; to ask for an
/// image there, the running proxy says who denies it.
/// </summary>
internal static class RequestCommands
{
    private const int MaximumListed = 1000;

    public static Command Build() => new("requests", "Asks for access to denied images, and lists, approves, declines and withdraws such requests.")
    {
        Create(), List(), Approve(), Decline(), Withdraw(),
    };

    private static Command Create()
    {
        var image = new Argument<string?>("IMAGE") { Description = "acme/tool for a repository; acme/tool:1.2 for a tag; acme/tool@sha256:… for one image.", Arity = ArgumentArity.ZeroOrOne };
        var denial = new Option<string?>("--denial") { Description = "In place of IMAGE: the id of its denial, as the client was told it.", HelpName = "ID" };
        var reason = new Option<string>("--reason") { Description = "Why it is needed; whoever answers reads it.", HelpName = "TEXT", Required = true };
        var days = new Option<int>("--days") { Description = "How many days it is needed.", HelpName = "DAYS", Required = true };
        var (person, ticket, file, json) = (As(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("create", "Asks for an image that is denied, or joins those who ask for it already.") { image, denial, reason, days, person, ticket, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (server.Find(parsed, person, file) is { } api)
            {
                using (api)
                {
                    var wanted = new RequestOperations.Wanted(parsed.GetValue(reason)!, parsed.GetValue(days))
                    {
                        Image = parsed.GetValue(image),
                        Denial = parsed.GetValue(denial),
                        Ticket = parsed.GetValue(ticket),
                    };
                    return await TellAsync(parsed, json, await api.PostAsync<RequestFacts>("requests", wanted, cancellationToken), Asked);
                }
            }

            var configuration = Verb.Configuration(parsed.GetValue(file));
            using var judge = RunningProxy.ForChecksAt(configuration);
            var request = new ChangeRequest(ChangeCommands.Server(Person(parsed, person)), parsed.GetValue(reason)!) { Ticket = parsed.GetValue(ticket) };
            var ask = new AccessAsk { Image = parsed.GetValue(image), Denial = parsed.GetValue(denial), Days = parsed.GetValue(days) };
            return await ChangeAsync(parsed, file, json, judge, desk => desk.AskAsync(ask, request, cancellationToken), Asked, cancellationToken);
        });
        return command;
    }

    private static Command List()
    {
        var organization = new Option<string?>("--organization") { Description = "Those that this organization has to answer.", HelpName = "ORG" };
        var all = new Option<bool>("--all") { Description = "Also those that are over." };
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("list", "Lists the open requests, the oldest first.") { organization, all, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (name, state) = (parsed.GetValue(organization), parsed.GetValue(all) ? null : AccessRequestRow.Open);
            IReadOnlyList<RequestFacts> found;
            if (server.Find(parsed, file) is { } api)
            {
                using (api)
                    found = await api.ListAsync<RequestFacts>("requests", cancellationToken, ("organization", name), ("state", state));
            }
            else
            {
                var configuration = Verb.Configuration(parsed.GetValue(file));
                var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
                var filter = new RequestFilter { State = state, Organization = name, Count = MaximumListed };
                var now = TimeProvider.System.GetUtcNow();
                var rows = await DatabaseCommands.ReadAsync(database, context => new RequestTable(context).PageAsync(filter, now, cancellationToken), cancellationToken);
                found = [.. rows.Select(row => RequestFacts.Of(row, now, only: null))];
            }

            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Requests = found.Reverse() });
            else if (found.Count == 0)
                await output.WriteLineAsync(state is null ? "there is no request" : "no request is open");
            else
                await Table(found.Reverse()).WriteAsync(output);
            return Verb.Yes;
        });
        return command;
    }

    private static Command Approve()
    {
        var image = new Option<string?>("--image") { Description = "Less than what was asked for: a tag or a digest of the repository.", HelpName = "IMAGE" };
        var digest = new Option<string?>("--digest") { Description = "Of a tag: the digest that it has now. Another image under the same tag is denied.", HelpName = "DIGEST" };
        var follow = new Option<bool>("--follow") { Description = "Of a tag: whatever it comes to." };
        var days = new Option<int?>("--days") { Description = "How many days; as long as was asked for without it, and never longer.", HelpName = "DAYS" };
        var duration = new Option<string?>("--for") { Description = "How long, as 12h, in place of --days.", HelpName = "DURATION" };
        var comment = new Option<string?>("--comment") { Description = "What those who asked are told.", HelpName = "TEXT" };
        var (id, organization, by, ticket, file, json) = (Id(), Organization(), ChangeCommands.By(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("approve", "Approves a request for one organization: an exception is granted, or waits for a second person where the policy demands one.")
        {
            id, organization, image, digest, follow, days, duration, comment, ticket, by, json, file,
        };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var until = ExceptionCommands.ReadEnd(parsed.GetValue(duration), until: null, new ExceptionsDocument(), TimeProvider.System.GetUtcNow(), out var flaw);
            if (flaw is not null)
                throw new MisuseException(flaw);
            if (until is not null && parsed.GetValue(days) is not null)
                throw new MisuseException("--days and --for exclude each other: choose one of them");
            var wanted = new RequestOperations.Approval
            {
                Organization = parsed.GetValue(organization),
                Image = parsed.GetValue(image),
                Digest = parsed.GetValue(digest),
                Follow = parsed.GetValue(follow),
                Days = parsed.GetValue(days),
                Until = until?.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                Comment = parsed.GetValue(comment),
                Ticket = parsed.GetValue(ticket),
            };
            if (server.Find(parsed, by, file) is { } api)
            {
                using (api)
                    return await TellAsync(parsed, json, await api.PostAsync<RequestFacts>(Path(parsed.GetValue(id), "approve"), wanted, cancellationToken), Approved);
            }

            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), wanted.Comment ?? "") { Ticket = wanted.Ticket };
            var approval = new RequestApproval { Organization = wanted.Organization, Image = wanted.Image, Digest = wanted.Digest, Follow = wanted.Follow, Days = wanted.Days, Until = until };
            return await ChangeAsync(parsed, file, json, null, desk => desk.ApproveAsync(parsed.GetValue(id), approval, request, cancellationToken), Approved, cancellationToken);
        });
        return command;
    }

    private static Command Decline()
    {
        var comment = new Option<string>("--comment") { Description = "Why; those who asked are told.", HelpName = "TEXT", Required = true };
        var (id, organization, by, ticket, file, json) = (Id(), Organization(), ChangeCommands.By(), ChangeCommands.Ticket(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("decline", "Declines a request for one organization; it is over by that.") { id, organization, comment, ticket, by, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (server.Find(parsed, by, file) is { } api)
            {
                using (api)
                {
                    var wanted = new RequestOperations.Refusal(parsed.GetValue(comment)!) { Organization = parsed.GetValue(organization), Ticket = parsed.GetValue(ticket) };
                    return await TellAsync(parsed, json, await api.PostAsync<RequestFacts>(Path(parsed.GetValue(id), "decline"), wanted, cancellationToken), Declined);
                }
            }

            var request = new ChangeRequest(ChangeCommands.Server(parsed.GetValue(by)), parsed.GetValue(comment)!) { Ticket = parsed.GetValue(ticket) };
            return await ChangeAsync(parsed, file, json, null, desk => desk.DeclineAsync(parsed.GetValue(id), parsed.GetValue(organization), request, cancellationToken), Declined, cancellationToken);
        });
        return command;
    }

    private static Command Withdraw()
    {
        var reason = new Option<string?>("--reason") { Description = "Why, for the audit trail.", HelpName = "TEXT" };
        var (id, person, file, json) = (Id(), As(), Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("withdraw", "Withdraws what a person has asked for; with the last one the request is over.") { id, person, reason, json, file };
        var server = new ServerOptions();
        server.AddTo(command);
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            if (server.Find(parsed, person, file) is { } api)
            {
                using (api)
                {
                    var wanted = new RequestOperations.Withdrawal { Reason = parsed.GetValue(reason) };
                    return await TellAsync(parsed, json, await api.PostAsync<RequestFacts>(Path(parsed.GetValue(id), "withdraw"), wanted, cancellationToken), Withdrawn);
                }
            }

            var request = new ChangeRequest(ChangeCommands.Server(Person(parsed, person)), parsed.GetValue(reason) ?? "");
            return await ChangeAsync(parsed, file, json, null, desk => desk.WithdrawAsync(parsed.GetValue(id), request, cancellationToken), Withdrawn, cancellationToken);
        });
        return command;
    }

    private static async Task<int> ChangeAsync(
        ParseResult parsed, Option<string?> file, Option<bool> json, RunningProxy? judge, Func<RequestDesk, Task<RequestOutcome>> act, Func<RequestFacts, string> line, CancellationToken cancellationToken)
    {
        var configuration = Verb.Configuration(parsed.GetValue(file));
        var database = ChangeCommands.Open(parsed.GetValue(file), configuration);
        var policy = (await PolicyOnDisk.FindAsync(configuration, cancellationToken)).Policy;
        var desk = new RequestDesk(
            database,
            ChangeCommands.Desk(configuration, database, policy),
            () => policy,
            async (image, person, cancel) => judge is null
                ? throw new InvalidOperationException("Nothing is judged here.")
                : (await judge.CheckAsync(image, new JudgedCaller(person, null), cancel)).Image,
            TimeProvider.System,
            UsageCommands.KeyOf(configuration));
        var outcome = await ChangeCommands.ChangeAsync(database, () => act(desk), cancellationToken);
        return await TellAsync(parsed, json, RequestFacts.Of(outcome.Request, TimeProvider.System.GetUtcNow(), only: null), line);
    }

    private static async Task<int> TellAsync(ParseResult parsed, Option<bool> json, RequestFacts facts, Func<RequestFacts, string> line)
    {
        var output = parsed.InvocationConfiguration.Output;
        await (parsed.GetValue(json) ? Verb.WriteJsonAsync(output, new { Request = facts }) : output.WriteLineAsync(TextTable.Plain(line(facts))));
        return Verb.Yes;
    }

    private static string Asked(RequestFacts request) => string.Create(
        CultureInfo.InvariantCulture,
        $"the request {request.Id} asks {string.Join(" and ", request.Answers.Select(answer => answer.Organization))} for {request.Image}, until {Minute(request.Until)}{(request.Asking > 1 ? $"; {request.Asking} ask for it" : "")}");

    /// <summary>What was approved, and what the image still waits for.</summary>
    private static string Approved(RequestFacts request)
    {
        var parts = request.Answers.Select(answer => answer.State switch
        {
            RequestAnswerRow.Approved => string.Create(CultureInfo.InvariantCulture, $"{answer.Organization} opens {answer.Image}{(answer.Until is { } until ? $" until {Minute(until)}" : "")} (exception {answer.Exception})"),
            RequestAnswerRow.Waiting => string.Create(CultureInfo.InvariantCulture, $"{answer.Organization} waits for a second person; imageaccess changes approve {answer.Change}"),
            _ => $"{answer.Organization} has not answered",
        });
        return string.Create(CultureInfo.InvariantCulture, $"the request {request.Id} is {request.State}: {string.Join("; ", parts)}");
    }

    private static string Declined(RequestFacts request) => string.Create(CultureInfo.InvariantCulture, $"the request {request.Id} for {request.Image} is declined");

    private static string Withdrawn(RequestFacts request) => string.Create(
        CultureInfo.InvariantCulture, $"the request {request.Id} for {request.Image} is {(request.Asking == 0 ? "withdrawn" : $"withdrawn by one; {TextTable.Count(request.Asking, "person asks", "persons ask")} for it")}");

    private static TextTable Table(IEnumerable<RequestFacts> requests)
    {
        var table = new TextTable(">REQUEST", "STATE", "ASKED", "UNTIL", "ORGANIZATIONS", "IMAGE");
        foreach (var request in requests)
        {
            table.Add(
                request.Id.ToString(CultureInfo.InvariantCulture), request.State, Minute(request.At), Minute(request.Until), string.Join(", ", request.Answers.Select(answer => answer.Organization)), request.Image);
            foreach (var voice in request.Voices)
                table.Note(string.Create(CultureInfo.InvariantCulture, $"{voice.Person}, for {TextTable.Count(voice.Days, "day")}{(voice.Withdrawn is null ? "" : ", withdrawn")}: {voice.Reason}{(voice.Ticket is null ? "" : $" ({voice.Ticket})")}"));
            foreach (var answer in request.Answers.Where(answer => answer.State != RequestAnswerRow.Open))
                table.Note($"{answer.Organization}: {answer.State} by {answer.By}{(answer.Comment is null ? "" : $": {answer.Comment}")}");
        }

        return table;
    }

    private static string Minute(DateTime time) => ExceptionChanges.Minute(new DateTimeOffset(time));

    private static string Path(long id, string act) => string.Create(CultureInfo.InvariantCulture, $"requests/{id}/{act}");

    private static string Person(ParseResult parsed, Option<string?> person) =>
        parsed.GetValue(person) ?? throw new MisuseException("--as is missing: say which member asks, by the Docker Hub user name");

    private static Argument<long> Id() => new("ID") { Description = "Its number, as imageaccess requests list shows it." };

    private static Option<string?> As() => new("--as") { Description = "On the server: who asks, a Docker Hub user name.", HelpName = "NAME" };

    private static Option<string?> Organization() => new("--organization") { Description = "For which organization, where several have to answer.", HelpName = "ORG" };
}
