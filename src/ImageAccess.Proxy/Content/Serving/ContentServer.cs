using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Content for those who show a permit: kept where it was verified and upstream has named it in this very repository, else from upstream
/// with the caller's own token.
/// </summary>
public sealed class ContentServer
{
    private readonly UpstreamRegistry _upstream;
    private readonly ManifestServer _manifests;
    private readonly BlobServer _blobs;

    internal ContentServer(UpstreamRegistry upstream, ManifestServer manifests, BlobServer blobs)
    {
        _upstream = upstream;
        _manifests = manifests;
        _blobs = blobs;
    }

    public async ValueTask<ContentAnswer> ServeAsync(HttpContext http, RepositoryRequest request, Permit permit, string origin, string realm)
    {
        var asked = new Asked(http, permit, origin, realm);
        try
        {
            return request switch
            {
                ManifestRequest { Method: "GET" or "HEAD" } manifest => await _manifests.ServeAsync(asked, manifest),
                ManifestRequest write => await _manifests.WriteAsync(asked, write),
                BlobRequest { Method: "GET" or "HEAD" } blob => await _blobs.ServeAsync(asked, blob),
                _ => ContentAnswer.Of(await _upstream.ForwardAsync(http, request, permit, origin, realm)),
            };
        }
        catch (UpstreamFailedException exception)
        {
            return ContentAnswer.Failed(exception.Error);
        }
    }
}

/// <summary>A request as it reaches the content: who shows what, and under which names it is answered.</summary>
internal sealed record Asked(HttpContext Http, Permit Permit, string Origin, string Realm)
{
    public bool IsHead => HttpMethods.IsHead(Http.Request.Method);

    public CancellationToken Aborted => Http.RequestAborted;
}

/// <summary>What became of a request.</summary>
/// <param name="UpstreamStatus">Upstream's status; null when it was not asked, or did not answer.</param>
/// <param name="Source">Where the content came from: <c>cache</c>, <c>stale</c> or <c>upstream</c>.</param>
/// <param name="Failure">What to tell the client, when its response could still be written.</param>
public sealed record ContentAnswer(int? UpstreamStatus, string Source, RegistryError? Failure)
{
    private static readonly ContentAnswer Fresh = new(null, ContentMetrics.WireName(ContentSource.Cache), null);

    /// <summary>The tag points elsewhere than when it was last seen: from where, and to where.</summary>
    public (Digest From, Digest To)? Moved { get; init; }

    internal static ContentAnswer Of(UpstreamAnswer answer) => new(answer.Status, ContentMetrics.WireName(ContentSource.Upstream), answer.Failure);

    internal static ContentAnswer Failed(RegistryError failure) => new(null, ContentMetrics.WireName(ContentSource.Upstream), failure);

    internal static ContentAnswer Kept(ContentSource source, int? upstreamStatus = null) =>
        source == ContentSource.Cache && upstreamStatus is null ? Fresh : new(upstreamStatus, ContentMetrics.WireName(source), null);
}
