using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Downloads manifests whole, once for all who want one at the same time. They are verified and kept.</summary>
internal sealed class ManifestDownload(IContentStore contents, ManifestLinks learnt, UpstreamRegistry upstream, UpstreamRelay relay, AcceptForms accepts)
{
    /// <summary>How often another client's download may fail before each client downloads for itself.</summary>
    private const int MaximumTries = 3;

    private readonly SingleFlight<(string Repository, string Reference, string Accept, long Writes), FetchedManifest> _flights = new();

    /// <summary>The manifest; or upstream's answer where it is none that can be kept.</summary>
    /// <param name="headers">The client's own headers, or those of a question that the client did not ask.</param>
    /// <param name="question">The tag that is asked for; null for a digest.</param>
    public async Task<FetchedManifest> RunAsync(ClientRequest client, ManifestRequest request, IHeaderDictionary headers, TagQuestion? question)
    {
        var key = (request.Repository.Value, request.Reference.Value, accepts.Of(headers.Accept), learnt.WritesOf(request));
        for (var tries = 0; tries < MaximumTries; tries++)
        {
            if (await _flights.RunAsync(key, () => DownloadAsync(client, request, headers, question, keeps: true), client.Aborted) is { } fetched)
                return fetched;
        }

        return await DownloadAsync(client, request, headers, question, keeps: true);
    }

    /// <param name="keeps">What comes is kept. Without, nobody gets it: it is only looked into.</param>
    public async Task<FetchedManifest> DownloadAsync(ClientRequest client, ManifestRequest request, IHeaderDictionary headers, TagQuestion? question, bool keeps)
    {
        var writes = learnt.WritesOf(request);
        var answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, headers, from: null, client.Aborted);
        try
        {
            // Without a digest nothing says what the content should be: it is passed on, and not kept.
            var digest = request.Reference.Digest ?? AnswerHead.DigestOf(answer);
            if (answer.StatusCode != HttpStatusCode.OK || answer.Content.Headers.ContentType is not { } mediaType || digest is null)
                return new FetchedManifest(client, answer, null, "", default);

            var bytes = await relay.ReadDocumentAsync(client, request, answer);
            var isPlain = DigestCheck.Verifies(digest, bytes.Span);
            if (!isPlain && !IsSigned(digest, mediaType.MediaType!.ToLowerInvariant(), bytes))
                throw relay.Failed(request, answer, new UpstreamException("upstream's manifest is not what its digest says"));
            if (isPlain && keeps)
                await KeepAsync(digest, bytes);
            if (keeps)
                await learnt.LearnAsync(request, question, digest, mediaType.ToString(), writes);
            return new FetchedManifest(client, answer, digest, mediaType.ToString(), bytes);
        }
        catch
        {
            answer.Dispose();
            throw;
        }
    }

    /// <summary>The digest is of the payload that was signed. What is kept is found by the digest of its bytes, so this is handed out and not kept.</summary>
    private static bool IsSigned(Digest digest, string mediaType, ReadOnlyMemory<byte> bytes) =>
        SignedManifest.IsOf(mediaType) && SignedManifest.PayloadOf(bytes) is { } payload && DigestCheck.Verifies(digest, payload);

    private async Task KeepAsync(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        if (await contents.HoldsAsync(digest, CancellationToken.None) || await contents.BeginAsync(digest, bytes.Length, CancellationToken.None) is not { } writer)
            return;
        await using (writer)
        {
            try
            {
                await writer.WriteAsync(bytes, CancellationToken.None);
                await writer.PublishAsync(CancellationToken.None);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // The store logs it; what was fetched is served all the same.
            }
        }
    }
}

/// <summary>A manifest as upstream gave it, for all who wait for it; or upstream's answer, for the client alone whose token it was given to.</summary>
internal sealed class FetchedManifest(ClientRequest first, HttpResponseMessage answer, Digest? digest, string mediaType, ReadOnlyMemory<byte> bytes)
{
    /// <summary>Read whole where there is a digest: then it holds no connection.</summary>
    public HttpResponseMessage Answer => answer;

    /// <summary>Null where this is no manifest that can be kept.</summary>
    public Digest? Digest => digest;

    public string MediaType => mediaType;

    public ReadOnlyMemory<byte> Bytes => bytes;

    public bool IsFor(ClientRequest client) => ReferenceEquals(client, first);
}
