using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>A blob as clients get it, kept or coming.</summary>
internal static class BlobAnswer
{
    /// <summary>Writes the head of an answer with this part of a blob.</summary>
    /// <returns>Whether a body follows.</returns>
    public static bool Prepare(ClientRequest client, Digest digest, ContentPart part)
    {
        client.Http.Response.Headers.AcceptRanges = "bytes";
        return part.Prepare(client, digest, "application/octet-stream");
    }
}
