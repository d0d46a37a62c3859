using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Caching.Memory;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// What belongs to an image: the images of an index, their configurations and layers, and what is about it. Manifests never change, so what
/// they name is remembered by their digest alone; nobody is served by it.
/// </summary>
internal sealed class ImageParts : IDisposable
{
    /// <summary>How many manifests are read for one question that are not remembered; whoever asks again has the next ones read.</summary>
    public const int MaximumRead = 100;

    /// <summary>How many manifests are looked into for one question.</summary>
    private const int MaximumManifests = 2000;

    /// <summary>How deep indexes may be in each other: an index of indexes of images.</summary>
    private const int MaximumDepth = 3;

    /// <summary>How many names are remembered.</summary>
    private const int MaximumNames = 200_000;

    /// <summary>How many manifests that are about one image are remembered.</summary>
    private const int MaximumAbout = 50;

    private const string Manifests =
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.artifact.manifest.v1+json, "
        + "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, "
        + "application/vnd.docker.distribution.manifest.v1+prettyjws";

    private static readonly TimeSpan Remembered = TimeSpan.FromDays(1);

    /// <summary>How long upstream is not asked again what is about an image.</summary>
    private static readonly TimeSpan ListedFor = TimeSpan.FromMinutes(1);

    private readonly IContentStore _contents;
    private readonly ILinkStore _links;
    private readonly ManifestDownload _download;
    private readonly UpstreamRegistry _upstream;
    private readonly UpstreamRelay _relay;
    private readonly MemoryCache _names;
    private readonly MemoryCache _about;

    public ImageParts(IContentStore contents, ILinkStore links, ManifestDownload download, UpstreamRegistry upstream, UpstreamRelay relay, TimeProvider time)
    {
        (_contents, _links, _download, _upstream, _relay) = (contents, links, download, upstream, relay);
        _names = new MemoryCache(new MemoryCacheOptions { SizeLimit = MaximumNames, Clock = new CacheClock(time) });
        _about = new MemoryCache(new MemoryCacheOptions { SizeLimit = 10_000, Clock = new CacheClock(time) });
    }

    /// <summary>Whether it is a part of one of the images, or about one, by what is remembered alone.</summary>
    public bool IsKnownOf(RepositoryName repository, IReadOnlyList<Digest> roots, Digest digest)
    {
        IReadOnlyCollection<Digest> level = roots;
        var seen = new HashSet<Digest>();
        for (var depth = 0; depth < MaximumDepth && level.Count > 0; depth++)
        {
            var next = new List<Digest>();
            foreach (var manifest in level)
            {
                if (seen.Count >= MaximumManifests || !seen.Add(manifest) || Recall(manifest) is not { } names)
                    continue;
                if (names.Has(digest))
                    return true;
                next.AddRange(names.Manifests);
            }

            level = next;
        }

        return roots.Any(root => AboutOf(repository, root).Any(manifest => manifest.Equals(digest) || Recall(manifest)?.Has(digest) == true));
    }

    /// <summary>The same, and what is not known is read: what is kept first, then upstream's. An index before its images, and these one by one until it is found.</summary>
    /// <exception cref="ApprovalUnknownException">It was not found, and something could not be read.</exception>
    public async Task<bool> IsOfAsync(ClientRequest client, RepositoryRequest request, IReadOnlyList<Digest> roots, Digest digest, bool isManifest)
    {
        var reading = new Reading(this, client, request);
        IReadOnlyCollection<Digest> level = roots;
        for (var depth = 0; depth < MaximumDepth && level.Count > 0; depth++)
        {
            var next = new List<Digest>();
            foreach (var manifest in level)
            {
                if (await reading.FindAsync(manifest) is not { } names)
                    continue;
                if (names.Has(digest))
                    return true;
                next.AddRange(isManifest ? names.Indexes : names.Manifests);
            }

            if (isManifest && depth == 0 && IsAbout(request.Repository, roots, digest, await reading.LookIntoAsync(digest)))
                return true;
            level = next;
        }

        foreach (var manifest in roots.SelectMany(root => AboutOf(request.Repository, root)).ToList())
        {
            if (await reading.FindAsync(manifest) is { } names && names.Has(digest))
                return true;
        }

        if (!isManifest && await IsOfListedAsync(reading, request.Repository, roots, digest))
            return true;
        return reading.Failure is { } failure ? throw failure : false;
    }

    /// <summary>Whether it is an image of one of these indexes: what a tag points to for a client that takes no indexes.</summary>
    /// <exception cref="ApprovalUnknownException">It was not found, and something could not be read.</exception>
    public async Task<bool> AreImagesOfAsync(ClientRequest client, RepositoryRequest request, IReadOnlyList<Digest> roots, Digest digest)
    {
        var reading = new Reading(this, client, request);
        foreach (var root in roots)
        {
            if (await reading.FindAsync(root) is { } names && names.Manifests.Contains(digest))
                return true;
        }

        return reading.Failure is { } failure ? throw failure : false;
    }

    public void Dispose()
    {
        _names.Dispose();
        _about.Dispose();
    }

    private ManifestNames? Recall(Digest manifest) => _names.TryGetValue(manifest, out ManifestNames? names) ? names : null;

    private ManifestNames? Remember(Digest manifest, ReadOnlyMemory<byte> bytes)
    {
        if (ManifestNames.Read(bytes) is not { } names)
            return null;
        _names.Set(manifest, names, new MemoryCacheEntryOptions { Size = names.Count + 1, SlidingExpiration = Remembered });
        return names;
    }

