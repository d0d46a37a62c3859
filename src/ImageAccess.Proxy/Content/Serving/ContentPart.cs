using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>One range of bytes that a client asks for (RFC 9110, section 14.1.2); any other range is answered with the whole.</summary>
/// <param name="From">The first byte; null for the last ones.</param>
/// <param name="To">The last byte, or how many of the last.</param>
internal sealed record ContentRange(long? From, long? To)
{
    /// <summary>The range that the client asks for; null where it asks for the whole, or asks in a way that does not count: by HEAD, or if something else were there.</summary>
    public static ContentRange? Of(ClientRequest client, Digest digest) =>
        client.Headers.Range.Count == 1
        && !client.IsHead
        && (client.Headers.IfRange.Count == 0 || client.Headers.IfRange.ToString() == Validators.ETagOf(digest))
        && RangeHeaderValue.TryParse(client.Headers.Range.ToString(), out var range)
        && range.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase) && range.Ranges.Count == 1
            ? new ContentRange(range.Ranges.First().From, range.Ranges.First().To)
            : null;

    /// <summary>As upstream is asked for it.</summary>
    public System.Net.Http.Headers.RangeHeaderValue ToHeader() => new(From, To);
}

/// <summary>The bytes of some content that an answer contains.</summary>
/// <param name="Start">The first byte.</param>
/// <param name="End">Behind the last byte; null where the length is not known.</param>
/// <param name="Total">The content's length.</param>
/// <param name="IsPart">The client asked for a range.</param>
internal readonly record struct ContentPart(long Start, long? End, long? Total, bool IsPart)
{
    public const int BufferSize = 64 * 1024;

    public static ContentPart Of(ContentRange? range, long? total)
    {
        if (range is null || total is not { } length || (length == 0 && range is { From: null, To: > 0 }))
            return new ContentPart(0, total, total, IsPart: false);
        var start = range.From ?? Math.Max(0, length - (range.To ?? 0));
        var end = range is { From: not null, To: { } last } ? Math.Min(length - 1, last) + 1 : length;
        return new ContentPart(start, end, length, IsPart: true);
    }

    /// <summary>Writes the head of an answer with content that is known by its digest, as the client's conditions and its range want it.</summary>
    /// <returns>Whether a body follows.</returns>
    public bool Prepare(ClientRequest client, Digest digest, string mediaType)
    {
        var response = client.Http.Response;
        Validators.Write(response, digest);
        if (Validators.Judge(client.Headers, response.Headers.ETag) is { } status)
        {
            WriteEmpty(response, status);
            return false;
        }

        if (IsPart && (Start >= Total || End <= Start))
        {
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{Total}");
            WriteEmpty(response, StatusCodes.Status416RangeNotSatisfiable);
            return false;
        }

        response.ContentType = mediaType;
        response.ContentLength = End - Start;
        response.StatusCode = IsPart ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
        if (IsPart)
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {Start}-{End - 1}/{Total}");
        return !client.IsHead;
    }

    /// <summary>An answer without content. A 304 says nothing of its length: that would be the content's.</summary>
    public static void WriteEmpty(HttpResponse response, int status)
    {
        response.StatusCode = status;
        response.ContentLength = status == StatusCodes.Status304NotModified ? null : 0;
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
