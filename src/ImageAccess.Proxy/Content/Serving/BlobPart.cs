using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>One range of bytes that a client asks for (RFC 9110, section 14.1.2); any other range is answered with the whole.</summary>
/// <param name="From">The first byte; null for the last ones.</param>
/// <param name="To">The last byte, or how many of the last.</param>
internal sealed record BlobRange(long? From, long? To)
{
    public static BlobRange? Of(HttpRequest request, Digest digest) =>
        request.Headers.Range.Count == 1
        && (request.Headers.IfRange.Count == 0 || request.Headers.IfRange.ToString() == Validators.ETagOf(digest))
        && RangeHeaderValue.TryParse(request.Headers.Range.ToString(), out var range)
        && range.Unit == "bytes" && range.Ranges.Count == 1
            ? new BlobRange(range.Ranges.First().From, range.Ranges.First().To)
            : null;
}

/// <summary>The bytes of a blob that an answer contains.</summary>
/// <param name="Start">The first byte.</param>
/// <param name="End">Behind the last byte; null where the length is not known.</param>
/// <param name="Total">The blob's length.</param>
/// <param name="IsPart">The client asked for a range.</param>
internal readonly record struct BlobPart(long Start, long? End, long? Total, bool IsPart)
{
    public const int BufferSize = 64 * 1024;

    public static BlobPart Of(BlobRange? range, long? total)
    {
        if (range is null || total is not { } length)
            return new BlobPart(0, total, total, IsPart: false);
        var start = range.From ?? Math.Max(0, length - (range.To ?? 0));
        var end = range.From is null || range.To is null ? length : Math.Min(length, range.To.Value + 1);
        return new BlobPart(start, end, length, IsPart: true);
    }

    /// <summary>Writes the answer's head; false where no body follows, because the range is outside of the blob.</summary>
    public bool Prepare(HttpContext http, Digest digest)
    {
        var headers = http.Response.Headers;
        Validators.Write(http.Response, digest);
        headers.AcceptRanges = "bytes";
        if (IsPart && (Start >= Total || End <= Start))
        {
            http.Response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
            headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{Total}");
            http.Response.ContentLength = 0;
            return false;
        }

        http.Response.ContentType = "application/octet-stream";
        http.Response.ContentLength = End - Start;
        http.Response.StatusCode = IsPart ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
        if (IsPart)
            headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {Start}-{End - 1}/{Total}");
        return true;
    }

    /// <summary>Sends kept content. It is read straight into the output buffer.</summary>
    public async Task SendAsync(ClientRequest client, CachedContent content)
    {
        var body = client.Http.Response.BodyWriter;
        for (var offset = Start; offset < End;)
        {
            var memory = body.GetMemory(BufferSize);
            var count = await content.ReadAsync(memory.Length > End - offset ? memory[..(int)(End.Value - offset)] : memory, offset, client.Aborted);
            if (count == 0)
            {
                client.Http.Abort(); // what is kept is shorter than it was
                return;
            }

            offset += count;
            body.Advance(count);
            await body.FlushAsync(client.Aborted);
        }
    }
}
