using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>
/// Where people change things, by whichever way they come: it looks whether they may, whether what they want is right, and does it. What opens
/// waits where the policy demands a second person; what closes is done at once. Each part of the class has one kind of change.
/// </summary>
/// <param name="database">Where it is written.</param>
/// <param name="files">Where the blocks are.</param>
/// <param name="policy">The policy of this moment.</param>
/// <param name="time">The clock.</param>
/// <param name="roles">Who may what; null for a verb, whose actor is always the server itself.</param>
/// <param name="trail">Where refusals are recorded; null for a verb, which is refused nothing.</param>
/// <param name="followers">Those whom a change that waits may concern.</param>
internal sealed partial class ChangeDesk(
    SqlDatabase database, PolicyStoreOptions files, Func<Policy> policy, TimeProvider time, RoleBook? roles = null, AuditTrail? trail = null, IReadOnlyList<IChangeFollower>? followers = null)
{
    /// <summary>How many changes of one person may wait.</summary>
    public const int MaximumOfOne = 100;

    /// <summary>How long a change waits.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    private const string NobodyApproved = "nobody approved it within 30 days";

    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web) { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    private readonly IReadOnlyList<IChangeFollower> _followers = followers ?? [];

    private DateTimeOffset Now => SqlDatabase.NowOf(time);

    /// <summary>The changes that wait, the oldest first; all of them, or one organization's.</summary>
    public Task<IReadOnlyList<PendingChangeRow>> ListWaitingAsync(string? organization, CancellationToken cancellationToken) => database.ReadAsync<IReadOnlyList<PendingChangeRow>>(
        async context => await new PendingChanges(context).ListWaitingAsync(organization, Now, cancellationToken), cancellationToken);

    /// <summary>Does a change that waits, by the policy of this moment. What cannot be done any more ends.</summary>
    /// <exception cref="UnknownChangeException">There is none with this number, or none that the actor may know of.</exception>
    /// <exception cref="ForbiddenChangeException">The actor may not do it, or asked for it.</exception>
    /// <exception cref="RefusedChangeException">It waits no longer, or it cannot be done any more.</exception>
    public async Task<PendingChangeRow> ApproveAsync(long id, Actor actor, CancellationToken cancellationToken)
    {
        DemandName(actor);
        return await DecideAsync(
            id,
            actor,
            async (context, change) =>
            {
                DemandSecond(change, actor);
                foreach (var follower in _followers)
                    await follower.DemandAsync(context, change, actor, cancellationToken);
                var refusal = await TryAsync(context, change, actor, cancellationToken);
                return refusal is null ? new Decision(PendingChangeRow.Done, change.Kind == CallerKind ? change.Reason : null) : new Decision(PendingChangeRow.Ended, refusal.Message) { Refusal = refusal };
            },
            cancellationToken);
    }

    /// <summary>Ends a change that waits. Who asked for it may withdraw it.</summary>
    /// <inheritdoc cref="ApproveAsync"/>
    public async Task<PendingChangeRow> DeclineAsync(long id, string reason, Actor actor, CancellationToken cancellationToken)
    {
        Demand(new ChangeRequest(actor, reason).Faults(ExceptionGrant.MaximumReason, needsReason: true, needsTicket: false));
        return await DecideAsync(
            id,
            actor,
            (_, change) =>
            {
                if (!actor.IsSamePerson(change.Person))
                    DemandRight(change, actor);
                return Task.FromResult(new Decision(PendingChangeRow.Declined, reason));
            },
            cancellationToken);
    }

    /// <summary>A change that waits ceases to, in one transaction.</summary>
    /// <param name="decide">What becomes of it; it throws where the actor may not say so.</param>
    private async Task<PendingChangeRow> DecideAsync(
        long id, Actor actor, Func<DatabaseContext, PendingChangeRow, Task<Decision>> decide, CancellationToken cancellationToken)
    {
        PendingChangeRow? change = null;
        RefusedChangeException? refusal = null;
        await database.WriteAsync(
            async context =>
            {
                var (table, now) = (new PendingChanges(context), Now);
                await EndOverdueAsync(context, now, cancellationToken);
                change = await table.FindAsync(id, cancellationToken);
                refusal = WhyNotWaiting(change, id, actor);
                if (refusal is null)
                {
                    var decision = await decide(context, change!);
                    refusal = decision.Refusal;
                    change = await table.FindAsync(id, cancellationToken); // what was tried in vain was forgotten, and the row with it
                    await table.DecideAsync(change!, decision.State, actor.Name, decision.Reason, now, cancellationToken);
                    await FollowAsync(context, change!, cancellationToken);
                }

                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return refusal is null ? change! : throw refusal;
    }

    private async Task EndOverdueAsync(DatabaseContext context, DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var change in await new PendingChanges(context).EndOverdueAsync(now, NobodyApproved, cancellationToken))
            await FollowAsync(context, change, cancellationToken);
    }

    private async Task FollowAsync(DatabaseContext context, PendingChangeRow change, CancellationToken cancellationToken)
    {
        foreach (var follower in _followers)
            await follower.FollowAsync(context, change, cancellationToken);
    }

    /// <summary>Whether a change that opens waits for a second person.</summary>
    private bool Waits => policy().Document.Changes.Approvals > 1;

    /// <summary>A change that opens begins to wait.</summary>
    /// <param name="kind">Which kind of change.</param>
    /// <param name="organization">Whose; null for what all organizations share.</param>
    /// <param name="payload">What is done when it is approved.</param>
    /// <param name="opens">What it opens, in words: of two with the same words one waits.</param>
    /// <param name="request">Who asks for it, and why.</param>
    /// <param name="check">Throws where it could not be done even now.</param>
    /// <param name="then">What else is done in the same transaction.</param>
    private async Task<PendingChangeRow> AskAsync<T>(
        string kind, string? organization, T payload, List<string> opens, ChangeRequest request, Func<DatabaseContext, Task>? check, CancellationToken cancellationToken,
        Func<DatabaseContext, PendingChangeRow, Task>? then = null)
    {
        PendingChangeRow? asked = null;
        await database.WriteAsync(
            async context =>
            {
                var (table, now) = (new PendingChanges(context), Now);
                await EndOverdueAsync(context, now, cancellationToken);
                if (check is not null)
                    await check(context);
                DemandPlace(await table.ListWaitingAsync(organization: null, now, cancellationToken), kind, organization, opens, request.Actor);
                asked = await table.AddAsync(
                    new PendingChangeRow
                    {
                        Kind = kind,
                        Organization = organization,
                        Payload = JsonSerializer.Serialize(payload, Json),
                        Opens = opens,
                        By = request.Actor.Name,
                        Person = request.Actor.Person ?? request.Actor.Name,
                        Reason = request.Reason,
                        Ticket = request.Ticket,
                        At = now,
                        UntilMilliseconds = (now + Lifetime).ToUnixTimeMilliseconds(),
                        State = PendingChangeRow.Waiting,
                    },
                    cancellationToken);
                if (then is not null)
                    await then(context, asked);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return asked!;
    }

    private static void DemandPlace(List<PendingChangeRow> waiting, string kind, string? organization, List<string> opens, Actor actor)
    {
        if (waiting.Find(row => row.Kind == kind && row.Organization == organization && row.Opens.SequenceEqual(opens)) is { } same)
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"the change {same.Id} of {same.By} waits for the same already"));
        if (waiting.Count >= PendingChanges.MaximumWaiting)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"{PendingChanges.MaximumWaiting:N0} changes wait, and there can be no more: approve or decline some"));
        }

        if (waiting.Count(row => actor.IsSamePerson(row.Person)) >= MaximumOfOne)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture, $"{MaximumOfOne} changes of {actor.Name} wait, and there can be no more: let them be approved, or decline some"));
        }
    }

    /// <summary>Why nobody can decide it any more, or the actor may not know of it; null where it waits.</summary>
    private RefusedChangeException? WhyNotWaiting(PendingChangeRow? change, long id, Actor actor)
    {
        if (change is null || !MayKnow(actor, change.Organization))
            return new UnknownChangeException($"there is no change {id}; imageaccess changes list names those that wait");
        return change.State switch
        {
            PendingChangeRow.Waiting => null,
            PendingChangeRow.Done => new RefusedChangeException($"the change {id} was approved already, {Minute(change)} by {change.DecidedBy}"),
            PendingChangeRow.Declined => new RefusedChangeException($"the change {id} was declined, {Minute(change)} by {change.DecidedBy}: {change.DecidedReason}"),
            _ => new RefusedChangeException($"the change {id} ended, {Minute(change)}: {change.DecidedReason}"),
        };
    }

    /// <summary>Does it, or says why it cannot be done, and then has done nothing.</summary>
    private async Task<RefusedChangeException?> TryAsync(DatabaseContext context, PendingChangeRow change, Actor approver, CancellationToken cancellationToken)
    {
        const string Before = "change";
        var transaction = context.Database.CurrentTransaction!;
        await transaction.CreateSavepointAsync(Before, cancellationToken);
        try
        {
            await DoAsync(context, change, approver, cancellationToken);
            return null;
        }
        catch (RefusedChangeException refusal)
        {
            await transaction.RollbackToSavepointAsync(Before, cancellationToken);
            context.ChangeTracker.Clear();
            return refusal;
        }
    }

    /// <summary>Whose right it takes to do a change of a kind.</summary>
    private static Operation OperationOf(PendingChangeRow change) => change.Kind switch
    {
        ExceptionKind => Operation.GrantException,
        UnblockKind => Operation.LiftBlock,
        PolicyKind => RightTo(change.Organization),
        TokenKind => Operation.ManageTokens,
        AccountKind => Operation.ConfirmAccount,
        CallerKind => Operation.OpenCaller,
        _ => Operation.None,
    };

    private Task DoAsync(DatabaseContext context, PendingChangeRow change, Actor approver, CancellationToken cancellationToken) => change.Kind switch
    {
        ExceptionKind => GrantAsync(context, change, approver, cancellationToken),
        UnblockKind => LiftAsync(change, approver, cancellationToken),
        PolicyKind => ApplyAsync(context, change, approver, cancellationToken),
        TokenKind => AdmitAsync(context, change, cancellationToken),
        AccountKind => ConfirmAsync(context, change, approver, cancellationToken),
        CallerKind => DemandCallerAsync(context, PseudonymOf(change), cancellationToken),
        _ => throw new RefusedChangeException($"a change of the kind {PrintableText.Of(change.Kind)} is not known to this version of imageaccess"),
    };

    /// <summary>A second person, who may do it alone where nobody else is demanded.</summary>
    private void DemandSecond(PendingChangeRow change, Actor actor)
    {
        if (actor.Fixed is not null && actor.Person is null)
            throw new ForbiddenChangeException("a change is approved by a person, and this token is nobody's");
        if (actor.IsSamePerson(change.Person) || actor.IsSamePerson(change.By))
            throw new ForbiddenChangeException($"{actor.Name} asked for the change {change.Id}: another person has to approve it");
        if (change.Kind == AccountKind)
            DemandAnother(actor, AccountOf(change));
        DemandRight(change, actor);
    }

    private void DemandRight(PendingChangeRow change, Actor actor)
    {
        Demand(actor, change.Organization, Operation.Approve);
        if (OperationOf(change) is var operation and not Operation.None)
            Demand(actor, change.Organization, operation);
    }

    /// <exception cref="ForbiddenChangeException">The actor may not; it is recorded.</exception>
    internal void Demand(Actor actor, string? organization, Operation operation)
    {
        if (Rights.Allow(RolesOf(actor, organization), operation))
            return;
        Forbidden(actor, organization, operation);
        throw new ForbiddenChangeException($"{PrintableText.Of(actor.Name)} may not do this{(organization is null ? "" : $" in {PrintableText.Of(organization)}")}");
    }

    private void Forbidden(Actor actor, string? organization, Operation operation) =>
        trail?.RecordForbiddenChange(actor.Name, JsonNamingPolicy.CamelCase.ConvertName(operation.ToString()), organization);

    internal static void Demand(IEnumerable<ChangeFault> faults)
    {
        if (faults.ToList() is { Count: > 0 } found)
            throw new FaultyChangeException(found);
    }

    private static void DemandName(Actor actor) => Demand(new ChangeRequest(actor, "").Faults(ExceptionGrant.MaximumReason, needsReason: false, needsTicket: false));

    /// <summary>Whether the actor may do this, now.</summary>
    internal bool May(Actor actor, string? organization, Operation operation) => Rights.Allow(RolesOf(actor, organization), operation);

    /// <summary>Whether a person may ask for access in an organization no more; a verb on the server, which knows no roles, does not look.</summary>
    internal bool HasLeft(string person, string organization) => roles?.HasLeft(person, organization) ?? false;

    private bool MayKnow(Actor actor, string? organization) => May(actor, organization, Operation.ReadPolicy);

    /// <summary>What all organizations share is, where there is one, its own.</summary>
    private Core.Policies.Roles RolesOf(Actor actor, string? organization)
    {
        if (actor.IsServer)
            return Core.Policies.Roles.CompanyOwner | Core.Policies.Roles.Owner;
        if (roles is null)
            return Core.Policies.Roles.None;
        return roles.Of(actor, organization) | (organization is null && policy().Organizations is [var lone] ? roles.Of(actor, lone.Name) : Core.Policies.Roles.None);
    }

    /// <summary>How two persons are named who did something together.</summary>
    private static string Both(PendingChangeRow change, Actor approver) => $"{change.By} and {approver.Name}";

    /// <summary>The same where there is a limit; beyond it who approved it, because the table of changes knows both.</summary>
    private static string Both(PendingChangeRow change, Actor approver, int longest) => Both(change, approver) is var both && both.Length <= longest ? both : approver.Name;

    private static string Minute(PendingChangeRow change) => ExceptionChanges.Minute(change.DecidedAt ?? change.Until);

    /// <summary>What becomes of a change, why, and what the actor is told where it could not be done.</summary>
    private sealed record Decision(string State, string? Reason)
    {
        public RefusedChangeException? Refusal { get; init; }
    }
}
