using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Forgets what a repository has here, because it was taken down: it is served from here again only after upstream has answered for it again.
/// The bytes stay, for other repositories and until they are evicted; those of what is blocked go, where nobody else needs them.
/// </summary>
internal sealed class Forgetting(ILinkStore links, IContentStore contents, ContentLinks learnt, KeptImages images)
{
    /// <summary>
    /// All of a repository; or one tag or digest of it, with everything that its manifest names, also where the repository has the manifest
    /// itself no longer. It cannot be broken off: what has begun is done, and told.
    /// </summary>
    /// <returns>What was forgotten; null where nothing is known here by this tag or digest.</returns>
    public async Task<Forgotten?> RunAsync(RepositoryName repository, Tag? tag, Digest? digest)
    {
        learnt.DisbelieveEarlierAnswers(repository);
        if (tag is null && digest is null)
        {
            var all = await links.ForgetRepositoryAsync(repository);
            return new Forgotten(all.Links, all.Tags, Unread: 0);
        }

        var pending = new Queue<(Digest Digest, bool IsManifest)>();
        foreach (var pointedTo in tag is null ? [] : await links.ForgetTagAsync(repository, tag))
            pending.Enqueue((pointedTo, true));
        var tags = pending.Count > 0 ? 1 : 0;
        if (digest is not null)
            pending.Enqueue((digest, false));
        var (seen, forgotten, unread) = (new HashSet<(Digest, bool)>(), 0, 0);
        while (pending.TryDequeue(out var next))
        {
            if (!seen.Add(next))
                continue;
            var link = await links.UnlinkAsync(repository, next.Digest);
            forgotten += link is null ? 0 : 1;
            var isManifest = next.IsManifest || link?.MediaType is not null;
            if (!isManifest && !next.Digest.Equals(digest))
                continue;
            var named = await images.ReadAsync(next.Digest, CancellationToken.None);
            unread += isManifest && named is null ? 1 : 0;
            foreach (var image in named?.Manifests ?? [])
                pending.Enqueue((image, true));
            foreach (var part in named?.Parts ?? [])
                pending.Enqueue((part, false));
        }

        return forgotten + tags > 0 || (digest is not null && await contents.HoldsAsync(digest, CancellationToken.None))
            ? new Forgotten(forgotten, tags, unread)
            : null;
    }

    /// <summary>
    /// What is kept of a blocked image: its links, and the content that no repository has a link to any more. What another image needs that is not named by
    /// the block stays as it is. It cannot be broken off, and doing it again does no harm.
    /// </summary>
    /// <exception cref="IOException">Content cannot be removed.</exception>
    /// <exception cref="UnauthorizedAccessException">Content cannot be removed.</exception>
    public async Task<Purged> PurgeAsync(ImagePattern image)
    {
        learnt.DisbelieveEarlierAnswers();
        var found = await images.FindAsync(image, CancellationToken.None);
        var (unlinked, tags) = (0, 0);
        if (image.Asked is { Tag: { } tag } tagged)
            tags += (await links.ForgetTagAsync(tagged.Repository, tag)).Count > 0 ? 1 : 0;
        if (image.Namespace is not null || image.Asked is { Tag: null, Digest: null })
        {
            foreach (var repository in found.Own.Select(link => link.Repository).Distinct())
            {
                var all = await links.ForgetRepositoryAsync(repository);
                (unlinked, tags) = (unlinked + all.Links, tags + all.Tags);
            }
        }
        else
        {
            foreach (var link in found.Own)
                unlinked += await links.UnlinkAsync(link.Repository, link.Digest) is null ? 0 : 1;
        }

        var candidates = found.Own.Select(link => link.Digest).Concat(found.Roots).ToHashSet();
        var needed = (await links.ListAsync((_, digest) => candidates.Contains(digest))).Select(link => link.Digest).ToHashSet();
        var (count, bytes) = (0, 0L);
        foreach (var digest in candidates.Where(digest => !needed.Contains(digest)))
        {
            if (await contents.RemoveAsync(digest) is { } length)
                (count, bytes) = (count + 1, bytes + length);
        }

        return new Purged(unlinked, tags, count, bytes, found.Unread);
    }
}

/// <summary>What was forgotten of a blocked image.</summary>
/// <param name="Links">How many digests of how many repositories.</param>
/// <param name="Tags">How many tags.</param>
/// <param name="Contents">Of how many digests the content was removed.</param>
/// <param name="Bytes">How long it was together.</param>
/// <param name="Unread">Manifests that could not be read: what they name is not known, and was not forgotten.</param>
internal sealed record Purged(int Links, int Tags, int Contents, long Bytes, int Unread)
{
    public static Purged Nothing { get; } = new(0, 0, 0, 0, 0);

    public bool IsNothing => Links + Tags + Contents == 0;
}

/// <summary>What was forgotten, and what could not be.</summary>
/// <param name="Links">How many digests.</param>
/// <param name="Tags">How many tags.</param>
/// <param name="Unread">Manifests that are not kept or cannot be read: what they name is not known, and was not forgotten.</param>
internal sealed record Forgotten(int Links, int Tags, int Unread);

/// <summary>What was forgotten of an image, as the admin listener says it.</summary>
internal sealed record ForgottenImage(string Image, int Links, int Tags, int Unread)
{
    /// <summary>Where the admin listener takes a DELETE.</summary>
    public const string Path = "/api/v1/cache";
}
