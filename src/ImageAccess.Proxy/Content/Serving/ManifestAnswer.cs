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
        {
            await WriteAsync(client, content.Digest, content.MediaType!, bytes);
            return;
        }

        var part = ContentPart.Of(ContentRange.Of(client, content.Digest), content.Length);
        if (part.Prepare(client, content.Digest, content.MediaType!))
            await part.SendAsync(client, content);
    }

    /// <summary>All of a manifest that is not in memory.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CachedContent content, CancellationToken cancellationToken)
    {
        var bytes = new byte[Math.Min(content.Length, ManifestRequest.MaximumSize)];
        var length = 0;
        while (length < bytes.Length && await content.ReadAsync(bytes.AsMemory(length), length, cancellationToken) is > 0 and var read)
            length += read;
        return bytes.AsMemory(0, length);
    }

    public static async ValueTask WriteAsync(ClientRequest client, Digest digest, string mediaType, ReadOnlyMemory<byte> bytes)
    {
        var part = ContentPart.Of(ContentRange.Of(client, digest), bytes.Length);
        if (part.Prepare(client, digest, mediaType))
            await client.Http.Response.BodyWriter.WriteAsync(bytes[(int)part.Start..(int)part.End!.Value], client.Aborted);
    }
}
