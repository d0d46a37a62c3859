using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Asks upstream for manifests that are not kept: whole, once for all who want one at the same time. They are verified, kept and handed out.</summary>
internal sealed class ManifestFetch(
    IContentStore contents, ManifestLinks learnt, UpstreamRegistry upstream, UpstreamRelay relay, ContentRelay passing, AcceptForms accepts, ContentMetrics metrics)
{
    /// <summary>How often another client's fetch may fail before each client fetches for itself.</summary>
    private const int MaximumTries = 3;

    private readonly SingleFlight<(string Repository, string Reference, string Accept, long Writes), FetchedManifest> _flights = new();

    /// <param name="question">The tag that is asked for; null for a digest.</param>
    public Task<ContentAnswer> AnswerAsync(ClientRequest client, ManifestRequest request, TagQuestion? question) =>
        client.IsHead ? AnswerHeadAsync(client, request, question) : AnswerGetAsync(client, request, question);

    private async Task<ContentAnswer> AnswerHeadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var writes = learnt.WritesOf(request);
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        var digest = answer.StatusCode == HttpStatusCode.OK ? AnswerHead.DigestOf(answer) : null;
        if (digest is not null)
            await learnt.LearnAsync(request, question, digest, answer.Content.Headers.ContentType?.ToString(), writes);
        return await passing.AnswerAsync(client, request, answer) with { Moved = question?.MovedTo(digest) };
    }

    private async Task<ContentAnswer> AnswerGetAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var key = (request.Repository.Value, request.Reference.Value, accepts.Of(client.Headers.Accept), learnt.WritesOf(request));
        FetchedManifest? fetched = null;
        for (var tries = 0; fetched is null && tries < MaximumTries; tries++)
            fetched = await _flights.RunAsync(key, () => DownloadAsync(client, request, question), client.Aborted);
        fetched ??= await DownloadAsync(client, request, question);
        if (fetched.Digest is null)
        {
            if (!fetched.IsFor(client))
                return await passing.ReadAsync(client, request);
            using (fetched.Answer)
                return await passing.AnswerAsync(client, request, fetched.Answer);
        }

        client.Permit.Demand(fetched.Digest);
        client.Permit.DemandNamed(fetched.Bytes.Span);
        metrics.Served(ManifestServer.Kind, ContentSource.Upstream);
        AnswerHead.Copy(fetched.Answer.Headers.NonValidated, client.Http.Response.Headers);
        if (!fetched.IsFor(client))
            Array.ForEach(AllowedHeaders.AboutCaller, name => client.Http.Response.Headers.Remove(name));
        await ManifestAnswer.WriteAsync(client, fetched.Digest, fetched.MediaType, fetched.Bytes);
        return ContentAnswer.Kept(ContentSource.Upstream, 200) with { Moved = question?.MovedTo(fetched.Digest) };
    }

    private async Task<FetchedManifest> DownloadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var writes = learnt.WritesOf(request);
        var answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, client.Headers, from: null, client.Aborted);
        try
        {
            // Without a digest nothing says what the content should be: it is passed on, and not kept.
            var digest = request.Reference.Digest ?? AnswerHead.DigestOf(answer);
            if (answer.StatusCode != HttpStatusCode.OK || answer.Content.Headers.ContentType is not { } mediaType || digest is null)
                return new FetchedManifest(client, answer, null, "", default);

            var bytes = await relay.ReadDocumentAsync(client, request, answer);
            if (DigestCheck.Verifies(digest, bytes.Span))
                await KeepAsync(digest, bytes);
            else if (!IsSigned(digest, mediaType.MediaType!.ToLowerInvariant(), bytes))
                throw relay.Failed(request, answer, new UpstreamException("upstream's manifest is not what its digest says"));
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

    /// <summary>A manifest as upstream gave it, for all who wait for it; or upstream's answer, for the client alone whose token it was given to.</summary>
    private sealed class FetchedManifest(ClientRequest first, HttpResponseMessage answer, Digest? digest, string mediaType, ReadOnlyMemory<byte> bytes)
    {
        /// <summary>Read whole where there is a digest: then it holds no connection.</summary>
        public HttpResponseMessage Answer => answer;

        /// <summary>Null where this is no manifest that can be kept.</summary>
        public Digest? Digest => digest;

        public string MediaType => mediaType;

        public ReadOnlyMemory<byte> Bytes => bytes;

        public bool IsFor(ClientRequest client) => ReferenceEquals(client, first);
    }
}
