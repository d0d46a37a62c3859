using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>requests</c>: images that members ask for, and what their organizations answer.</summary>
internal sealed class RequestOperations(RequestDesk desk, DatabaseState database, TimeProvider time) : IOperations
{
    private static readonly string[] States =
        [AccessRequestRow.Open, AccessRequestRow.Approved, AccessRequestRow.Declined, AccessRequestRow.Withdrawn, AccessRequestRow.Ended];

    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/requests", Operation.AskForAccess, ListAsync);
        api.Get("/requests/{id:long}", Operation.AskForAccess, FindAsync);
        api.Post<Wanted>("/requests", Operation.AskForAccess, AskAsync);
        api.Post<Approval>("/requests/{id:long}/approve", Operation.Approve, ApproveAsync);
        api.Post<Refusal>("/requests/{id:long}/decline", Operation.Approve, DeclineAsync);
        api.Post<Withdrawal>("/requests/{id:long}/withdraw", Operation.AskForAccess, WithdrawAsync);
    }

    /// <param name="state">Those in this state alone.</param>
    private async Task<Answer<Page<RequestFacts>>> ListAsync(HttpContext http, string? organization, string? state, int? limit, string? cursor)
    {
        var visitor = http.Visitor();
        if (organization is not null)
            visitor.Demand(Operation.AskForAccess, organization, $"organization {PrintableText.Of(organization)}");
        if (state is not null && !States.Contains(state))
            throw ProblemException.Bad([new Mistake("state", $"must be one of {string.Join(", ", States)}")]);
        var paging = Paging.Of(limit, cursor);
        var filter = new RequestFilter { State = state, Organization = organization, Before = paging.Before, Count = paging.Limit + 1 };
        var found = await desk.ListAsync(filter, visitor.Actor, http.RequestAborted);
        return Answer.Of(paging.Show(found, request => Show(request, visitor), request => request.Id.ToString(CultureInfo.InvariantCulture)));
    }

    /// <summary>What is not there for the visitor is told so, whatever the body says.</summary>
    private async Task<T> ReadAsync<T>(HttpContext http, long id)
        where T : class
    {
        await desk.FindAsync(id, http.Visitor().Actor, http.RequestAborted);
        return await JsonBody.ReadAsync<T>(http);
    }

    private async Task<Answer<RequestFacts>> FindAsync(HttpContext http, long id) =>
        Answer.Of(Show(await desk.FindAsync(id, http.Visitor().Actor, http.RequestAborted), http.Visitor()));

    private async Task<Answer<RequestFacts>> AskAsync(HttpContext http)
    {
        var (visitor, wanted) = (http.Visitor(), await JsonBody.ReadAsync<Wanted>(http));
        var ask = new AccessAsk { Image = wanted.Image, Denial = wanted.Denial, Days = wanted.Days };
        var outcome = await ToldAsync(() => desk.AskAsync(ask, visitor.Request(wanted.Reason, wanted.Ticket), http.RequestAborted));
        var facts = Show(outcome.Request, visitor);
        return outcome.IsNew ? Answer.Made(facts, string.Create(CultureInfo.InvariantCulture, $"{ApiRoutes.Root}/requests/{facts.Id}")) : Answer.Of(facts);
    }

    private async Task<Answer<RequestFacts>> ApproveAsync(HttpContext http, long id)
    {
        var (visitor, wanted) = (http.Visitor(), await ReadAsync<Approval>(http, id));
        var approval = new RequestApproval
        {
            Organization = wanted.Organization,
            Image = wanted.Image,
            Digest = wanted.Digest,
            Follow = wanted.Follow,
            Days = wanted.Days,
            Until = Timestamp.Read(wanted.Until, "until"),
        };
        var request = new ChangeRequest(visitor.Actor, wanted.Comment ?? "") { Ticket = wanted.Ticket };
        var outcome = await ToldAsync(() => desk.ApproveAsync(id, approval, request, http.RequestAborted));
        var facts = Show(outcome.Request, visitor);
        return outcome.Waiting is { } waiting ? Answer.Waiting(facts, waiting.Id) : Answer.Of(facts);
    }

    private async Task<Answer<RequestFacts>> DeclineAsync(HttpContext http, long id)
    {
        var (visitor, wanted) = (http.Visitor(), await ReadAsync<Refusal>(http, id));
        var request = new ChangeRequest(visitor.Actor, wanted.Comment) { Ticket = wanted.Ticket };
        return Answer.Of(Show((await ToldAsync(() => desk.DeclineAsync(id, wanted.Organization, request, http.RequestAborted))).Request, visitor));
    }

    private async Task<Answer<RequestFacts>> WithdrawAsync(HttpContext http, long id)
    {
        var (visitor, wanted) = (http.Visitor(), await ReadAsync<Withdrawal>(http, id));
        return Answer.Of(Show((await ToldAsync(() => desk.WithdrawAsync(id, new ChangeRequest(visitor.Actor, wanted.Reason ?? ""), http.RequestAborted))).Request, visitor));
    }

    private RequestFacts Show(AccessRequest request, Visitor visitor) =>
        RequestFacts.Of(request, time.GetUtcNow(), desk.SeesAll(request, visitor.Actor) ? null : RequestDesk.PersonOf(visitor.Actor) ?? "");

    private async Task<RequestOutcome> ToldAsync(Func<Task<RequestOutcome>> act)
    {
        try
        {
            var outcome = await act();
            database.Wake(); // the audit trail gets it at once
            return outcome;
        }
        catch (FaultyChangeException faulty)
        {
            throw ProblemException.Bad([.. faulty.Faults.Select(fault => new Mistake(fault.Part ?? (fault.Text.StartsWith('\'') ? "image" : ""), fault.Text))]);
        }
    }

    /// <summary>What <c>POST requests</c> takes.</summary>
    /// <param name="Reason">Why it is needed.</param>
    /// <param name="Days">How long.</param>
    internal sealed record Wanted(string Reason, int Days)
    {
        /// <summary>A repository, a tag or a digest; not beside a denial.</summary>
        public string? Image { get; init; }

        /// <summary>The id of a denial; not beside an image.</summary>
        public string? Denial { get; init; }

        public string? Ticket { get; init; }
    }

    /// <summary>What <c>POST requests/ID/approve</c> takes: what is not said is as it was asked for.</summary>
    internal sealed record Approval
    {
        /// <summary>For which organization, where the visitor may answer for several.</summary>
        public string? Organization { get; init; }

        /// <summary>A tag or a digest in place of the repository.</summary>
        public string? Image { get; init; }

        /// <summary>Of a tag: the digest that it has now.</summary>
        public string? Digest { get; init; }

        /// <summary>Of a tag: whatever it comes to.</summary>
        public bool Follow { get; init; }

        public int? Days { get; init; }

        /// <summary>RFC 3339, in place of days.</summary>
        public string? Until { get; init; }

        public string? Comment { get; init; }

        public string? Ticket { get; init; }
    }

    /// <summary>What <c>POST requests/ID/decline</c> takes.</summary>
    /// <param name="Comment">What those who asked are told.</param>
    internal sealed record Refusal(string Comment)
    {
        public string? Organization { get; init; }

        public string? Ticket { get; init; }
    }

    /// <summary>What <c>POST requests/ID/withdraw</c> takes.</summary>
    internal sealed record Withdrawal
    {
        public string? Reason { get; init; }
    }
}

