using System.Text.Json;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Changes;

internal sealed partial class ChangeDesk
{
    /// <summary>How long who has asked may read a name, from the approval on.</summary>
    public static readonly TimeSpan OpenFor = TimeSpan.FromHours(1);

    private const string CallerKind = "caller";

    /// <summary>Asks who a pseudonym is. It always takes a second person, whatever the policy demands for changes.</summary>
    /// <param name="pseudonym">Which; its decisions are ones that the actor sees.</param>
    /// <param name="organization">Whose; null for all.</param>
    /// <exception cref="UnknownChangeException">Nobody can say who it is.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not.</exception>
    /// <exception cref="RefusedChangeException">Somebody has asked already.</exception>
    public Task<PendingChangeRow> AskForCallerAsync(string pseudonym, string? organization, ChangeRequest request, CancellationToken cancellationToken)
    {
        Demand(request.Actor, organization, Operation.OpenCaller);
        if (request.Actor.Fixed is not null && request.Actor.Person is null)
            throw new ForbiddenChangeException("who a caller is is told to a person, and this token is nobody's");
        Demand(request.Faults(ExceptionGrant.MaximumReason, needsReason: true, policy().Document.Changes.DemandsTicket));
        return AskAsync(
            CallerKind, organization, new PseudonymOfCaller(pseudonym), Words(pseudonym), request, context => DemandCallerAsync(context, pseudonym, cancellationToken), cancellationToken);
    }

    /// <summary>The name behind a pseudonym, for who has asked for it, as long as it is open; each reading is recorded before it is told.</summary>
    /// <param name="record">Records it: the change that opened it.</param>
    /// <exception cref="UnknownChangeException">Nobody can say who it is.</exception>
    /// <exception cref="ForbiddenChangeException">It is not open to the actor.</exception>
    public async Task<OpenedCaller> ReadCallerAsync(string pseudonym, Actor actor, KeyFile key, Func<PendingChangeRow, Task> record, CancellationToken cancellationToken)
    {
        var (now, words) = (Now, Words(pseudonym));
        var done = await database.ReadAsync(
            context => context.PendingChanges.AsNoTracking().Where(row => row.Kind == CallerKind && row.State == PendingChangeRow.Done).OrderByDescending(row => row.DecidedVersion).Take(1000).ToListAsync(cancellationToken),
            cancellationToken);
        var opened = done.Find(row => row.Opens.SequenceEqual(words) && actor.IsSamePerson(row.Person) && (row.DecidedAt ?? default) + OpenFor > now && May(actor, row.Organization, Operation.OpenCaller))
            ?? throw new ForbiddenChangeException(
                $"{PrintableText.Of(pseudonym)} is not open to {actor.Name}: ask for it, and another person has to approve it; who has asked may then read the name for an hour");
        await record(opened);
        var name = await database.ReadAsync(context => new PseudonymTable(context, key).FindAsync(pseudonym, cancellationToken), cancellationToken) ?? throw Unknown(pseudonym);
        return new OpenedCaller(pseudonym, name, opened.DecidedAt!.Value.UtcDateTime + OpenFor);
    }

    private static async Task DemandCallerAsync(DatabaseContext context, string pseudonym, CancellationToken cancellationToken)
    {
        if (!Pseudonyms.Is(pseudonym) || !await context.Pseudonyms.AnyAsync(row => row.Pseudonym == pseudonym, cancellationToken))
            throw Unknown(pseudonym);
    }

    private static UnknownChangeException Unknown(string pseudonym) => new($"nobody can say who {PrintableText.Of(pseudonym)} is");

    private static List<string> Words(string pseudonym) => [$"who {pseudonym} is"];

    private static string PseudonymOf(PendingChangeRow change) => JsonSerializer.Deserialize<PseudonymOfCaller>(change.Payload, Json)!.Pseudonym;

    private sealed record PseudonymOfCaller(string Pseudonym);
}

/// <summary>Who a pseudonym is, as long as it is open.</summary>
internal sealed record OpenedCaller(string Pseudonym, string Name, DateTime Until);
