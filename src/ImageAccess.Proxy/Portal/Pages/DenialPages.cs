using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Http.HttpResults;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary><c>/d/ID</c>, where the message of a denial leads. Nobody has to sign in for it, and so it says no more than the client did.</summary>
internal sealed class DenialPages(SqlDatabase database, IPolicyStore policies) : IPages
{
    private const int MaximumId = 64;

    public void Map(IEndpointRouteBuilder pages) => pages.OpenPage("/d/{id}", ShowAsync);

    private async Task<IResult> ShowAsync(HttpContext http, string id)
    {
        var denial = id.Length > MaximumId ? null
            : await database.ReadAsync(context => new DenialTable(context).FindAsync(id, http.RequestAborted), http.RequestAborted);
        return denial is null ? throw ProblemException.NotFound($"denial {PrintableText.Of(id)}; one is known for 30 days, and a few seconds after it was told")
            : PageRoutes.WantsPage(http.Request) ? Page(denial)
            : Text(denial);
    }

    private RazorComponentResult Page(DenialRow denial) => ConsolePage.Answer<DenialPage>(parameters:
    [
        (nameof(DenialPage.Id), denial.Id),
        (nameof(DenialPage.Message), denial.Message),
        (nameof(DenialPage.Rule), denial.Rule),
        (nameof(DenialPage.Image), denial.Image),
        (nameof(DenialPage.Time), TimeOf(denial)),
        (nameof(DenialPage.LongestDays), policies.Current.Document.Exceptions.MaximumDays ?? GrantedException.LongestDays),
    ]);

    /// <summary>For who asks with curl.</summary>
    private static IResult Text(DenialRow denial)
    {
        var image = denial.Image is null ? "" : $"image: {denial.Image}\n";
        return Results.Text(string.Create(CultureInfo.InvariantCulture, $"{denial.Message}\n\n{image}time: {TimeOf(denial):yyyy-MM-dd HH:mm:ss} UTC\ndenial: {denial.Id}\n\nTo ask for access: imageaccess requests create --denial {denial.Id} --reason TEXT --days DAYS\n"), "text/plain; charset=utf-8");
    }

    private static DateTimeOffset TimeOf(DenialRow denial) => DateTimeOffset.FromUnixTimeMilliseconds(denial.TimeMilliseconds);
}
