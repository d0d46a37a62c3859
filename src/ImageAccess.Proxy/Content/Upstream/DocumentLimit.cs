using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>How large an answer may be, by what it is. Blobs have no limit.</summary>
/// <param name="Name">What it is, in words.</param>
/// <param name="Bytes">What it may measure, decoded.</param>
/// <param name="Whole">How much of it is read before the client is answered: what ends within fails with a status, what is longer is streamed.</param>
internal sealed record DocumentLimit(string Name, int Bytes, int Whole)
{
    private const int MiB = 1024 * 1024;

    /// <summary>Docker Hub gives all tags of a repository at once: far more than any repository has.</summary>
    private const int List = 64 * MiB;

    private static readonly DocumentLimit Manifest = new("manifest", ManifestRequest.MaximumSize, ManifestRequest.MaximumSize);
    private static readonly DocumentLimit Tags = new("tag list", List, 64 * 1024);
    private static readonly DocumentLimit Referrers = new("list of referrers", List, 64 * 1024);
    private static readonly DocumentLimit Other = new("answer", 4 * MiB, 4 * MiB);

    public static DocumentLimit Of(RepositoryRequest request, int status) => request switch
    {
        _ when status >= 400 => Other,
        ManifestRequest => Manifest,
        TagsRequest => Tags,
        ReferrersRequest => Referrers,
        _ => Other,
    };

    /// <exception cref="UpstreamException">It is larger.</exception>
    public void Demand(long? length)
    {
        if (length > Bytes)
            throw new UpstreamException($"upstream's {Name} is larger than {Bytes / MiB} MiB");
    }
}
