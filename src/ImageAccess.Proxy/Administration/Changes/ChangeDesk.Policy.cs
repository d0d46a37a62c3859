using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    private const string PolicyKind = "policy";

    private PolicyEdits Editing => new(database, files, time);

    /// <summary>Changes the policy document of the database, or one organization's section of it, or goes back to an earlier version of either.</summary>
    /// <exception cref="FaultyChangeException">Something of the request is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="OutdatedChangeException">Somebody was faster.</exception>
    /// <exception cref="SamePolicyException">It changes nothing.</exception>
    /// <exception cref="RefusedChangeException">The document has problems, or is a file.</exception>
    public async Task<ChangeOutcome<PolicyVersionRow>> ChangePolicyAsync(PolicyEdit edit, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Actor, edit.Organization, RightTo(edit.Organization));
        Demand(request.Faults(PolicyEdits.MaximumReason, needsReason: true, needsTicket: false));
        var plan = await Editing.PlanAsync(edit, cancellationToken);
        if (plan.Waits(ChangesUnder(plan.Before)))
        {
            Demand(request.TicketFaults(ChangesUnder(plan.Before).DemandsTicket));
            return new(null, await AskAsync(
                PolicyKind, edit.Organization, WaitingEdit.Of(edit, plan.Unchanged), [.. plan.Opens], request, check: null, cancellationToken))
            {
                TakesBack = plan.TakesBack,
            };
        }

        var by = new PolicyAuthor(request.Actor.Name, request.Reason, request.Ticket);
        return new(await Editing.ApplyAsync(edit, by, planned => DemandAlone(planned, request), cancellationToken), null);
    }

    /// <summary>What was planned may open by now: somebody else has changed the document meanwhile.</summary>
    private void DemandAlone(PolicyPlan plan, ChangeRequest request)
    {
        if (plan.IsSame || plan.Opens.Count == 0)
            return;
        var changes = ChangesUnder(plan.Before);
        Demand(request.TicketFaults(changes.DemandsTicket));
        if (changes.Approvals > 1)
            throw new RefusedChangeException("somebody else has changed the policy just now, and the change opens something by that: try again");
    }

    /// <summary>It is a change of what was there when it was asked for: by what came since it would be another one.</summary>
    private Task<PolicyVersionRow> ApplyAsync(DatabaseContext context, PendingChangeRow change, Actor approver, CancellationToken cancellationToken)
    {
        var by = new PolicyAuthor(Both(change, approver, ExceptionGrant.MaximumName), change.Reason, change.Ticket);
        return Editing.ApplyAsync(context, JsonSerializer.Deserialize<WaitingEdit>(change.Payload, Json)!.ToEdit(), by, check: null, cancellationToken);
    }

    /// <summary>What is demanded is said by the document that is changed, so that it cannot be switched off alone.</summary>
    private ChangesDocument ChangesUnder(Policy? before) => (before ?? policy()).Document.Changes;

    private static Operation RightTo(string? organization) => organization is null ? Operation.ChangeCompany : Operation.ChangePolicy;

    /// <summary>An edit as it waits.</summary>
    private sealed record WaitingEdit(string Unchanged)
    {
        public byte[]? Content { get; init; }

        public string? Version { get; init; }

        public string? Organization { get; init; }

        public static WaitingEdit Of(PolicyEdit edit, string unchanged) => new(unchanged)
        {
            Content = edit.Version is null ? edit.Content.ToArray() : null,
            Version = edit.Version,
            Organization = edit.Organization,
        };

        public PolicyEdit ToEdit() => new() { Content = Content, Version = Version, Organization = Organization, IfUnchanged = Unchanged };
    }
}
