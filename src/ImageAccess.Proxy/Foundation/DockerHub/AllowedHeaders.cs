using System.Buffers;
using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>The headers that cross the proxy; no other does, in either direction.</summary>
internal static class AllowedHeaders
{
    public static readonly FrozenSet<string> Request = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Accept", "Authorization", "If-Match", "If-None-Match", "Range", "User-Agent", ViaStamp.Header);

    /// <summary>Of those, what a request for content carries: its answer may be shared, so the rest is not the client's own.</summary>
    public static readonly string[] Fetch = ["Authorization", "User-Agent", ViaStamp.Header];

    public static readonly FrozenSet<string> RequestContent = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Content-Length", "Content-Range", "Content-Type");

    public static readonly FrozenSet<string> Response = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "Accept-Ranges", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Date",
        "Docker-Content-Digest", "Docker-Distribution-Api-Version", "Docker-RateLimit-Source", "Docker-Upload-Uuid", "ETag", "Last-Modified",
        "OCI-Chunk-Min-Length", "OCI-Filters-Applied", "OCI-Subject", "OCI-Tag", "Range", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
        "Retry-After", "Warning", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Retry-After");

    /// <summary>Of those, what an answer says of the caller who asked: it is not for others who get the same content.</summary>
    public static readonly string[] AboutCaller =
    [
        "Docker-RateLimit-Source", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
        "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Retry-After",
    ];

    private static readonly SearchValues<char> Printable = SearchValues.Create("\t" + string.Concat(Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (char)c)));

    public static bool IsPrintable(StringValues values)
    {
        foreach (var value in values)
        {
            if (value is not null && value.AsSpan().ContainsAnyExcept(Printable))
                return false;
        }

        return true;
    }

    /// <summary>The first header to be sent on whose value could not be, or null.</summary>
    public static string? FirstUnfit(IHeaderDictionary headers)
    {
        foreach (var (name, values) in headers)
        {
            if ((Request.Contains(name) || RequestContent.Contains(name)) && !IsPrintable(values))
                return name;
        }

        return null;
    }
}
