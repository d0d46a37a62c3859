using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Serves content to those who show a permit: kept content, where it was verified and upstream has named it in this very repository;
/// else upstream's, fetched with the caller's own token.
/// </summary>
public sealed class ContentServer
{
    private readonly ManifestServer _manifests;
    private readonly BlobServer _blobs;
    private readonly ApprovedImages _approved;
    private readonly UpstreamRelay _relay;
    private readonly UpstreamWrites _writes;

    internal ContentServer(ManifestServer manifests, BlobServer blobs, ApprovedImages approved, UpstreamRelay relay, UpstreamWrites writes)
    {
        (_manifests, _blobs, _approved, _relay, _writes) = (manifests, blobs, approved, relay, writes);
    }

    public async ValueTask<ContentAnswer> ServeAsync(HttpContext http, RepositoryRequest request, Permit permit, string origin, string realm)
    {
        var client = new ClientRequest(http, permit, origin, realm);
        try
        {
            await _approved.DemandAsync(client, request);
            return request switch
            {
                ManifestRequest { Method: "GET" or "HEAD" } manifest => await _manifests.ServeAsync(client, manifest),
                ManifestRequest write => await _manifests.WriteAsync(client, write),
                BlobRequest { Method: "GET" or "HEAD" } blob => await _blobs.ServeAsync(client, blob),
                { Method: "GET" or "HEAD" } => ContentAnswer.Of(await _relay.ReadAsync(client, request)),
                _ => ContentAnswer.Of(await _writes.ForwardAsync(client, request)),
            };
        }
        catch (UpstreamFailedException exception)
        {
            return ContentAnswer.Failed(exception.Error);
        }
        catch (BlockedException exception)
        {
            return ContentAnswer.Of(exception.Digest);
        }
        catch (OutsideException exception)
        {
            return ContentAnswer.Of(exception);
        }
        catch (ApprovalUnknownException exception)
        {
            return ContentAnswer.Undecided(exception.Message);
        }
    }
}

/// <summary>What became of a request.</summary>
/// <param name="UpstreamStatus">Upstream's status; null when no request went there, or none was answered.</param>
/// <param name="Source">Where the content came from: <c>cache</c>, <c>stale</c> or <c>upstream</c>.</param>
/// <param name="Failure">What to tell the client, when its response could still be written.</param>
public sealed record ContentAnswer(int? UpstreamStatus, string Source, RegistryError? Failure)
{
    private static readonly ContentAnswer Fresh = new(null, ContentMetrics.WireName(ContentSource.Cache), null);

    /// <summary>The tag points elsewhere than when it was last seen: from where, and to where.</summary>
    public (Digest From, Digest To)? Moved { get; init; }

    /// <summary>The digest that a tag or a manifest led to and that is blocked: the client has been sent nothing.</summary>
    public Digest? Blocked { get; init; }

    /// <summary>What is asked for is outside of the images that the permit is limited to: the client has been sent nothing.</summary>
    public OutsideException? Outside { get; init; }

    /// <summary>Why it could not be found out whether it is outside: the client has been sent nothing.</summary>
    public string? Unknown { get; init; }

    internal static ContentAnswer Of(OutsideException outside) => Fresh with { Outside = outside };

    internal static ContentAnswer Undecided(string cause) => Fresh with { Unknown = cause };

    internal static ContentAnswer Of(Digest blocked) => Fresh with { Blocked = blocked };

    /// <param name="status">What upstream itself answered.</param>
    internal static ContentAnswer Of(int status) => new(status, ContentMetrics.WireName(ContentSource.Upstream), null);

    internal static ContentAnswer Failed(RegistryError failure) => new(null, ContentMetrics.WireName(ContentSource.Upstream), failure);

    internal static ContentAnswer Kept(ContentSource source, int? upstreamStatus = null) =>
        source == ContentSource.Cache && upstreamStatus is null ? Fresh : new(upstreamStatus, ContentMetrics.WireName(source), null);
}
