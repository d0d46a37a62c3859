using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>What is kept of an image, with all that its manifests name, and what of it no other image of its repository needs. Nobody is served by it.</summary>
internal sealed class KeptImages(ILinkStore links, IContentStore contents)
{
    public async Task<KeptImage> FindAsync(ImagePattern image, CancellationToken cancellationToken)
    {
        if (image.Namespace is { } name)
            return KeptImage.OfWhole(await links.ListAsync((repository, _) => repository.Namespace == name));
        if (image.Asked is { Tag: null, Digest: null } whole)
            return KeptImage.OfWhole(await links.ListAsync((repository, _) => repository.Equals(whole.Repository)));
        if (image.Asked is { } asked)
            return await FindAsync(asked.Repository, asked.Tag, asked.Digest, cancellationToken);

        var digest = Digest.TryParse(image.ToString(), out var named) ? named : throw new InvalidOperationException("A pattern names a digest, a namespace or an image.");
        var all = KeptImage.None with { Roots = [digest] };
        foreach (var link in await links.ListAsync((_, linked) => linked.Equals(digest)))
            all = all.With(await FindAsync(link.Repository, tag: null, digest, cancellationToken));
        return all;
    }

    /// <summary>How much of it is here: of how many contents, and how many bytes.</summary>
    public async Task<KeptSize> MeasureAsync(ImagePattern image, CancellationToken cancellationToken)
    {
        var (found, count, bytes) = (await FindAsync(image, cancellationToken), 0, 0L);
        foreach (var digest in found.All.Select(link => link.Digest).Concat(found.Roots).Distinct())
        {
            if (await contents.MeasureAsync(digest, cancellationToken) is { } length)
                (count, bytes) = (count + 1, bytes + length);
        }

        return new KeptSize(count, bytes);
    }

    private async Task<KeptImage> FindAsync(RepositoryName repository, Tag? tag, Digest? digest, CancellationToken cancellationToken)
    {
        var linked = (await links.ListAsync((other, _) => other.Equals(repository))).ToDictionary(link => link.Digest);
        var tags = await links.ListTagsAsync(repository);
        IReadOnlyList<Digest> roots = digest is not null ? [digest] : [.. tags.Where(seen => seen.Tag == tag!.Value).Select(seen => seen.Digest)];
        var parts = await WalkAsync(roots, linked, except: [], cancellationToken);

        // What another tag leads to is another image, and so is each manifest that this one does not name.
        var tagged = tags.Where(seen => seen.Tag != tag?.Value).Select(seen => seen.Digest);
        HashSet<Digest> blocked = digest is null ? [] : [digest];
        var others = tagged.Concat(linked.Values.Where(link => link.IsManifest && !parts.Digests.Contains(link.Digest)).Select(link => link.Digest)).Where(other => !blocked.Contains(other)).Distinct();
        var needed = await WalkAsync([.. others], linked, blocked, cancellationToken);
        var all = parts.Digests.Where(linked.ContainsKey).Select(part => linked[part]).ToList();
        return new KeptImage(all, all.FindAll(link => !needed.Digests.Contains(link.Digest)), digest is null ? [] : [digest], parts.Unread);
    }

    /// <summary>These and all that they name, and how many manifests could not be read.</summary>
    private async Task<(HashSet<Digest> Digests, int Unread)> WalkAsync(
        IReadOnlyList<Digest> roots, Dictionary<Digest, SeenLink> linked, HashSet<Digest> except, CancellationToken cancellationToken)
    {
        var (found, unread) = (new HashSet<Digest>(), 0);
        var pending = new Queue<(Digest Digest, bool IsManifest)>(roots.Select(root => (root, true)));
        while (pending.TryDequeue(out var next))
        {
            if (except.Contains(next.Digest) || !found.Add(next.Digest) || !(next.IsManifest || linked.GetValueOrDefault(next.Digest).IsManifest))
                continue;
            if (await ReadAsync(next.Digest, cancellationToken) is not { } names)
            {
                unread += linked.GetValueOrDefault(next.Digest).IsManifest ? 1 : 0;
                continue;
            }

            foreach (var manifest in names.Manifests)
                pending.Enqueue((manifest, true));
            foreach (var part in names.Parts)
                pending.Enqueue((part, false));
        }

        return (found, unread);
    }

    /// <summary>Null where it is not kept, cannot be read, or is no manifest.</summary>
    public async Task<ManifestNames?> ReadAsync(Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            // Nobody is served by this link: it opens what is kept.
            using var content = await contents.OpenAsync(new ContentLink(digest, mediaType: null, DateTimeOffset.UnixEpoch), cancellationToken);
            return content is null || content.Length > ManifestRequest.MaximumSize ? null : ManifestNames.Read(await ManifestAnswer.ReadAsync(content, cancellationToken));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

/// <summary>What is kept of an image.</summary>
/// <param name="All">By which its repositories have it.</param>
/// <param name="Own">Those of them that no other image of the same repository needs.</param>
/// <param name="Roots">The digests that the image is named by, also where no repository has them.</param>
/// <param name="Unread">Manifests that cannot be read: what they name is not known.</param>
internal sealed record KeptImage(IReadOnlyList<SeenLink> All, IReadOnlyList<SeenLink> Own, IReadOnlyList<Digest> Roots, int Unread)
{
    public static KeptImage None { get; } = new([], [], [], 0);

    public static KeptImage OfWhole(IReadOnlyList<SeenLink> links) => new(links, links, [], 0);

    public KeptImage With(KeptImage other) => this with { All = [.. All, .. other.All], Own = [.. Own, .. other.Own], Unread = Unread + other.Unread };
}

/// <summary>How much is kept.</summary>
/// <param name="Contents">Of how many digests: manifests, configurations, layers.</param>
/// <param name="Bytes">How long they are together.</param>
internal sealed record KeptSize(int Contents, long Bytes);
