using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>A manifest as clients get it, kept or just fetched.</summary>
internal static class ManifestAnswer
{
    public static async ValueTask WriteAsync(ClientRequest client, CachedContent content)
    {
        if (content.Bytes is { } bytes)
            await WriteAsync(client, content.Digest, content.MediaType!, bytes);
        else if (WriteHead(client, content.Digest, content.MediaType!, content.Length))
            await BlobPart.Of(null, content.Length).SendAsync(client, content);
    }

    public static async ValueTask WriteAsync(ClientRequest client, Digest digest, string mediaType, ReadOnlyMemory<byte> bytes)
    {
        if (WriteHead(client, digest, mediaType, bytes.Length))
            await client.Http.Response.BodyWriter.WriteAsync(bytes, client.Aborted);
    }

    /// <returns>Whether a body follows.</returns>
    private static bool WriteHead(ClientRequest client, Digest digest, string mediaType, long length)
    {
        var response = client.Http.Response;
        Validators.Write(response, digest);
        if (Validators.IsUnchanged(client, digest))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return false;
        }

        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = mediaType;
        response.ContentLength = length;
        return !client.IsHead;
    }
}