    /// <summary>Whether a manifest is about one of the images; then it is remembered, for the parts that are asked for next.</summary>
    private bool IsAbout(RepositoryName repository, IReadOnlyList<Digest> roots, Digest digest, ManifestNames? names)
    {
        if (names?.Subject is not { } subject || !roots.Contains(subject))
            return false;
        var known = AboutOf(repository, subject);
        if (!known.Contains(digest))
        {
            Digest[] all = [digest, .. known.Take(MaximumAbout - 1)];
            _about.Set((repository.Value, subject), all, new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = Remembered });
        }

        return true;
    }

    /// <summary>Where another replica was asked for what is about the image, upstream tells which manifests to look into. That they are about it they say themselves.</summary>
    private async Task<bool> IsOfListedAsync(Reading reading, RepositoryName repository, IReadOnlyList<Digest> roots, Digest digest)
    {
        foreach (var root in roots)
        {
            foreach (var listed in await reading.ListAsync(root))
            {
                if (IsAbout(repository, roots, listed, await reading.LookIntoAsync(listed)) && Recall(listed)?.Has(digest) == true)
                    return true;
            }
        }

        return false;
    }

    /// <summary>Whoever pushes says what a manifest is about, so it counts in the repository alone that has the manifest.</summary>
    private Digest[] AboutOf(RepositoryName repository, Digest root) => _about.TryGetValue((repository.Value, root), out Digest[]? known) ? known! : [];

    /// <summary>What is read for one question, with the token of who asks it.</summary>
    private sealed class Reading(ImageParts parts, ClientRequest client, RepositoryRequest request)
    {
        private readonly HashSet<Digest> _seen = [];
        private int _read;

        /// <summary>Why something could not be read.</summary>
        public ApprovalUnknownException? Failure { get; private set; }

        /// <summary>What the manifest of an approved image names. It is kept, as the caller will want it.</summary>
        public Task<ManifestNames?> FindAsync(Digest manifest) => FindAsync(manifest, fromHere: true, keeps: true);

        /// <summary>What a manifest of this repository names that is not known to be of an approved image: kept elsewhere, it says nothing here.</summary>
        public async Task<ManifestNames?> LookIntoAsync(Digest manifest) =>
            await FindAsync(manifest, fromHere: await parts._links.FindAsync(client.Permit, manifest, client.Aborted) is { MediaType: not null }, keeps: false);

        /// <summary>What upstream lists as being about an image, and was not looked into for this; none where it has just been asked.</summary>
        public async Task<IReadOnlyCollection<Digest>> ListAsync(Digest root)
        {
            var key = (request.Repository.Value, root, "listed");
            if (parts._about.TryGetValue(key, out _))
                return [];
            try
            {
                var asked = request.ReferrersOf(root);
                using var answer = await parts._upstream.FetchAsync(asked, HttpMethod.Get, client.Permit, client.Headers, from: null, client.Aborted);
                var bytes = answer.StatusCode == HttpStatusCode.OK ? await parts._relay.ReadDocumentAsync(client, asked, answer) : default;
                parts._about.Set(key, true, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = ListedFor });
                var known = parts.AboutOf(request.Repository, root);
                return ManifestNames.Read(bytes)?.Manifests.Where(listed => !known.Contains(listed)).ToList() ?? [];
            }
            catch (UpstreamFailedException exception)
            {
                Failure ??= new ApprovalUnknownException(request.Repository, exception);
                return [];
            }
        }

        /// <param name="fromHere">What is remembered or kept of it will do, from whichever repository.</param>
        /// <param name="keeps">What is downloaded is kept.</param>
        private async Task<ManifestNames?> FindAsync(Digest manifest, bool fromHere, bool keeps)
        {
            if (!_seen.Add(manifest) || _seen.Count > MaximumManifests)
                return null;
            if (fromHere && parts.Recall(manifest) is { } known)
                return known;
            if (_read++ >= MaximumRead)
            {
                Failure ??= new ApprovalUnknownException(request.Repository);
                return null;
            }

            try
            {
                var kept = fromHere ? await ReadKeptAsync(manifest) : null;
                var bytes = kept ?? await DownloadAsync(manifest, keeps);
                return bytes is null ? null : parts.Remember(manifest, bytes.Value);
            }
            catch (Exception exception) when (exception is UpstreamFailedException or ApprovalUnknownException)
            {
                Failure ??= exception as ApprovalUnknownException ?? new ApprovalUnknownException(request.Repository, exception);
                return null;
            }
        }

        /// <summary>Nobody is served by this link.</summary>
        private async Task<ReadOnlyMemory<byte>?> ReadKeptAsync(Digest manifest)
        {
            try
            {
                using var content = await parts._contents.OpenAsync(new ContentLink(manifest, mediaType: null, DateTimeOffset.UnixEpoch), client.Aborted);
                if (content is null || content.Length > ManifestRequest.MaximumSize)
                    return null;
                var bytes = content.Bytes ?? await ManifestAnswer.ReadAsync(content, client.Aborted);
                return DigestCheck.Verifies(manifest, bytes.Span) ? bytes : null;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return null; // upstream has it too
            }
        }

        /// <summary>Null where upstream has none.</summary>
        private async Task<ReadOnlyMemory<byte>?> DownloadAsync(Digest manifest, bool keeps)
        {
            var headers = client.HeadersAccepting(Manifests);
            var asked = request.ManifestOf(manifest);
            var fetched = keeps
                ? await parts._download.RunAsync(client, asked, headers, question: null)
                : await parts._download.DownloadAsync(client, asked, headers, question: null, keeps: false);
            if (fetched.Digest is null && !fetched.IsFor(client))
                fetched = await parts._download.DownloadAsync(client, asked, headers, question: null, keeps);
            if (fetched.Digest is not null)
                return fetched.Bytes;
            using var answer = fetched.Answer;
            return answer.StatusCode == HttpStatusCode.NotFound ? null : throw new ApprovalUnknownException(request.Repository);
        }
    }
}
