using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Requests;

internal sealed partial class RequestDesk
{
    /// <summary>Approves a request for one organization: its exception is granted, or waits for a second person.</summary>
    /// <param name="request">Who approves, and what those who asked are told; that may be empty.</param>
    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    /// <exception cref="FaultyChangeException">It would be more than what was asked for, or cannot be granted so.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not, or has asked for it.</exception>
    /// <exception cref="RefusedChangeException">It is over, or answered.</exception>
    public async Task<RequestOutcome> ApproveAsync(long id, RequestApproval approval, ChangeRequest request, CancellationToken cancellationToken)
    {
        ChangeDesk.Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: false, needsTicket: false));
        var (found, granted) = await database.ReadAsync(
            async context =>
            {
                var found = await DemandAnswerableAsync(new RequestTable(context), id, approval.Organization, request.Actor, cancellationToken);
                DemandStranger(found.Request, request.Actor);
                var grant = GrantOf(found.Request, found.Answer.Organization, approval, request);
                return (found, Grant: grant);
            },
            cancellationToken);
        var organization = found.Answer.Organization;
        if (await JoinAsync(id, organization, granted, request, cancellationToken) is { } joined)
            return joined;

        AccessRequest? current = null;
        PendingChangeRow? waiting = null;
        await desk.GrantExceptionAsync(
            granted,
            new ChangeRequest(request.Actor, granted.Reason) { Ticket = granted.Ticket },
            new GrantingStep(
                async context =>
                {
                    current = (await DemandAnswerableAsync(new RequestTable(context), id, organization, request.Actor, cancellationToken)).Request;
                    DemandStranger(current, request.Actor); // who has asked meanwhile
                    DemandAsking(current, organization);
                },
                async (context, outcome) =>
                {
                    waiting = outcome.Waiting;
                    await AnswerAsync(context, current!, organization, granted, request, outcome, cancellationToken);
                }),
            cancellationToken);
        return new RequestOutcome(current!, waiting);
    }

    /// <summary>Declines a request for one organization. The image will not come, so that the request is over.</summary>
    /// <param name="organization">For which; it need not be said where the actor may answer for one alone.</param>
    /// <param name="request">Who declines, and what those who asked are told.</param>
    /// <inheritdoc cref="ApproveAsync"/>
    public Task<RequestOutcome> DeclineAsync(long id, string? organization, ChangeRequest request, CancellationToken cancellationToken)
    {
        ChangeDesk.Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: true, needsTicket: false));
        return WriteAsync(
            async (context, now) =>
            {
                var table = new RequestTable(context);
                var (found, answer) = await DemandAnswerableAsync(table, id, organization, request.Actor, cancellationToken, alsoWaiting: true);
                await RequestAnswers.DeclineAsync(table, found, answer, request.Actor.Name, request.Reason, request.Ticket, now, cancellationToken);
                return new RequestOutcome(found);
            },
            cancellationToken);
    }

    /// <summary>What is granted: no more than what was asked for.</summary>
    private ExceptionGrant GrantOf(AccessRequest found, string organization, RequestApproval approval, ChangeRequest request)
    {
        var asking = DemandAsking(found, organization);
        var longest = asking.Max(voice => voice.Days);
        var most = policy().Document.Exceptions.MaximumDays is { } days && days < longest ? days : longest;
        if (approval.Days < 1 || approval.Days > longest)
            throw Faulty("days", string.Create(CultureInfo.InvariantCulture, $"must be 1 to {longest}: it was asked for no longer"));
        if (approval is { Days: not null, Until: not null })
            throw Faulty("until", "and days exclude each other: choose one of them");
        if (approval.Until > Now.AddDays(longest))
            throw Faulty("until", string.Create(CultureInfo.InvariantCulture, $"must be within {longest} days from now: it was asked for no longer"));
        var first = asking.First(voice => voice.Days == longest);
        return new ExceptionGrant
        {
            Organization = organization,
            Image = Narrow(found.Row.Image, approval.Image),
            Digest = approval.Digest,
            Follow = approval.Follow,
            Reason = request.Reason.Length > 0 ? request.Reason : first.Reason,
            Ticket = request.Ticket ?? asking.Select(voice => voice.Ticket).FirstOrDefault(ticket => ticket is not null),
            AskedBy = Names(asking),
            ApprovedBy = request.Actor.Name,
            Until = approval.Until ?? Now.AddDays(approval.Days ?? most),
        };
    }

    private List<RequestVoiceRow> DemandAsking(AccessRequest found, string organization) =>
        RequestAnswers.DemandAsking(found, organization, person => desk.HasLeft(person, organization));

    /// <summary>The same image, or a part of it: a tag or a digest of the repository, a digest in place of a tag.</summary>
    private static string Narrow(string asked, string? wanted)
    {
        if (wanted is null)
            return asked;
        if (!GrantedException.TryParsePattern(wanted, out var pattern, out var problem))
            throw Faulty("image", $"'{PrintableText.Of(wanted)}' {problem}");
        var (whole, part) = (Read(asked).Asked!.Value, pattern.Asked);
        var isPart = pattern.ToString() == asked
            || (part is { } narrower && narrower.Repository.Value == whole.Repository.Value && whole.Digest is null && (whole.Tag is null || narrower.Digest is not null));
        return isPart ? pattern.ToString() : throw Faulty("image", $"'{pattern}' is no part of what was asked for, which is {asked}");
    }

    /// <summary>Who asked, as far as an exception has room for it.</summary>
    private static string? Names(IEnumerable<RequestVoiceRow> asking)
    {
        var persons = asking.Select(voice => voice.Person).ToList();
        var names = PrintableText.ListOf(persons, persons.Count > 2 ? 1 : 2);
        return names.Length <= ExceptionGrant.MaximumName ? names : null;
    }

    /// <summary>Somebody has granted the same by another way: then that is the answer.</summary>
    private async Task<RequestOutcome?> JoinAsync(long id, string organization, ExceptionGrant grant, ChangeRequest request, CancellationToken cancellationToken)
    {
        if (await database.ReadAsync(context => FindInForceAsync(context, grant, cancellationToken), cancellationToken) is null)
            return null;
        return await WriteAsync(
            async (context, _) =>
            {
                if (await FindInForceAsync(context, grant, cancellationToken) is not { } exception)
                    return null;
                var found = (await DemandAnswerableAsync(new RequestTable(context), id, organization, request.Actor, cancellationToken)).Request;
                DemandStranger(found, request.Actor);
                await AnswerAsync(context, found, organization, grant, request, new ChangeOutcome<ExceptionRow>(exception, null), cancellationToken);
                return new RequestOutcome(found);
            },
            cancellationToken);
    }

    private Task<ExceptionRow?> FindInForceAsync(DatabaseContext context, ExceptionGrant grant, CancellationToken cancellationToken) =>
        new ExceptionTable(context).FindInForceAsync(grant.Organization, grant.Image, Now, cancellationToken);

    private Task AnswerAsync(
        DatabaseContext context, AccessRequest found, string organization, ExceptionGrant grant, ChangeRequest request, ChangeOutcome<ExceptionRow> outcome, CancellationToken cancellationToken)
    {
        var answer = found.AnswerOf(organization)!;
        (answer.By, answer.At, answer.Comment) = (request.Actor.Name, Now, request.Reason.Length == 0 ? null : request.Reason);
        (answer.Image, answer.Until) = (outcome.Done?.Image ?? grant.Image, outcome.Done is { } done ? done.Until : grant.Until);
        (answer.Exception, answer.Change) = (outcome.Done?.Id, outcome.Waiting?.Id);
        answer.State = outcome.Done is null ? RequestAnswerRow.Waiting : RequestAnswerRow.Approved;
        return RequestAnswers.ApproveAsync(new RequestTable(context), found, answer, grant.Ticket, cancellationToken);
    }

    /// <summary>An open request that the actor may answer, and for which organization.</summary>
    /// <param name="alsoWaiting">An answer that waits for a second person can be another one yet.</param>
    private async Task<(AccessRequest Request, RequestAnswerRow Answer)> DemandAnswerableAsync(
        RequestTable table, long id, string? organization, Actor actor, CancellationToken cancellationToken, bool alsoWaiting = false)
    {
        var found = await DemandOpenAsync(table, id, actor, Now, cancellationToken);
        var named = organization ?? ChooseOrganization(found, actor);
        if (found.AnswerOf(named) is not { } answer || !SeesAll(found, actor))
        {
            desk.Demand(actor, named, Operation.Approve);
            throw Faulty("organization", $"'{PrintableText.Of(named)}' does not deny it: {string.Join(", ", found.Row.Organizations)}");
        }

        desk.Demand(actor, named, Operation.Approve);
        desk.Demand(actor, named, Operation.GrantException);
        if (answer.State == RequestAnswerRow.Waiting && !alsoWaiting)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"{answer.By} has approved the request {id} for {named} already, and it waits for a second person: change {answer.Change}"));
        }

        return answer.State is RequestAnswerRow.Open or RequestAnswerRow.Waiting ? (found, answer)
            : throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{answer.By} has approved the request {id} for {named} already"));
    }

    /// <summary>The one for which the actor may answer; of several the one that has not answered.</summary>
    private string ChooseOrganization(AccessRequest found, Actor actor)
    {
        var own = found.Answers.FindAll(answer => desk.May(actor, answer.Organization, Operation.Approve));
        var left = own.FindAll(answer => answer.State == RequestAnswerRow.Open);
        return (own, left) switch
        {
            ([], _) => found.Row.Organizations[0], // which the demand refuses
            ([var one], _) => one.Organization,
            (_, [var one]) => one.Organization,
            _ => throw Faulty("organization", $"is missing: say for which, {string.Join(" or ", own.Select(answer => answer.Organization))}"),
        };
    }

    /// <summary>Nobody opens for themselves, also not by a program that nobody is named for.</summary>
    private static void DemandStranger(AccessRequest found, Actor actor)
    {
        if (PersonOf(actor) is null)
            throw new ForbiddenChangeException("a request is approved by a person, and this token is nobody's");
        if (found.IsOf(actor))
            throw new ForbiddenChangeException(string.Create(CultureInfo.InvariantCulture, $"{actor.Name} has asked for the request {found.Id}: another person has to approve it"));
    }
}
