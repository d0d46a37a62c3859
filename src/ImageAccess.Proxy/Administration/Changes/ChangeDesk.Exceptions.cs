using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    private const string ExceptionKind = "exception";

    private ExceptionChanges Granting => new(database, time);

    /// <summary>Grants an exception. Its reason, its ticket and who grants it are the request's.</summary>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">There is one already, or there are too many.</exception>
    public Task<ChangeOutcome<ExceptionRow>> GrantExceptionAsync(ExceptionGrant grant, ChangeRequest request, CancellationToken cancellationToken) =>
        GrantExceptionAsync(grant, request, within: null, cancellationToken);

    /// <summary>The same, as a part of something larger.</summary>
    /// <inheritdoc cref="GrantExceptionAsync(ExceptionGrant, ChangeRequest, CancellationToken)"/>
    public async Task<ChangeOutcome<ExceptionRow>> GrantExceptionAsync(ExceptionGrant grant, ChangeRequest request, GrantingStep? within, CancellationToken cancellationToken)
    {
        Demand(request.Actor, grant.Organization, Operation.GrantException);
        grant = grant with { Reason = request.Reason, Ticket = request.Ticket, ApprovedBy = request.Actor.Name };
        var granted = grant.Check(policy(), Now, out var faults);
        Demand(faults.Concat(request.TicketFaults(policy().Document.Changes.DemandsTicket)));
        if (!Waits)
            return await GrantAsync(granted!, within, cancellationToken);

        List<string> opens = [$"{Shown(granted!)} to {granted!.Organization} {ExceptionChanges.Words(granted.Until)}"];
        return new(null, await AskAsync(
            ExceptionKind,
            granted.Organization,
            grant,
            opens,
            request,
            async context =>
            {
                if (within is not null)
                    await within.Demand(context);
                await ExceptionChanges.CheckAsync(context, granted, cancellationToken);
            },
            cancellationToken,
            (context, change) => within?.Then(context, new(null, change)) ?? Task.CompletedTask));
    }

    /// <summary>Ends an exception.</summary>
    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">It is over already.</exception>
    public Task<ExceptionRow> EndExceptionAsync(long id, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: false, needsTicket: false));
        return Granting.EndAsync(
            id,
            new ExceptionEnd(request.Actor.Name, request.Reason.Length == 0 ? null : request.Reason, request.Ticket),
            row =>
            {
                if (!MayKnow(request.Actor, row.Organization))
                    throw ExceptionChanges.Unknown(id);
                Demand(request.Actor, row.Organization, Operation.EndException);
            },
            cancellationToken);
    }

    private async Task<ChangeOutcome<ExceptionRow>> GrantAsync(GrantedException granted, GrantingStep? within, CancellationToken cancellationToken)
    {
        ChangeOutcome<ExceptionRow>? outcome = null;
        await database.WriteAsync(
            async context =>
            {
                if (within is not null)
                    await within.Demand(context);
                outcome = new(await Granting.AddAsync(context, granted, cancellationToken), null);
                if (within is not null)
                    await within.Then(context, outcome);
            },
            cancellationToken);
        return outcome!;
    }

    private async Task GrantAsync(DatabaseContext context, PendingChangeRow change, Actor approver, CancellationToken cancellationToken)
    {
        var grant = JsonSerializer.Deserialize<ExceptionGrant>(change.Payload, Json)!;
        if (grant.Check(policy(), Now, out var faults) is not { } granted)
            throw new FaultyChangeException(faults);
        await Granting.AddAsync(context, granted with { ApprovedBy = Both(change, approver) }, cancellationToken);
    }

    private static string Shown(GrantedException granted) => granted.Approved is { } digest ? $"{granted.Pattern} as {digest}"
        : granted.Follow ? $"{granted.Pattern} (whatever it comes to)" : granted.Pattern.ToString();
}

/// <summary>What an exception is a part of, in one transaction with it.</summary>
/// <param name="Demand">Done before it is granted, or waits; it throws where it must not be.</param>
/// <param name="Then">Done afterwards.</param>
internal sealed record GrantingStep(Func<DatabaseContext, Task> Demand, Func<DatabaseContext, ChangeOutcome<ExceptionRow>, Task> Then);
