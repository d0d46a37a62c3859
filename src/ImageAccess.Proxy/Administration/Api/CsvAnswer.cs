using System.Text;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>The same answer as a table: CSV (RFC 4180) that a spreadsheet runs nothing of.</summary>
internal sealed class CsvAnswer<T>(T value, IEnumerable<string[]> rows) : Answer<T>(value)
{
    public override async Task ExecuteAsync(HttpContext httpContext)
    {
        if (Tag is not null)
            httpContext.Response.Headers.ETag = $"\"{Tag}\"";
        httpContext.Response.ContentType = $"{CsvAnswer.MediaType}; charset=utf-8";
        await using var writer = new StreamWriter(httpContext.Response.Body, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        await Csv.WriteAsync(writer, rows);
    }
}

internal static class CsvAnswer
{
    public const string MediaType = "text/csv";

    /// <summary>Whether the request accepts CSV by its name.</summary>
    public static bool IsWanted(HttpRequest request) =>
        MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted) && accepted.Any(type => type.MediaType.Equals(MediaType, StringComparison.OrdinalIgnoreCase) && type.Quality is not 0);
}
