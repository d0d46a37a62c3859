using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>changes</c>: what waits for a second person.</summary>
internal sealed class ChangeOperations(ChangeDesk desk, PolicyStore store, PolicyReader reader) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/changes", Operation.ReadChanges, ListAsync);
        api.Post("/changes/{id:long}/approve", Operation.Approve, ApproveAsync);
        api.Post<Because>("/changes/{id:long}/decline", Operation.Approve, DeclineAsync);
    }

    private async Task<Answer<Page<ChangeFacts>>> ListAsync(HttpContext http, int? limit, string? cursor)
    {
        var paging = Paging.Of(limit, cursor);
        var found = (await WaitingAsync(http)).Where(row => row.Id < paging.Before).OrderByDescending(row => row.Id).Take(paging.Limit + 1).ToList();
        return Answer.Of(paging.Show(found, ChangeFacts.Of, row => row.Id.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<ChangeFacts>> ApproveAsync(HttpContext http, long id)
    {
        await DemandAsync(http, id);
        await JsonBody.ReadNothingAsync(http);
        var approved = await desk.ApproveAsync(id, http.Visitor().Actor, http.RequestAborted);
        await reader.CatchUpAsync(http.RequestAborted); // in force here when it is answered, if it is of the policy
        store.Refresh(); // or of a block
        return Answer.Of(ChangeFacts.Of(approved));
    }

    private async Task<Answer<ChangeFacts>> DeclineAsync(HttpContext http, long id)
    {
        await DemandAsync(http, id);
        var because = await JsonBody.ReadAsync<Because>(http);
        var request = http.Visitor().Request(because.Reason, because.Ticket);
        return Answer.Of(ChangeFacts.Of(await desk.DeclineAsync(id, request.Reason, request.Actor, http.RequestAborted)));
    }

    /// <summary>Those that the visitor sees. What all organizations share is, where there is one, its own.</summary>
    private async Task<IEnumerable<PendingChangeRow>> WaitingAsync(HttpContext http)
    {
        var waiting = await desk.ListWaitingAsync(organization: null, http.RequestAborted);
        return http.Visitor().Organization is not { } own ? waiting
            : store.Current.Organizations is [var lone] && lone.Name == own ? waiting.Where(row => row.Organization is null || row.Organization == own)
            : waiting.Where(row => row.Organization == own);
    }

    private async Task DemandAsync(HttpContext http, long id)
    {
        if ((await WaitingAsync(http)).All(row => row.Id != id))
            throw ProblemException.NotFound(string.Create(CultureInfo.InvariantCulture, $"change {id} that waits"));
    }
}

/// <summary>What is told of a change that waits, or waited.</summary>
internal sealed record ChangeFacts(long Id, string Kind, string State, IReadOnlyList<string> Opens, string By, string Reason, DateTime At, DateTime Until)
{
    public string? Organization { get; init; }

    public string? Ticket { get; init; }

    public string? DecidedBy { get; init; }

    public DateTime? DecidedAt { get; init; }

    public string? DecidedReason { get; init; }

    public static ChangeFacts Of(PendingChangeRow row) =>
        new(row.Id, row.Kind, row.State, row.Opens, row.By, row.Reason, row.At.UtcDateTime, DateTimeOffset.FromUnixTimeMilliseconds(row.UntilMilliseconds).UtcDateTime)
        {
            Organization = row.Organization,
            Ticket = row.Ticket,
            DecidedBy = row.DecidedBy,
            DecidedAt = row.DecidedAt?.UtcDateTime,
            DecidedReason = row.DecidedReason,
        };

    /// <summary>As far as it was told.</summary>
    public PendingChangeRow ToRow() => new()
    {
        Id = Id,
        Kind = Kind,
        Organization = Organization,
        Payload = "",
        Opens = [.. Opens],
        By = By,
        Person = "",
        Reason = Reason,
        Ticket = Ticket,
        At = new DateTimeOffset(At),
        UntilMilliseconds = new DateTimeOffset(Until).ToUnixTimeMilliseconds(),
        State = State,
        DecidedBy = DecidedBy,
        DecidedAt = DecidedAt is { } at ? new DateTimeOffset(at) : null,
        DecidedReason = DecidedReason,
    };
}
