using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>
/// The proof that the policy engine allowed a repository. Only this assembly makes one; whoever serves or forwards
/// content demands it, so that serving without a decision does not compile.
/// </summary>
public sealed class Permit
{
    private readonly Blocks _blocks;
    private HashSet<Digest>? _shown;

    internal Permit(RepositoryName repository, Blocks blocks, IReadOnlyList<PermitLimit> limits, IReadOnlyList<string> organizations) =>
        (Repository, _blocks, Limits, Organizations) = (repository, blocks, limits, organizations);

    public RepositoryName Repository { get; }

    /// <summary>One for each organization that allows only some images of the repository; none where all of it is allowed. Content must be within each.</summary>
    public IReadOnlyList<PermitLimit> Limits { get; }

    /// <summary>The organizations that the caller was judged under.</summary>
    public IReadOnlyList<string> Organizations { get; }

    public bool IsLimited => Limits.Count > 0;

    /// <summary>Path and query to ask upstream for.</summary>
    /// <exception cref="InvalidOperationException">The permit is for another repository, or is limited to images and the request is for something else.</exception>
    public string UpstreamTarget(RepositoryRequest request)
    {
        Demand(request.Repository);
        if (IsLimited && (request is not (ManifestRequest or BlobRequest or ReferrersRequest) || !request.Asked.IsPull))
            throw new InvalidOperationException($"A permit for images of {Repository} was shown for {request.Subject}.");
        return request.Target;
    }

    /// <summary>The same upload with its mount: this permit shows that the mount's source is allowed as well.</summary>
    /// <exception cref="InvalidOperationException">The upload mounts nothing, or the permit is for another repository.</exception>
    public UploadStartRequest Mount(UploadStartRequest upload)
    {
        Demand((upload.Mount ?? throw new InvalidOperationException("The upload mounts nothing.")).From);
        return upload.WithMount();
    }

    /// <summary>Throws unless the permit is for this very repository.</summary>
    /// <exception cref="InvalidOperationException">The permit is for another repository.</exception>
    public void Demand(RepositoryName repository)
    {
        if (!Repository.Equals(repository))
            throw new InvalidOperationException($"A permit for {Repository} was shown for {repository}.");
    }

    /// <summary>Throws where the digest is blocked that the repository's content turns out to have, or was not shown to be within the permit's limits.</summary>
    /// <exception cref="BlockedException">It is blocked.</exception>
    /// <exception cref="OutsideException">It was not shown to be of an approved image.</exception>
    public void Demand(Digest digest)
    {
        if (_blocks.Hold(Repository, digest))
            throw new BlockedException(digest);
        if (IsLimited && _shown?.Contains(digest) != true)
            throw new OutsideException(Limits[0]);
    }

    /// <summary>The digest was found within every limit of this permit. For the one request that the permit was made for.</summary>
    public void Show(Digest digest) => (_shown ??= []).Add(digest);

    /// <summary>Whether a digest is blocked that the repository's content may have: then its manifests must be read.</summary>
    public bool HasBlockedDigests => _blocks.HaveDigests;

    /// <summary>Throws where a manifest names a blocked digest: what it names belongs to the image.</summary>
    /// <exception cref="BlockedException">It does.</exception>
    public void DemandNamed(ReadOnlySpan<byte> manifest)
    {
        if (_blocks.FindNamed(Repository, manifest) is { } digest)
            throw new BlockedException(digest);
    }
}
