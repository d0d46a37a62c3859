using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Requests;

/// <summary>
/// Where members ask for images that are denied to them, and where their organizations answer. An approval grants an exception, by the desk of all
/// changes: where the policy demands a second person it waits for one.
/// </summary>
/// <param name="database">Where it is written.</param>
/// <param name="desk">Where exceptions are granted, and who may what.</param>
/// <param name="policy">The policy of this moment.</param>
/// <param name="judge">What the policy says about an image to a user.</param>
/// <param name="time">The clock.</param>
/// <param name="key">Tells whose a denial is that has a pseudonym; null where none has.</param>
internal sealed partial class RequestDesk(
    SqlDatabase database, ChangeDesk desk, Func<Policy> policy, Func<ImageName, string, CancellationToken, Task<ImageVerdict>> judge, TimeProvider time, KeyFile? key = null)
{
    /// <summary>Of how many open requests a person can be a voice.</summary>
    public const int MaximumOpenOfOne = 20;

    /// <summary>How often a person can ask within a day.</summary>
    public const int MaximumOfOneDay = 50;

    /// <summary>How many persons can have asked for the same.</summary>
    public const int MaximumVoices = 100;

    /// <summary>How long a request is open.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private DateTimeOffset Now => SqlDatabase.NowOf(time);

    /// <summary>Asks for an image, or joins those who ask for it already.</summary>
    /// <param name="ask">For what, and how long.</param>
    /// <param name="request">Who asks, and why: a person, or the server in the name of one.</param>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor is no person.</exception>
    /// <exception cref="RefusedChangeException">Nothing is to be asked for, or there are too many requests.</exception>
    /// <exception cref="NoVerdictException">The policy gives no verdict.</exception>
    public async Task<RequestOutcome> AskAsync(AccessAsk ask, ChangeRequest request, CancellationToken cancellationToken)
    {
        var person = PersonOf(request.Actor) ?? throw new ForbiddenChangeException("access is asked for by a person, and this token is nobody's");
        ChangeDesk.Demand(Faults(ask, person, request));
        await database.ReadAsync(
            async context =>
            {
                await DemandShareAsync(new RequestTable(context), person, Now, cancellationToken); // before the catalog is asked
                return true;
            },
            cancellationToken);
        var denial = ask.Denial is null ? null : await FindDenialAsync(ask.Denial, person, cancellationToken);
        var image = denial is null ? Read(ask.Image!) : ImageOf(denial);
        var organizations = await FindDenyingAsync(image, denial, person, request.Actor, cancellationToken);
        return await WriteAsync(
            async (context, now) =>
            {
                var table = new RequestTable(context);
                await DemandShareAsync(table, person, now, cancellationToken);
                var found = await table.FindOpenAsync(image.ToString(), organizations, now, cancellationToken);
                DemandVoice(found, person, image);
                var asked = found ?? await AddAsync(table, image, organizations, now, cancellationToken);
                table.AddVoice(asked, new RequestVoiceRow
                {
                    Request = asked.Id,
                    Person = person,
                    Reason = request.Reason,
                    Days = ask.Days,
                    Ticket = request.Ticket,
                    Denial = denial?.Id,
                    AtMilliseconds = now.ToUnixTimeMilliseconds(),
                });
                var step = RequestTable.NewStep(found is null ? RequestStepRow.Asked : RequestStepRow.Joined, now) with { By = request.Actor.Name, AskedBy = [person], Reason = request.Reason, Ticket = request.Ticket };
                await table.StepAsync(asked, step, cancellationToken);
                return new RequestOutcome(asked, IsNew: found is null);
            },
            cancellationToken);
    }

    /// <summary>Ends one person's part in a request; with the last one it is over.</summary>
    /// <param name="request">Who withdraws, and why; the reason may be empty.</param>
    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    /// <exception cref="RefusedChangeException">The actor does not ask for it, or it is over.</exception>
    public Task<RequestOutcome> WithdrawAsync(long id, ChangeRequest request, CancellationToken cancellationToken)
    {
        ChangeDesk.Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: false, needsTicket: false));
        return WriteAsync(
            async (context, now) =>
            {
                var table = new RequestTable(context);
                var found = await DemandOpenAsync(table, id, request.Actor, now, cancellationToken);
                var person = PersonOf(request.Actor);
                var voice = (person is null ? null : found.VoiceOf(person))
                    ?? throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{person ?? request.Actor.Name} does not ask for {found.Row.Image}, and cannot withdraw the request {id}"));
                voice.Withdrawn = now;
                if (!found.Asking.Any())
                    found.Row.State = AccessRequestRow.Withdrawn;
                var step = RequestTable.NewStep(RequestStepRow.Withdrawn, now) with { By = request.Actor.Name, AskedBy = [person!], Reason = request.Reason.Length == 0 ? null : request.Reason };
                await table.StepAsync(found, step, cancellationToken);
                return new RequestOutcome(found);
            },
            cancellationToken);
    }

    /// <summary>Those that the actor may see, by falling numbers: their own, and those of organizations whose requests they may read.</summary>
    public Task<IReadOnlyList<AccessRequest>> ListAsync(RequestFilter filter, Actor actor, CancellationToken cancellationToken)
    {
        var seen = filter with
        {
            Organizations = actor.IsServer ? null : [.. policy().Organizations.Select(one => one.Name).Where(name => desk.May(actor, name, Operation.ReadRequests))],
            Person = PersonOf(actor),
            PersonIn = actor.Organization,
        };
        return database.ReadAsync(context => new RequestTable(context).PageAsync(seen, Now, cancellationToken), cancellationToken);
    }

    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    public Task<AccessRequest> FindAsync(long id, Actor actor, CancellationToken cancellationToken) =>
        database.ReadAsync(context => DemandAsync(new RequestTable(context), id, actor, cancellationToken), cancellationToken);

    /// <summary>Whether the actor sees all who ask, and not themselves alone.</summary>
    public bool SeesAll(AccessRequest request, Actor actor) => actor.IsServer || request.Row.Organizations.Exists(organization => desk.May(actor, organization, Operation.ReadRequests));

    /// <summary>The person who acts, in lower case; null for a program.</summary>
    public static string? PersonOf(Actor actor) => (actor.Person ?? (actor.Fixed is null ? actor.Name : null))?.ToLowerInvariant();

    private IEnumerable<ChangeFault> Faults(AccessAsk ask, string person, ChangeRequest request)
    {
        var document = policy().Document.Exceptions;
        var longest = document.MaximumDays ?? GrantedException.LongestDays;
        if (document.Forbidden)
            throw new RefusedChangeException("the policy allows no exceptions (exceptions.allowed): no request can be approved");
        if (!AccountName.IsUser(person))
            yield return new("as", $"'{PrintableText.Of(person)}' is no user name of Docker Hub");
        if ((ask.Image is null) == (ask.Denial is null))
            yield return new(null, "name the image, or the id of its denial: one of them");
        if (ask.Days < 1 || ask.Days > longest)
            yield return new("days", string.Create(CultureInfo.InvariantCulture, $"must be 1 to {longest}{(document.MaximumDays is null ? "" : " (exceptions.maximumDays)")}"));
        foreach (var fault in request.Faults(ExceptionGrant.MaximumReason, needsReason: true, needsTicket: false))
            yield return fault;
    }

    private static ImagePattern Read(string image)
    {
        if (!GrantedException.TryParsePattern(image, out var pattern, out var problem))
            throw Faulty(null, $"'{PrintableText.Of(image)}' {problem}");
        return pattern.Asked is not null ? pattern : throw Faulty(null, $"'{pattern}' is a whole namespace: ask for a repository, a tag or a digest");
    }

    private static FaultyChangeException Faulty(string? part, string text) => new([new ChangeFault(part, text)]);

    /// <summary>One's own, or that of somebody who had not signed in: whoever knows its id has been told the image.</summary>
    private async Task<DenialRow> FindDenialAsync(string id, string person, CancellationToken cancellationToken) =>
        await database.ReadAsync(context => FindDenialAsync(context, id, person, cancellationToken), cancellationToken) is { Repository: not null } row
            ? row
            : throw new UnknownChangeException($"there is no denial {PrintableText.Of(id)} of {person}: denials are kept for 30 days, from a few seconds after they happen");

    private async Task<DenialRow?> FindDenialAsync(DatabaseContext context, string id, string person, CancellationToken cancellationToken)
    {
        var row = await new DenialTable(context).FindAsync(id, cancellationToken);
        var caller = key is not null && Pseudonyms.Is(row?.Caller) ? await new PseudonymTable(context, key).FindAsync(row!.Caller!, cancellationToken) : row?.Caller;
        return row is not null && (row.Caller is null || string.Equals(caller, person, StringComparison.OrdinalIgnoreCase)) ? row : null;
    }

    /// <summary>What was denied; of what is no manifest, and so no pull by a name, its repository.</summary>
    private static ImagePattern ImageOf(DenialRow denial)
    {
        var part = denial.Reference is not { } reference || reference.Contains('/', StringComparison.Ordinal) ? ""
            : reference.Contains(':', StringComparison.Ordinal) ? $"@{reference}" : $":{reference}";
        return GrantedException.TryParsePattern(denial.Repository + part, out var pattern, out _) ? pattern : Read(denial.Repository!);
    }

    /// <summary>Those of the person's organizations that deny it now; by what they say it is clear what an approval would do.</summary>
    private async Task<List<string>> FindDenyingAsync(ImagePattern image, DenialRow? denial, string person, Actor actor, CancellationToken cancellationToken)
    {
        if (!ImageName.TryParse(image.ToString(), out var name, out var problem))
            throw Faulty(null, $"'{image}' {problem}");
        var verdict = await judge(name, person, cancellationToken);
        if (verdict.Rule == PolicyRule.Block)
            throw new RefusedChangeException($"{image} is blocked: nobody may have it, and no request can open it, until the block is lifted");
        var denying = verdict.IsRefused ? verdict.DeniedBy : await FindLimitingAsync(image, denial, verdict.LimitedBy, cancellationToken);
        if (!verdict.IsRefused && denying.Count == 0)
            throw new RefusedChangeException(verdict.Verdict == ImageVerdict.Unknown ? $"{image}: {verdict.Text}" : $"{image} is allowed to {person} already, by the rule {verdict.Rule}");
        if (verdict.Rule == PolicyRule.Unknown)
            throw new RefusedChangeException(verdict.Text ?? $"the publisher of {image} is not known, try again");
        if (denying.Count == 0)
        {
            throw verdict.Rule is PolicyRule.SignIn or PolicyRule.Outsider or PolicyRule.OrganizationToken
                ? new RefusedChangeException($"no image is allowed to {person}: {verdict.Text}")
                : new ForbiddenChangeException($"{person} is not a member of an organization of the policy");
        }

        if (!denying.Any(organization => desk.May(actor, organization, Operation.AskForAccess)))
        {
            throw actor.Organization is { } own
                ? new RefusedChangeException($"{own} does not deny {image}, and the token is for {own} alone")
                : new ForbiddenChangeException($"{actor.Name} may not ask for access in {string.Join(", ", denying)}");
        }

        return [.. denying];
    }

    /// <summary>Of organizations with exceptions for some images of a repository, those that have none for what is asked for.</summary>
    private Task<IReadOnlyList<string>> FindLimitingAsync(ImagePattern image, DenialRow? denial, IReadOnlyList<string> organizations, CancellationToken cancellationToken)
    {
        if (image.Asked?.Tag is not null && organizations.Count > 0 && denial?.Rule == PolicyRule.Exception)
            throw new RefusedChangeException($"{image} has an exception, and has changed since: ask for the digest that it has now, or for the whole repository");
        return image.Asked?.Tag is not null || organizations.Count == 0 ? Task.FromResult<IReadOnlyList<string>>([]) : database.ReadAsync<IReadOnlyList<string>>(
            async context =>
            {
                var limiting = new List<string>();
                foreach (var organization in organizations)
                {
                    if (await new ExceptionTable(context).FindInForceAsync(organization, image.ToString(), Now, cancellationToken) is null)
                        limiting.Add(organization);
                }

                return limiting;
            },
            cancellationToken);
    }

    private static async Task DemandShareAsync(RequestTable table, string person, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (await table.CountOpenAsync(person, now, cancellationToken) >= MaximumOpenOfOne)
            throw new RefusedChangeException($"{person} has {MaximumOpenOfOne} open requests, and can have no more: wait for answers, or withdraw some");
        if (await table.CountVoicesAsync(person, now - Day, cancellationToken) >= MaximumOfOneDay)
            throw new RefusedChangeException($"{person} has asked {MaximumOfOneDay} times within 24 hours, and can ask no more for now: try again tomorrow");
    }

    private static void DemandVoice(AccessRequest? found, string person, ImagePattern image)
    {
        if (found?.VoiceOf(person) is not null)
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{person} asks for {image} already: request {found.Id}"));
        if (found?.Voices.Count >= MaximumVoices)
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{MaximumVoices} have asked for {image} already, by the request {found.Id}: wait for its answer"));
    }

    private static async Task<AccessRequest> AddAsync(RequestTable table, ImagePattern image, List<string> organizations, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (await table.CountOpenAsync(now, cancellationToken) >= RequestTable.MaximumOpen)
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{RequestTable.MaximumOpen:N0} requests are open, and there can be no more: approve or decline some"));
        var row = new AccessRequestRow
        {
            Image = image.ToString(),
            Organizations = organizations,
            At = now,
            UntilMilliseconds = (now + Lifetime).ToUnixTimeMilliseconds(),
            State = AccessRequestRow.Open,
        };
        return await table.AddAsync(row, cancellationToken);
    }

    /// <summary>Does something in one transaction, after what has run out was ended, and tells those who watch.</summary>
    private async Task<T> WriteAsync<T>(Func<DatabaseContext, DateTimeOffset, Task<T>> write, CancellationToken cancellationToken)
    {
        var written = default(T);
        await database.WriteAsync(
            async context =>
            {
                var now = Now;
                await new RequestTable(context).EndOverdueAsync(now, cancellationToken);
                written = await write(context, now);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return written!;
    }

    private async Task<AccessRequest> DemandAsync(RequestTable table, long id, Actor actor, CancellationToken cancellationToken)
    {
        var found = await table.FindAsync(id, cancellationToken);
        return found is not null && (SeesAll(found, actor) || IsOwn(found, actor)) ? found
            : throw new UnknownChangeException(string.Create(CultureInfo.InvariantCulture, $"there is no request {id}; imageaccess requests list names them"));
    }

    private async Task<AccessRequest> DemandOpenAsync(RequestTable table, long id, Actor actor, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var found = await DemandAsync(table, id, actor, cancellationToken);
        return found.StateAt(now) == AccessRequestRow.Open ? found
            : throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"the request {id} is over: {found.StateAt(now)}, {ExceptionChanges.Minute(found.Row.Closed ?? found.Row.Until)}"));
    }

    private static bool IsOwn(AccessRequest request, Actor actor) => PersonOf(actor) is { } person
        && request.Voices.Exists(voice => voice.Person == person)
        && (actor.Organization is not { } own || request.Row.Organizations.Contains(own));
}
