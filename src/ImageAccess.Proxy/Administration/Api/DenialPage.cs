using System.Globalization;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>/d/ID</c>, where the message of a denial leads. Nobody has to sign in for it, and so it says no more than the client did.</summary>
internal sealed class DenialPage(SqlDatabase database)
{
    public const string Pattern = "/d/{id}";

    private const int MaximumId = 64;

    public async Task<IResult> ShowAsync(HttpContext http, string id)
    {
        var denial = id.Length > MaximumId ? null
            : await database.ReadAsync(context => new DenialTable(context).FindAsync(id, http.RequestAborted), http.RequestAborted);
        if (denial is null)
            throw ProblemException.NotFound($"denial {PrintableText.Of(id)}; one is known for 30 days, and a few seconds after it was told");
        var image = denial.Image is null ? "" : $"image: {denial.Image}\n";
        var time = DateTimeOffset.FromUnixTimeMilliseconds(denial.TimeMilliseconds);
        return Results.Text(string.Create(CultureInfo.InvariantCulture, $"{denial.Message}\n\n{image}time: {time:yyyy-MM-dd HH:mm:ss} UTC\ndenial: {denial.Id}\n\nTo ask for access: imageaccess requests create --denial {denial.Id} --reason TEXT --days DAYS\n"), "text/plain; charset=utf-8");
    }
}
