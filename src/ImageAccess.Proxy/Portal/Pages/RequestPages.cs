using System.Globalization;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Requests;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary><c>/requests</c>: what members ask for. Who may answer sees everybody's and answers; a member sees their own.</summary>
internal sealed class RequestPages(RequestDesk desk, DatabaseState database, TimeProvider time) : IPages
{
    /// <summary>On one page.</summary>
    private const int Together = 100;

    public void Map(IEndpointRouteBuilder pages)
    {
        pages.Page("/requests", ListAsync);
        pages.Page("/requests/{id:long}", ShowAsync);
        pages.Form("/d/{id}/request", AskAsync);
        pages.Form("/requests/{id:long}/approve", ApproveAsync);
        pages.Form("/requests/{id:long}/decline", DeclineAsync);
        pages.Form("/requests/{id:long}/withdraw", WithdrawAsync);
    }

    private async Task<IResult> ListAsync(HttpContext http, long? before)
    {
        var visitor = http.Visitor();
        var found = await desk.ListAsync(new RequestFilter { Before = before ?? long.MaxValue, Count = Together + 1 }, visitor.Actor, http.RequestAborted);
        var shown = found.Take(Together).Select(request => Seen(request, visitor)).ToList();
        return ConsolePage.Answer<RequestListPage>(parameters:
        [
            (nameof(RequestListPage.Requests), shown),
            (nameof(RequestListPage.Next), found.Count > Together ? shown[^1].Id : (long?)null),
        ]);
    }

    private async Task<IResult> ShowAsync(HttpContext http, long id)
    {
        var visitor = http.Visitor();
        var request = await desk.FindAsync(id, visitor.Actor, http.RequestAborted);
        return ConsolePage.Answer<RequestPage>(parameters: [(nameof(RequestPage.Request), Seen(request, visitor))]);
    }

    /// <summary>From the page of a denial, in the name of whoever has signed in.</summary>
    private async Task<IResult> AskAsync(HttpContext http, string id)
    {
        var (form, visitor) = (await http.FormAsync(), http.Visitor());
        var ask = new AccessAsk { Denial = id, Days = Number(form["days"]) ?? 0 };
        return await DoAsync(http, () => desk.AskAsync(ask, visitor.Request(form.Line("reason"), null), http.RequestAborted));
    }

    private async Task<IResult> ApproveAsync(HttpContext http, long id)
    {
        var form = await http.FormAsync();
        var digest = form.Optional("digest");
        var approval = new RequestApproval { Organization = form["organization"], Days = Number(form["days"]), Digest = digest, Follow = digest is null && form.ContainsKey("digest") };
        return await DoAsync(http, () => desk.ApproveAsync(id, approval, Said(http, form.Line("comment")), http.RequestAborted));
    }

    private async Task<IResult> DeclineAsync(HttpContext http, long id)
    {
        var form = await http.FormAsync();
        return await DoAsync(http, () => desk.DeclineAsync(id, form["organization"], Said(http, form.Line("comment")), http.RequestAborted));
    }

    private Task<IResult> WithdrawAsync(HttpContext http, long id) => DoAsync(http, () => desk.WithdrawAsync(id, Said(http, ""), http.RequestAborted));

    private async Task<IResult> DoAsync(HttpContext http, Func<Task<RequestOutcome>> act)
    {
        var outcome = await act();
        database.Wake(); // the audit trail gets it at once
        return PageRoutes.ToPage(http, string.Create(CultureInfo.InvariantCulture, $"requests/{outcome.Request.Id}"));
    }

    private SeenRequest Seen(AccessRequest request, Visitor visitor)
    {
        var (own, now) = (RequestDesk.PersonOf(visitor.Actor) ?? "", time.GetUtcNow());
        var seen = SeenRequest.Of(request, now, desk.SeesAll(request, visitor.Actor) ? null : own);
        if (request.StateAt(now) != AccessRequestRow.Open)
            return seen;
        return seen with
        {
            MayWithdraw = request.VoiceOf(own) is not null,
            MayAnswer = request.IsOf(visitor.Actor) ? [] :
            [
                .. request.Answers
                    .Where(answer => answer.State == RequestAnswerRow.Open && visitor.May(Operation.Approve, answer.Organization) && visitor.May(Operation.GrantException, answer.Organization))
                    .Select(answer => answer.Organization),
            ],
        };
    }

    private static ChangeRequest Said(HttpContext http, string comment) => new(http.Visitor().Actor, comment);

    private static int? Number(string? text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
