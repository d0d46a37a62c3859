using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    private const string AccountKind = "account";

    /// <summary>
    /// Confirms that a user name of the policy stands for an account, and for no other: it opens to the account what the name is granted. Who may
    /// write the account into the policy may; of a name that several organizations name, or all together, that is who changes what they share.
    /// </summary>
    /// <param name="name">The user name.</param>
    /// <param name="account">Docker Hub's id of the account, with dashes or without.</param>
    /// <exception cref="FaultyChangeException">Something of it is wrong.</exception>
    /// <exception cref="UnknownChangeException">The policy does not name the user, or not in an organization that the actor may know of.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not, or is the account.</exception>
    /// <exception cref="RefusedChangeException">It is so already, or the document says it.</exception>
    public async Task<ChangeOutcome<ConfirmedAccountRow>> ConfirmAccountAsync(string name, string account, ChangeRequest request, CancellationToken cancellationToken)
    {
        var (username, current) = (name.ToLowerInvariant(), policy());
        if (!MayKnowName(request.Actor, username, current))
            throw new UnknownChangeException($"the policy does not name {PrintableText.Of(username)}: only its owners, members and roles stand for an account");
        var organization = current.OnlyOrganizationNaming(username);
        Demand(request.Actor, organization, Operation.ConfirmAccount);
        Demand(AccountFaults(account).Concat(request.Faults(ExceptionGrant.MaximumReason, needsReason: true, current.Document.Changes.DemandsTicket)));
        var wanted = new AccountOfName(username, Caller.AccountOf(account));
        DemandAnother(request.Actor, wanted);
        if (Waits)
        {
            List<string> opens = [$"what the user name {wanted.Name} is granted to the account {wanted.Account}"];
            return new(null, await AskAsync(
                AccountKind, organization, wanted, opens, request, context => CheckAsync(context, wanted, organization, cancellationToken), cancellationToken));
        }

        ConfirmedAccountRow? confirmed = null;
        await database.WriteAsync(
            async context => confirmed = await ConfirmAsync(context, wanted, organization, request.Actor.Name, request.Reason, request.Ticket, cancellationToken), cancellationToken);
        return new(confirmed, null);
    }

    private Task<ConfirmedAccountRow> ConfirmAsync(DatabaseContext context, PendingChangeRow change, Actor approver, CancellationToken cancellationToken) => ConfirmAsync(
        context, AccountOf(change), change.Organization, Both(change, approver, ExceptionGrant.MaximumName), change.Reason, change.Ticket, cancellationToken);

    private async Task<ConfirmedAccountRow> ConfirmAsync(
        DatabaseContext context, AccountOfName wanted, string? organization, string by, string reason, string? ticket, CancellationToken cancellationToken)
    {
        await CheckAsync(context, wanted, organization, cancellationToken);
        var row = new ConfirmedAccountRow { Name = wanted.Name, Account = wanted.Account, Organization = organization, By = by, Reason = reason, Ticket = ticket, At = Now };
        var confirmed = await new ConfirmedAccountTable(context).AddAsync(row, cancellationToken);
        await database.TellAsync(context, cancellationToken);
        return confirmed;
    }

    /// <summary>Whether it could be confirmed, by the policy of this moment.</summary>
    private async Task CheckAsync(DatabaseContext context, AccountOfName wanted, string? organization, CancellationToken cancellationToken)
    {
        var current = policy();
        if (!current.NamesPerson(wanted.Name) || (organization is not null && current.OnlyOrganizationNaming(wanted.Name) != organization))
            throw new RefusedChangeException($"the policy names {wanted.Name} no longer, or elsewhere too: ask for it again");
        if (current.AccountOf(wanted.Name) is { } written)
            throw new RefusedChangeException($"the policy's document writes the account {written} beside {wanted.Name}: change it there");
        var table = new ConfirmedAccountTable(context);
        var before = await table.FindAsync(wanted.Name, cancellationToken);
        if (before?.Account == wanted.Account && (before.Organization is null || before.Organization == organization))
            throw new RefusedChangeException($"{before.By} has confirmed the account {wanted.Account} behind {wanted.Name} already, {ExceptionChanges.Minute(before.At)}");
        if (before is null && await table.CountAsync(cancellationToken) >= ConfirmedAccounts.Maximum)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"{ConfirmedAccounts.Maximum:N0} accounts are confirmed, and there can be no more: write some into the policy"));
        }
    }

    private static IEnumerable<ChangeFault> AccountFaults(string account)
    {
        if (!Guid.TryParseExact(account, "N", out _) && !Guid.TryParseExact(account, "D", out _))
            yield return new("account", $"'{PrintableText.Of(account)}' is no id of Docker Hub: 32 hexadecimal digits, as the log and the audit trail show it");
    }

    private bool MayKnowName(Actor actor, string username, Policy current) => AccountName.IsUser(username) && current.NamesPerson(username)
        && (MayKnow(actor, organization: null) || current.OrganizationsNaming(username).Any(organization => MayKnow(actor, organization)));

    /// <summary>Nobody says of himself that a name is his.</summary>
    private static void DemandAnother(Actor actor, AccountOfName wanted)
    {
        if (actor.IsSamePerson(wanted.Name) || (actor.Account is { } own && Caller.AccountOf(own) == wanted.Account))
            throw new ForbiddenChangeException($"{actor.Name} cannot confirm an account behind {wanted.Name}: another person has to");
    }

    private static AccountOfName AccountOf(PendingChangeRow change) => JsonSerializer.Deserialize<AccountOfName>(change.Payload, Json)!;

    /// <summary>Which account is to be confirmed.</summary>
    private sealed record AccountOfName(string Name, string Account);
}
