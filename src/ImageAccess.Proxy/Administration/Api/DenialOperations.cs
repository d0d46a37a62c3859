using System.Globalization;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>
/// <c>denials</c>: what was denied in the last 30 days. A member sees the own ones, and of those of whoever did not sign in all but the address. That somebody
/// looked at those of others is recorded before they are told.
/// </summary>
internal sealed class DenialOperations(SqlDatabase database, IPolicyStore policies, CallerNames names, LookRecorder looks) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/denials", Operation.ReadOwnDenials, ListAsync);
        api.Get("/denials/{id}", Operation.ReadOwnDenials, FindAsync);
    }

    private async Task<Answer<Page<DenialFacts>>> ListAsync(HttpContext http, string? organization, string? caller, int? limit, string? cursor)
    {
        if (organization is not null)
            http.Visitor().Demand(Operation.ReadOwnDenials, organization, $"organization {PrintableText.Of(organization)}");
        var paging = Paging.Of(limit, cursor);
        var (view, before) = (ViewOf(http.Visitor()), paging.Before);
        if ((view.IsEverything || view.Whole.Count > 0) && (caller is null || caller != view.Person))
            await RecordAsync(http, organization, string.Join(", ", new[] { Word("organization", organization), Word("caller", caller) }.OfType<string>().DefaultIfEmpty("all")));
        var rows = await database.ReadAsync(
            context => new DenialTable(context).PageAsync(view, organization, caller, before, paging.Limit + 1, http.RequestAborted), http.RequestAborted);
        return Answer.Of(paging.Show(rows, row => DenialFacts.Of(view.Of(row)!), row => row.Number.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<DenialFacts>> FindAsync(HttpContext http, string id)
    {
        var row = await database.ReadAsync(context => new DenialTable(context).FindAsync(id, http.RequestAborted), http.RequestAborted);
        var view = ViewOf(http.Visitor());
        if (row is null || view.Of(row) is not { } seen)
            throw ProblemException.NotFound($"denial {PrintableText.Of(id)}: they are kept for 30 days");
        if (seen.Caller is { } caller && caller != view.Person)
            await RecordAsync(http, organization: null, $"id {seen.Id}");
        return Answer.Of(DenialFacts.Of(seen));
    }

    private static string? Word(string name, string? value) => value is null ? null : $"{name} {value}";

    private Task RecordAsync(HttpContext http, string? organization, string question) =>
        looks.RecordAsync(new Look(http.Visitor().Actor.Name, organization ?? http.Visitor().Organization, "denials", question), http.RequestAborted);

    private DenialView ViewOf(Visitor visitor)
    {
        if (visitor.MayEverywhere(Operation.ReadDenials))
            return DenialView.Everything;
        var own = visitor.Organization is { } only ? [only] : policies.Current.Organizations.Select(organization => organization.Name).ToList();
        return new DenialView
        {
            Whole = own.FindAll(name => visitor.May(Operation.ReadDenials, name)),
            AsMember = own.FindAll(name => visitor.May(Operation.ReadOwnDenials, name)),
            Person = visitor.Actor.User is { } user ? names.OfSelf(user) : null,
        };
    }
}

/// <summary>What is told of a denial.</summary>
/// <param name="Id">As its client was told it; denials that were merged have that of the first.</param>
/// <param name="Organizations">Those that the caller was judged under.</param>
internal sealed record DenialFacts(string Id, DateTime Time, string Rule, string Message, IReadOnlyList<string> Organizations)
{
    /// <summary>Null for who did not sign in.</summary>
    public string? Caller { get; init; }

    /// <summary>The client's address, where it may be told.</summary>
    public string? Client { get; init; }

    public string? WayIn { get; init; }

    public string? Repository { get; init; }

    /// <summary>The tag or the digest.</summary>
    public string? Reference { get; init; }

    /// <summary>Both, as people write it.</summary>
    public string? Image { get; init; }

    public static DenialFacts Of(DenialRow row) =>
        new(row.Id, DateTimeOffset.FromUnixTimeMilliseconds(row.TimeMilliseconds).UtcDateTime, row.Rule, row.Message, row.Organizations)
        {
            Caller = row.Caller,
            Client = row.Client,
            WayIn = row.WayIn,
            Repository = row.Repository,
            Reference = row.Reference,
            Image = row.Image,
        };

    /// <summary>As far as it was told.</summary>
    public DenialRow ToRow() => new()
    {
        Id = Id,
        TimeMilliseconds = new DateTimeOffset(Time).ToUnixTimeMilliseconds(),
        Rule = Rule,
        Message = Message,
        Organizations = [.. Organizations],
        Caller = Caller,
        Client = Client,
        WayIn = WayIn,
        Repository = Repository,
        Reference = Reference,
    };
}
