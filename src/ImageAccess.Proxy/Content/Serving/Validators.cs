using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>What answers say of content that is known by its digest, and what clients ask with it (RFC 9110, sections 8.8 and 13).</summary>
internal static class Validators
{
    public static string ETagOf(Digest digest) => $"\"{digest.Value}\"";

    public static void Write(HttpResponse response, Digest digest)
    {
        response.Headers["Docker-Content-Digest"] = digest.Value;
        response.Headers.ETag = ETagOf(digest);
    }

    /// <summary>The client has it already (If-None-Match).</summary>
    public static bool IsUnchanged(ClientRequest client, Digest digest) =>
        client.Headers.IfNoneMatch.ToString().Contains(digest.Value, StringComparison.Ordinal);
}
