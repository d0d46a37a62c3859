using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Cache;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>A store of content and one of links, as the program uses them together.</summary>
internal sealed class KeptContents(IContentStore contents, ILinkStore links)
{
    public static KeptContents Of(IServiceProvider services) =>
        new(services.GetRequiredService<IContentStore>(), services.GetRequiredService<ILinkStore>());

    /// <summary>Puts content into the store, seen in a repository.</summary>
    public async Task<Digest> KeepAsync(string repository, byte[] bytes, string? mediaType = null, Digest? digest = null)
    {
        digest ??= CacheRoom.Sha256(bytes);
        await LinkAsync(CacheRoom.Repository(repository), digest, mediaType);
        await using var writer = await BeginAsync(digest, bytes.Length);
        Assert.NotNull(writer);
        await writer.WriteAsync(bytes, default);
        await writer.PublishAsync(default);
        return digest;
    }

    public async Task<byte[]?> ReadAsync(string repository, Digest digest)
    {
        using var content = await OpenAsync(CacheRoom.Permit(repository), digest);
        return content is null ? null : await content.ReadToEndAsync();
    }

    public async Task<CachedContent?> OpenAsync(Permit permit, Digest digest) =>
        await contents.OpenAsync(await links.FindAsync(permit, digest, default), default);

    public ValueTask<bool> HoldsAsync(Digest digest) => contents.HoldsAsync(digest, default);

    public ValueTask<long?> MeasureAsync(Digest digest) => contents.MeasureAsync(digest, default);

    public ValueTask<long?> RemoveAsync(Digest digest) => contents.RemoveAsync(digest);

    public ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length) => contents.BeginAsync(digest, length, default);

    public async Task<bool> IsLinkedAsync(RepositoryName repository, Digest digest) =>
        await links.FindAsync(CacheRoom.Permit(repository.Value), digest, default) is not null;

    /// <param name="seenAt">Null for now.</param>
    public ValueTask LinkAsync(RepositoryName repository, Digest digest, string? mediaType, DateTimeOffset? seenAt = null) =>
        links.LinkAsync(repository, digest, mediaType, seenAt ?? TimeProvider.System.GetUtcNow());

    public ValueTask<ContentLink?> FindAsync(Permit permit, Digest digest) => links.FindAsync(permit, digest, default);

    public ValueTask<ContentLink?> UnlinkAsync(RepositoryName repository, Digest digest) => links.UnlinkAsync(repository, digest);

    public ValueTask<(int Links, int Tags)> ForgetRepositoryAsync(RepositoryName repository) => links.ForgetRepositoryAsync(repository);

    public ValueTask<KnownTag?> FindTagAsync(Permit permit, Tag tag, string accept) => links.FindTagAsync(permit, tag, accept, default);

    public ValueTask RecordTagAsync(RepositoryName repository, Tag tag, string accept, KnownTag known) => links.RecordTagAsync(repository, tag, accept, known);

    public ValueTask<IReadOnlyList<Digest>> ForgetTagAsync(RepositoryName repository, Tag tag) => links.ForgetTagAsync(repository, tag);
}

internal static class CachedContentReading
{
    public static async Task<byte[]> ReadToEndAsync(this CachedContent content)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[7001];
        while (await content.ReadAsync(buffer, bytes.Length, default) is var read and > 0)
            bytes.Write(buffer, 0, read);
        return bytes.ToArray();
    }
}
