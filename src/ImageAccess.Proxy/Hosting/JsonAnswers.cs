using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Hosting;

internal static class JsonAnswers
{
    /// <summary>One line, ended: what it is printed by may be a terminal.</summary>
    public static async Task WriteJsonLineAsync<T>(this HttpResponse response, T answer, string contentType = "application/json; charset=utf-8")
    {
        await response.WriteAsJsonAsync(answer, ReadableJson.Web, contentType, response.HttpContext.RequestAborted);
        await response.WriteAsync("\n", response.HttpContext.RequestAborted);
    }
}
