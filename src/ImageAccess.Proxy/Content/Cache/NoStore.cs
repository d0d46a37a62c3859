using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>Nothing is kept: every request goes upstream.</summary>
internal sealed class NoStore : IContentStore, ILinkStore
{
    public ValueTask<CachedContent?> OpenAsync(ContentLink? link, CancellationToken cancellationToken) => default;

    public ValueTask<bool> HoldsAsync(Digest digest, CancellationToken cancellationToken) => default;

    public bool IsOpen => true;

    public ValueTask<long?> RemoveAsync(Digest digest) => default;

    public ValueTask<long?> MeasureAsync(Digest digest, CancellationToken cancellationToken) => default;

    public ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length, CancellationToken cancellationToken) => default;

    public ValueTask<ContentLink?> FindAsync(Permit permit, Digest digest, CancellationToken cancellationToken) => default;

    public ValueTask<KnownTag?> FindTagAsync(Permit permit, Tag tag, string accept, CancellationToken cancellationToken) => default;

    public ValueTask LinkAsync(RepositoryName repository, Digest digest, string? mediaType, DateTimeOffset seenAt) => default;

    public ValueTask<ContentLink?> UnlinkAsync(RepositoryName repository, Digest digest) => default;

    public ValueTask RecordTagAsync(RepositoryName repository, Tag tag, string accept, KnownTag known) => default;

    public ValueTask<IReadOnlyList<Digest>> ForgetTagAsync(RepositoryName repository, Tag tag) => new([]);

    public ValueTask<(int Links, int Tags)> ForgetRepositoryAsync(RepositoryName repository) => default;

    public ValueTask<IReadOnlyList<SeenLink>> ListAsync(Func<RepositoryName, Digest, bool> wanted) => new([]);

    public ValueTask<IReadOnlyList<SeenTag>> ListTagsAsync(RepositoryName repository) => new([]);
}
