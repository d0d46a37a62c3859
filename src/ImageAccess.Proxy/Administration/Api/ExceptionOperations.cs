using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>exceptions</c>: what an organization's members may have beside its policy.</summary>
internal sealed class ExceptionOperations(SqlDatabase database, ChangeDesk desk, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/exceptions", Operation.ReadExceptions, ListAsync);
        api.Get("/exceptions/{id:long}", Operation.ReadExceptions, FindAsync);
        api.Post<Wanted>("/exceptions", Operation.GrantException, GrantAsync);
        api.Post<Because>("/exceptions/{id:long}/end", Operation.EndException, EndAsync);
    }

    private async Task<Answer<Page<ExceptionFacts>>> ListAsync(HttpContext http, string? organization, bool? ended, bool? unused, int? limit, string? cursor)
    {
        var visitor = http.Visitor();
        if (organization is not null)
            visitor.Demand(Operation.ReadExceptions, organization, $"organization {PrintableText.Of(organization)}");
        var list = (ended ?? false, unused ?? false) switch
        {
            (true, true) => throw ProblemException.Bad([new Mistake("unused", "is asked of exceptions in force: leave out 'ended'")]),
            (true, _) => ExceptionList.Ended,
            (_, true) => ExceptionList.Unused,
            _ => ExceptionList.InForce,
        };
        var paging = Paging.Of(limit, cursor);
        var (before, now) = (paging.Before, time.GetUtcNow());
        var rows = await database.ReadAsync(
            context => new ExceptionTable(context).PageAsync(organization ?? visitor.Organization, list, now, before, paging.Limit + 1, http.RequestAborted), http.RequestAborted);
        return Answer.Of(paging.Show(rows, ExceptionFacts.Of, row => row.Id.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<ExceptionFacts>> FindAsync(HttpContext http, long id) =>
        Answer.Of(ExceptionFacts.Of(await DemandAsync(http, id, Operation.ReadExceptions)));

    private async Task<Answer<Changed<ExceptionFacts>>> GrantAsync(HttpContext http)
    {
        var (visitor, wanted) = (http.Visitor(), await JsonBody.ReadAsync<Wanted>(http));
        visitor.Demand(Operation.GrantException, wanted.Organization, $"organization {PrintableText.Of(wanted.Organization)}");
        var request = visitor.Request(wanted.Reason, wanted.Ticket);
        var grant = new ExceptionGrant
        {
            Organization = wanted.Organization,
            Image = wanted.Image,
            Digest = wanted.Digest,
            Follow = wanted.Follow,
            Reason = wanted.Reason,
            AskedBy = wanted.AskedBy,
            ApprovedBy = visitor.Actor.Name,
            Until = Timestamp.Read(wanted.Until, "until"),
        };
        var outcome = await AskDeskAsync(grant, request, http.RequestAborted);
        return outcome.Waiting is { } waiting
            ? Answer.Waiting(new Changed<ExceptionFacts> { Waiting = ChangeFacts.Of(waiting) }, waiting.Id)
            : Answer.Made(new Changed<ExceptionFacts> { Done = ExceptionFacts.Of(outcome.Done!) }, string.Create(CultureInfo.InvariantCulture, $"{ApiRoutes.Root}/exceptions/{outcome.Done!.Id}"));
    }

    private async Task<ChangeOutcome<ExceptionRow>> AskDeskAsync(ExceptionGrant grant, ChangeRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await desk.GrantExceptionAsync(grant, request, cancellationToken);
        }
        catch (FaultyChangeException faulty)
        {
            throw Mistakes(faulty.Faults);
        }
    }

    private async Task<Answer<ExceptionFacts>> EndAsync(HttpContext http, long id)
    {
        await DemandAsync(http, id, Operation.EndException);
        var because = await JsonBody.ReadAsync<Because>(http);
        var request = http.Visitor().Request(because.Reason, because.Ticket);
        return Answer.Of(ExceptionFacts.Of(await desk.EndExceptionAsync(id, request, http.RequestAborted)));
    }

    private async Task<ExceptionRow> DemandAsync(HttpContext http, long id, Operation operation)
    {
        var what = string.Create(CultureInfo.InvariantCulture, $"exception {id}");
        var row = await database.ReadAsync(context => new ExceptionTable(context).FindAsync(id, http.RequestAborted), http.RequestAborted)
            ?? throw ProblemException.NotFound(what);
        http.Visitor().Demand(operation, row.Organization, what);
        return row;
    }

    private static ProblemException Mistakes(IEnumerable<ChangeFault> faults) => ProblemException.Bad([.. faults.Select(fault => new Mistake(fault.Part switch
    {
        null => fault.Text.StartsWith('\'') ? "image" : "until",
        "asked-by" => "askedBy",
        var part => part,
    }, fault.Text))]);

    /// <summary>What <c>POST exceptions</c> takes.</summary>
    internal sealed record Wanted(string Organization, string Image, string Reason)
    {
        public string? Digest { get; init; }

        public bool Follow { get; init; }

        /// <summary>RFC 3339; without it there is no end.</summary>
        public string? Until { get; init; }

        public string? AskedBy { get; init; }

        public string? Ticket { get; init; }
    }
}

/// <summary>Why something is changed.</summary>
internal sealed record Because(string Reason)
{
    public string? Ticket { get; init; }
}

/// <summary>What became of a change: it is done, or it waits for a second person.</summary>
internal sealed record Changed<T>
    where T : class
{
    public T? Done { get; init; }

    public ChangeFacts? Waiting { get; init; }
}

/// <summary>What is told of an exception.</summary>
internal sealed record ExceptionFacts(long Id, string Organization, string Image, string Reason, string ApprovedBy, DateTime Since, long Uses)
{
    public string? Digest { get; init; }

    public bool? Follow { get; init; }

    public string? AskedBy { get; init; }

    public DateTime? Until { get; init; }

    public DateTime? LastUsed { get; init; }

    public DateTime? Ended { get; init; }

    public string? EndedBy { get; init; }

    public string? EndedReason { get; init; }

    public string? Ticket { get; init; }

    public static ExceptionFacts Of(ExceptionRow row) => new(row.Id, row.Organization, row.Image, row.Reason, row.ApprovedBy, row.Since.UtcDateTime, row.Uses)
    {
        Digest = row.Digest,
        Follow = row.Follow ? true : null,
        AskedBy = row.AskedBy,
        Until = row.Until?.UtcDateTime,
        LastUsed = row.LastUsed?.UtcDateTime,
        Ended = row.Ended?.UtcDateTime,
        EndedBy = row.EndedBy,
        EndedReason = row.EndedReason,
        Ticket = row.Ticket,
    };

    /// <summary>As far as it was told.</summary>
    public ExceptionRow ToRow() => new()
    {
        Id = Id,
        Organization = Organization,
        Image = Image,
        Reason = Reason,
        ApprovedBy = ApprovedBy,
        Since = new DateTimeOffset(Since),
        Uses = Uses,
        Digest = Digest,
        Follow = Follow ?? false,
        AskedBy = AskedBy,
        UntilMilliseconds = Known(Until)?.ToUnixTimeMilliseconds(),
        LastUsed = Known(LastUsed),
        Ended = Known(Ended),
        EndedBy = EndedBy,
        EndedReason = EndedReason,
        Ticket = Ticket,
    };

    private static DateTimeOffset? Known(DateTime? time) => time is { } known ? new DateTimeOffset(known) : null;
}
