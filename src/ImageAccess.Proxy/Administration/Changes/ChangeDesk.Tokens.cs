using System.Text.Json;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using static ImageAccess.Core.Policies.Roles;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    private const string TokenKind = "token";

    private TokenChanges Making => new(database, time);

    /// <summary>Makes a token of the API. One that does more than read or report is a new administrator: it is made at once, and good once a second person has approved it.</summary>
    /// <param name="grant">What is wanted; without a fault.</param>
    /// <exception cref="FaultyChangeException">Something of the request is wrong.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">There are too many.</exception>
    public async Task<TokenOutcome> CreateTokenAsync(TokenGrant grant, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Actor, grant.Organization, Operation.ManageTokens);
        var opens = (RoleNames.Find(grant.Role) & ~(Member | Auditor | Reporter)) != None;
        Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: false, needsTicket: opens && policy().Document.Changes.DemandsTicket));
        if (!opens || !Waits)
        {
            var made = await Making.CreateAsync(grant, request.Actor.Name, cancellationToken);
            return new TokenOutcome(made.Row, made.Secret, null);
        }

        var (row, secret) = Making.Make(grant, request.Actor.Name);
        row.Waits = true;
        List<string> words = [$"a token '{row.Label}' with the role {row.Role} of {row.Organization ?? "every organization"}{(row.Person is null ? "" : $" for {row.Person}")}"];
        var waiting = await AskAsync(
            TokenKind, grant.Organization, new WaitingToken(row.Hash), words, request, context => TokenChanges.AddAsync(context, row, cancellationToken), cancellationToken);
        return new TokenOutcome(row, secret, waiting);
    }

    /// <summary>Revokes a token of the API, at once: it closes.</summary>
    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not, or may less than the token.</exception>
    /// <exception cref="RefusedChangeException">It is revoked already.</exception>
    public Task<ApiTokenRow> RevokeTokenAsync(long id, Actor actor, CancellationToken cancellationToken)
    {
        DemandName(actor);
        return Making.RevokeAsync(
            id,
            actor.Name,
            row =>
            {
                if (!MayKnow(actor, row.Organization))
                    throw TokenChanges.Unknown(id);
                Demand(actor, row.Organization, Operation.ManageTokens);
                DemandCover(actor, row);
            },
            cancellationToken);
    }

    /// <summary>Nobody ends what may more than they: a token is handed to a program by somebody who relies on it.</summary>
    private void DemandCover(Actor actor, ApiTokenRow row)
    {
        if (actor.IsServer || RoleNames.Cover(RolesOf(actor, row.Organization), RoleNames.Find(row.Role)))
            return;
        Forbidden(actor, row.Organization, Operation.ManageTokens);
        throw new ForbiddenChangeException($"{PrintableText.Of(actor.Name)} may less than the token {row.Id}, whose role is {row.Role}");
    }

    private Task AdmitAsync(DatabaseContext context, PendingChangeRow change, CancellationToken cancellationToken) =>
        Making.AdmitAsync(context, JsonSerializer.Deserialize<WaitingToken>(change.Payload, Json)!.Hash, cancellationToken);

    /// <summary>The token, by its hash.</summary>
    private sealed record WaitingToken(byte[] Hash);
}

/// <summary>A token that was made, which nobody can read again; and the change that it waits for, where it does.</summary>
internal sealed record TokenOutcome(ApiTokenRow Row, string Secret, PendingChangeRow? Waiting);
