using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Requests;

/// <summary>What an answer does to its request; also one that comes by a second person, who approves the change that waits.</summary>
/// <param name="roles">Who belongs where; null for a verb on the server, which does not look.</param>
internal sealed class RequestAnswers(RoleBook? roles = null) : IChangeFollower
{
    public async Task DemandAsync(DatabaseContext context, PendingChangeRow change, Actor actor, CancellationToken cancellationToken)
    {
        if (await new RequestTable(context).FindByChangeAsync(change.Id, cancellationToken) is not { } request)
            return;
        if (request.IsOf(actor))
        {
            throw new ForbiddenChangeException(string.Create(
                CultureInfo.InvariantCulture, $"{actor.Name} has asked for the request {request.Id}: another person has to approve the change {change.Id}"));
        }

        DemandAsking(request, change.Organization!, person => roles?.HasLeft(person, change.Organization!) ?? false);
    }

    public async Task FollowAsync(DatabaseContext context, PendingChangeRow change, CancellationToken cancellationToken)
    {
        var table = new RequestTable(context);
        if (await table.FindByChangeAsync(change.Id, cancellationToken) is not { } request)
            return;
        var (answer, at) = (request.Answers.Find(answer => answer.Change == change.Id)!, change.DecidedAt ?? change.Until);
        if (change.State == PendingChangeRow.Done)
        {
            var exception = await new ExceptionTable(context).FindInForceAsync(answer.Organization, answer.Image!, at, cancellationToken);
            (answer.State, answer.By, answer.At) = (RequestAnswerRow.Approved, $"{change.By} and {change.DecidedBy}", at);
            (answer.Exception, answer.Until) = (exception?.Id, exception?.Until);
            await ApproveAsync(table, request, answer, change.Ticket, cancellationToken);
        }
        else if (change.State == PendingChangeRow.Declined && !string.Equals(change.DecidedBy, change.By, StringComparison.OrdinalIgnoreCase))
        {
            await DeclineAsync(table, request, answer, change.DecidedBy, change.DecidedReason, change.Ticket, at, cancellationToken);
        }
        else
        {
            await ReopenAsync(table, request, answer, change, at, cancellationToken);
        }
    }

    /// <summary>Those who ask and still belong to the organization: whoever has left gets nothing, and is counted no more.</summary>
    /// <exception cref="RefusedChangeException">All have left.</exception>
    public static List<RequestVoiceRow> DemandAsking(AccessRequest request, string organization, Func<string, bool> hasLeft) =>
        request.Asking.Where(voice => !hasLeft(voice.Person)).ToList() is { Count: > 0 } asking ? asking
            : throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"nobody who asks for {request.Row.Image} by the request {request.Id} belongs to {organization} any more: decline it"));

    /// <summary>An organization has approved, or its approval waits. With the last one the request is over.</summary>
    public static Task ApproveAsync(RequestTable table, AccessRequest request, RequestAnswerRow answer, string? ticket, CancellationToken cancellationToken)
    {
        if (request.Answers.TrueForAll(each => each.State == RequestAnswerRow.Approved))
            request.Row.State = AccessRequestRow.Approved;
        var step = RequestTable.NewStep(answer.State == RequestAnswerRow.Approved ? RequestStepRow.Approved : RequestStepRow.Waiting, answer.At!.Value) with
        {
            Organization = answer.Organization,
            By = answer.By,
            Reason = answer.Comment,
            Ticket = ticket,
            Exception = answer.Exception,
            Change = answer.Change,
        };
        return table.StepAsync(request, step, cancellationToken);
    }

    /// <summary>An organization has declined: the image will not come.</summary>
    public static Task DeclineAsync(
        RequestTable table, AccessRequest request, RequestAnswerRow answer, string? by, string? comment, string? ticket, DateTimeOffset at, CancellationToken cancellationToken)
    {
        (answer.State, answer.By, answer.At, answer.Comment, answer.Image, answer.Until) = (RequestAnswerRow.Declined, by, at, comment, null, null);
        request.Row.State = AccessRequestRow.Declined;
        return table.StepAsync(
            request, RequestTable.NewStep(RequestStepRow.Declined, at) with { Organization = answer.Organization, By = by, Reason = comment, Ticket = ticket, Change = answer.Change }, cancellationToken);
    }

    /// <summary>Who approved has withdrawn that, or it could not be done: another one may approve.</summary>
    private static Task ReopenAsync(RequestTable table, AccessRequest request, RequestAnswerRow answer, PendingChangeRow change, DateTimeOffset at, CancellationToken cancellationToken)
    {
        (answer.State, answer.By, answer.At, answer.Comment, answer.Image, answer.Until, answer.Change) = (RequestAnswerRow.Open, null, null, null, null, null, null);
        return table.StepAsync(
            request, RequestTable.NewStep(RequestStepRow.Reopened, at) with { Organization = answer.Organization, By = change.DecidedBy, Reason = change.DecidedReason, Change = change.Id }, cancellationToken);
    }
}
