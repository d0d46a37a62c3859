using System.Net;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Tells which requests are one pull: those of one caller from one address for one repository, within a minute of the pull's beginning,
/// in the order in which clients ask. A pull may begin with HEAD, once or more, for one reference; then comes GET, for the same reference
/// or for a digest; then only GET for digests. Anything else begins another pull. A blob begins none.
/// </summary>
/// <remarks>
/// The memory is a table of a fixed size, without a lock. Where two pulls fall into one place, the later one counts, and the rest of the
/// earlier one counts as a pull of its own.
/// </remarks>
internal sealed class OpenPulls(TimeProvider time)
{
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private const int Size = 8192;

    private readonly OpenPull?[] _places = new OpenPull?[Size];

    /// <returns>The pull, whose id is the one given where the request begins it; null for what is no part of a pull.</returns>
    public OpenPull? Join(string caller, IPAddress? client, RepositoryRequest request, string id)
    {
        var (reference, isDigest) = request switch
        {
            ManifestRequest { Action: RegistryAction.Pull, Reference: var asked } => (asked.Value, !asked.IsTag),
            BlobRequest { Action: RegistryAction.Pull } blob => (blob.Digest.Value, true),
            _ => (null, false),
        };
        if (reference is null)
            return null;

        var key = new PullKey(caller, client, request.Repository.Value);
        ref var place = ref _places[key.GetHashCode() & (Size - 1)];
        if (Volatile.Read(ref place) is { } open && open.Key == key && time.GetElapsedTime(open.Began) < Window
            && open.TryContinue(reference, isDigest, request.Method == "HEAD"))
            return open;
        if (request is BlobRequest)
            return null;
        var begun = new OpenPull(key, id, reference, time.GetTimestamp(), request.Method != "HEAD");
        Volatile.Write(ref place, begun);
        return begun;
    }
}

/// <summary>Whose pull it is.</summary>
internal readonly record struct PullKey(string Caller, IPAddress? Client, string Repository);

/// <summary>One pull, which more requests may join.</summary>
internal sealed class OpenPull(PullKey key, string id, string reference, long began, bool hasContent)
{
    /// <summary>A GET was among the requests.</summary>
    private volatile bool _hasContent = hasContent;

    private Digest? _index;

    public PullKey Key { get; } = key;

    public string Id { get; } = id;

    public long Began { get; } = began;

    /// <summary>The digest of the index that was served last: what is asked for by digest after it is chosen from it.</summary>
    public Digest? Index
    {
        get => Volatile.Read(ref _index);
        set => Volatile.Write(ref _index, value);
    }

    public bool TryContinue(string asked, bool isDigest, bool isHead)
    {
        if (_hasContent ? isHead || !isDigest : asked != reference && (isHead || !isDigest))
            return false;
        if (!isHead)
            _hasContent = true;
        return true;
    }
}
