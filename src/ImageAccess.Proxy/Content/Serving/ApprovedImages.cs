using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Holds a permit that is limited to approved images to them: what is asked for must be one of them, a part of one, or about one as a
/// signature is. The manifests themselves say so, verified by their digests; those that are not known here are fetched with the caller's own
/// token. It comes before anything is sent, kept or fetched of what is asked for.
/// </summary>
internal sealed class ApprovedImages(ImageParts parts, FollowedTags followed)
{
    /// <exception cref="OutsideException">It is outside of the permit's limits.</exception>
    /// <exception cref="ApprovalUnknownException">It cannot be found out at the moment.</exception>
    public ValueTask DemandAsync(ClientRequest client, RepositoryRequest request) => request switch
    {
        _ when !client.Permit.IsLimited => ValueTask.CompletedTask,
        ManifestRequest { Method: "GET" or "HEAD", Reference.IsTag: true } => ValueTask.CompletedTask, // when it is known where it points to
        ManifestRequest { Method: "GET" or "HEAD", Reference.Digest: { } digest } => DemandAsync(client, request, digest, isManifest: true),
        BlobRequest { Method: "GET" or "HEAD" } blob => DemandAsync(client, request, blob.Digest, isManifest: false),
        ReferrersRequest list => DemandRootAsync(client, list),
        _ => throw new OutsideException(client.Permit.Limits[0]), // a list of tags
    };

    /// <summary>A tag is approved as what it was, or wherever it points to.</summary>
    /// <param name="digest">Where it points to, as upstream says now or has said lately.</param>
    /// <exception cref="OutsideException">It points to another image.</exception>
    public ValueTask DemandTagAsync(ClientRequest client, ManifestRequest request, Tag tag, Digest digest) =>
        client.Permit.IsLimited ? DemandPointedToAsync(client, request, tag, digest) : ValueTask.CompletedTask;

    private async ValueTask DemandPointedToAsync(ClientRequest client, ManifestRequest request, Tag tag, Digest digest)
    {
        foreach (var limit in client.Permit.Limits)
        {
            if (limit.Exceptions.Any(exception => exception.Follow && exception.Tag?.Value == tag.Value))
                followed.Saw(request.Repository, tag, digest);
            else if (!limit.IsRoot(digest) && !await parts.AreImagesOfAsync(client, request, RootsOf(limit), digest))
                throw new OutsideException(limit, limit.Exceptions.Last(exception => exception.Approved is not null));
        }

        client.Permit.Show(digest);
    }

    private async ValueTask DemandAsync(ClientRequest client, RepositoryRequest request, Digest digest, bool isManifest)
    {
        foreach (var limit in client.Permit.Limits)
        {
            if (!await HasAsync(client, request, limit, digest, isManifest))
                throw new OutsideException(limit);
        }

        client.Permit.Show(digest);
    }

    private async ValueTask DemandRootAsync(ClientRequest client, ReferrersRequest request)
    {
        foreach (var limit in client.Permit.Limits)
        {
            if (!limit.IsRoot(request.Digest) && !followed.Seen(limit, request.Repository).Contains(request.Digest)
                && !(await followed.AskAsync(client, request, limit)).Contains(request.Digest))
                throw new OutsideException(limit);
        }
    }

    private async ValueTask<bool> HasAsync(ClientRequest client, RepositoryRequest request, PermitLimit limit, Digest digest, bool isManifest)
    {
        var roots = RootsOf(limit);
        roots.AddRange(followed.Seen(limit, request.Repository));
        if (roots.Contains(digest) || parts.IsKnownOf(request.Repository, roots, digest))
            return true;
        foreach (var root in await followed.AskAsync(client, request, limit))
        {
            if (!roots.Contains(root))
                roots.Add(root);
        }

        return roots.Contains(digest) || await parts.IsOfAsync(client, request, roots, digest, isManifest);
    }

    private static List<Digest> RootsOf(PermitLimit limit) => [.. limit.Exceptions.Select(exception => exception.Root).OfType<Digest>().Distinct()];
}

/// <summary>Whether something is of an approved image cannot be found out at the moment.</summary>
internal sealed class ApprovalUnknownException(RepositoryName repository, Exception? inner = null)
    : Exception($"the approved images of {repository} could not be read from Docker Hub, try again", inner);
