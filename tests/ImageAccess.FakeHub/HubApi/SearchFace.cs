using System.Globalization;

namespace ImageAccess.FakeHubs;

/// <summary><c>index.docker.io/v1/search</c>.</summary>
internal sealed class SearchFace(FakeHub hub, IRegistryContent content)
{
    public async Task ServeAsync(HttpContext http)
    {
        if (http.Request.Path != "/v1/search" || !HttpMethods.IsGet(http.Request.Method))
        {
            await http.AnswerAsync(404, "404 page not found\n", "text/plain; charset=utf-8");
            return;
        }

        var query = http.Request.Query["q"].ToString();
        var size = int.TryParse(http.Request.Query["n"], CultureInfo.InvariantCulture, out var n) && n is > 0 and <= 100 ? n : 25;
        var results = (await content.RepositoriesAsync(http.RequestAborted))
            .Where(name => name.Contains(query, StringComparison.OrdinalIgnoreCase) && hub.Images.ReadersOf(name) is null)
            .Select(name => new
            {
                name = name.StartsWith("library/", StringComparison.Ordinal) ? name["library/".Length..] : name,
                description = "",
                star_count = 0,
                is_official = name.StartsWith("library/", StringComparison.Ordinal),
                is_automated = false,
            })
            .ToList();
        await http.AnswerJsonAsync(200, new
        {
            num_pages = (results.Count + size - 1) / size,
            num_results = results.Count,
            page = 1,
            page_size = size,
            query,
            results = results.Take(size),
        });
    }
}
