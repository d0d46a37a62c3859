using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>break-glass</c>: what is opened in an emergency, for hours at most.</summary>
internal sealed class BreakGlassOperations(ChangeDesk desk, PolicyStore store, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/break-glass", Operation.ReadBlocks, List);
        api.Post<Wanted>("/break-glass", Operation.BreakGlass, BreakAsync);
        api.Post<Because>("/break-glass/{id:long}/end", Operation.BreakGlass, EndAsync);
        api.Post<Because>("/break-glass/{id:long}/review", Operation.ReviewBreakGlass, ReviewAsync);
    }

    private Answer<Page<BreakGlassFacts>> List(HttpContext http, int? limit, string? cursor)
    {
        var (paging, now) = (Paging.Of(limit, cursor), time.GetUtcNow());
        var found = desk.ListBreakGlass(http.Visitor().Actor).Where(entry => entry.Id < paging.Before).Take(paging.Limit + 1).ToList();
        return Answer.Of(paging.Show(found, entry => BreakGlassFacts.Of(entry, now), entry => entry.Id.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<BreakGlassFacts>> BreakAsync(HttpContext http)
    {
        var (wanted, visitor) = (await JsonBody.ReadAsync<Wanted>(http), http.Visitor());
        visitor.Demand(Operation.BreakGlass, wanted.Organization, $"organization {PrintableText.Of(wanted.Organization)}");
        if (wanted.Repository is null == !wanted.Observe)
            throw ProblemException.Bad([new Mistake("repository", "name a repository, or say observe, and not both")]);
        return InForce(StatusCodes.Status201Created, await desk.BreakGlassAsync(
            wanted.Organization, wanted.Repository, TimeSpan.FromMinutes(wanted.Minutes), visitor.Request(wanted.Reason, wanted.Ticket), http.RequestAborted));
    }

    private async Task<Answer<BreakGlassFacts>> EndAsync(HttpContext http, long id)
    {
        var because = await JsonBody.ReadAsync<Because>(http);
        return InForce(StatusCodes.Status200OK, await desk.EndBreakGlassAsync(id, http.Visitor().Request(because.Reason, because.Ticket), http.RequestAborted));
    }

    private async Task<Answer<BreakGlassFacts>> ReviewAsync(HttpContext http, long id)
    {
        var because = await JsonBody.ReadAsync<Because>(http);
        return InForce(StatusCodes.Status200OK, await desk.ReviewBreakGlassAsync(id, http.Visitor().Request(because.Reason, because.Ticket), http.RequestAborted));
    }

    /// <summary>It is in force here when it is answered.</summary>
    private Answer<BreakGlassFacts> InForce(int status, BreakGlassEntry entry)
    {
        store.Refresh();
        return new Answer<BreakGlassFacts>(BreakGlassFacts.Of(entry, time.GetUtcNow())) { Status = status };
    }

    /// <summary>What <c>POST break-glass</c> takes.</summary>
    internal sealed record Wanted(string Organization, string Reason, int Minutes)
    {
        public string? Repository { get; init; }

        public bool Observe { get; init; }

        public string? Ticket { get; init; }
    }
}

/// <summary>What is told of an emergency.</summary>
internal sealed record BreakGlassFacts(long Id, string Organization, string? Repository, bool Observe, string Reason, string By, DateTime Since, DateTime Until, bool Holds)
{
    public string? Ticket { get; init; }

    public BreakGlassStepFacts? Ended { get; init; }

    public BreakGlassStepFacts? Reviewed { get; init; }

    public static BreakGlassFacts Of(BreakGlassEntry entry, DateTimeOffset now) => new(
        entry.Id, entry.Organization, entry.Repository, entry.Repository is null, entry.Reason, entry.By, entry.Since.UtcDateTime, entry.Until.UtcDateTime, entry.Ended is null && entry.ToBreakGlass().Holds(now))
    {
        Ticket = entry.Ticket,
        Ended = Of(entry.Ended),
        Reviewed = Of(entry.Reviewed),
    };

    private static BreakGlassStepFacts? Of(BreakGlassStep? step) => step is null ? null : new(step.By, step.Reason, step.At.UtcDateTime);
}

/// <summary>What somebody did about an emergency.</summary>
internal sealed record BreakGlassStepFacts(string By, string Reason, DateTime At);