/// <summary>What is told of a request.</summary>
/// <param name="Asking">How many ask for it.</param>
/// <param name="Voices">Who asks or has withdrawn; to a member their own alone.</param>
/// <param name="Answers">One of each organization that denies it.</param>
internal sealed record RequestFacts(
    long Id, string Image, string State, DateTime At, DateTime Until, int Asking, IReadOnlyList<RequestFacts.Voice> Voices, IReadOnlyList<RequestFacts.Reply> Answers)
{
    /// <summary>When it ceased to be open.</summary>
    public DateTime? Closed { get; init; }

    /// <param name="only">Whose voice alone is shown; null for everybody's.</param>
    public static RequestFacts Of(AccessRequest request, DateTimeOffset now, string? only) => new(
        request.Id,
        request.Row.Image,
        request.StateAt(now),
        request.Row.At.UtcDateTime,
        request.Row.Until.UtcDateTime,
        request.Asking.Count(),
        [.. request.Voices.Where(voice => only is null || voice.Person == only).Select(Voice.Of)],
        [.. request.Answers.Select(Reply.Of)])
    {
        Closed = request.Row.Closed?.UtcDateTime ?? (request.StateAt(now) == AccessRequestRow.Open ? null : request.Row.Until.UtcDateTime),
    };

    /// <summary>What is told of one who asks.</summary>
    internal sealed record Voice(string Person, string Reason, int Days, DateTime At)
    {
        public string? Ticket { get; init; }

        public string? Denial { get; init; }

        public DateTime? Withdrawn { get; init; }

        public static Voice Of(RequestVoiceRow row) => new(row.Person, row.Reason, row.Days, row.At.UtcDateTime)
        {
            Ticket = row.Ticket,
            Denial = row.Denial,
            Withdrawn = row.Withdrawn?.UtcDateTime,
        };
    }

    /// <summary>What is told of an organization's answer.</summary>
    /// <param name="State"><c>open</c>, <c>waiting</c> (for a second person), <c>approved</c> or <c>declined</c>.</param>
    internal sealed record Reply(string Organization, string State)
    {
        public string? By { get; init; }

        public DateTime? At { get; init; }

        public string? Comment { get; init; }

        /// <summary>What was granted.</summary>
        public string? Image { get; init; }

        /// <summary>How long it is granted; null where the exception has no end.</summary>
        public DateTime? Until { get; init; }

        public long? Exception { get; init; }

        public long? Change { get; init; }

        public static Reply Of(RequestAnswerRow row) => new(row.Organization, row.State)
        {
            By = row.By,
            At = row.At?.UtcDateTime,
            Comment = row.Comment,
            Image = row.Image,
            Until = row.Until?.UtcDateTime,
            Exception = row.Exception,
            Change = row.Change,
        };
    }
}
