using ImageAccess.Core.Oci;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// What answers say of manifests and blobs, kept or not, and the conditions that clients ask with (RFC 9110, sections 8.8 and 13). Content
/// that is known by its digest never changes: the digest is its entity-tag. It has no date, so conditions by date are ignored.
/// </summary>
internal static class Validators
{
    private const string ContentDigest = "Docker-Content-Digest";

    public static string ETagOf(Digest digest) => $"\"{digest.Value}\"";

    /// <summary>An answer's entity-tag; empty where it has none.</summary>
    public static string ETagOf(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues(HeaderNames.ETag, out var values) ? values.ToString() : "";

    public static void Write(HttpResponse response, Digest digest)
    {
        response.Headers[ContentDigest] = digest.Value;
        response.Headers.ETag = ETagOf(digest);
    }

    /// <summary>The same for an answer of upstream, in place of its own: content hosts have entity-tags of another form, and dates.</summary>
    public static void Write(HttpResponseMessage answer, Digest digest)
    {
        answer.Headers.Remove(HeaderNames.ETag);
        answer.Headers.TryAddWithoutValidation(HeaderNames.ETag, ETagOf(digest));
        answer.Headers.Remove(ContentDigest);
        answer.Headers.TryAddWithoutValidation(ContentDigest, digest.Value);
        answer.Content.Headers.Remove(HeaderNames.LastModified);
    }

    /// <summary>Judges the client's conditions in their order (RFC 9110, section 13.2.2). An entity-tag that cannot be read matches nothing.</summary>
    /// <param name="client">The client's headers.</param>
    /// <param name="etag">The content's entity-tag; empty where it has none.</param>
    /// <returns>304 or 412; null where the content is to be sent.</returns>
    public static int? Judge(IHeaderDictionary client, StringValues etag)
    {
        if (client.IfMatch.Count > 0 && !Matches(client.IfMatch, etag, strongly: true))
            return StatusCodes.Status412PreconditionFailed;
        return client.IfNoneMatch.Count > 0 && Matches(client.IfNoneMatch, etag, strongly: false) ? StatusCodes.Status304NotModified : null;
    }

    private static bool Matches(StringValues condition, StringValues etag, bool strongly)
    {
        var own = EntityTagHeaderValue.TryParse(etag.ToString(), out var read) ? read : null;
        return EntityTagHeaderValue.TryParseList(condition.ToArray()!, out var named)
            && named.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || (own is not null && own.Compare(tag, strongly)));
    }
}
