using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Asks upstream by HEAD where a tag points to, or whether a repository still has a digest. That costs nothing of the pull limit, and is asked
/// once for all who want to know it at the same time.
/// </summary>
internal sealed class Revalidation(
    ILinkStore links,
    ContentLinks learnt,
    ManifestLinks manifests,
    UpstreamRegistry upstream,
    ContentRelay passing,
    UpstreamHealth health,
    IOptions<ContentOptions> options,
    TimeProvider time,
    ILogger<Revalidation> logger)
{
    /// <summary>What is degraded while something is served stale.</summary>
    private const string Stale = "tags";

    /// <summary>How long upstream may take to answer while there is something to serve in its place.</summary>
    private static readonly TimeSpan StaleAfter = TimeSpan.FromSeconds(5);

    private readonly SingleFlight<(string Repository, bool IsBlob, string Subject, string Accept), UpstreamWord> _flights = new();

    /// <param name="question">The tag that is asked for; null for a digest.</param>
    /// <param name="link">By which the repository has what is kept.</param>
    /// <param name="hasStale">What is known may be served when upstream does not answer.</param>
    public async Task<UpstreamWord> RunAsync(ClientRequest client, RepositoryRequest request, TagQuestion? question, ContentLink link, bool hasStale)
    {
        var key = (request.Repository.Value, request is BlobRequest, request.Subject, question?.Accept ?? "");
        var (isOwn, changes) = (false, ChangesOf(request));
        var word = await _flights.RunAsync(key, AskOwnAsync, client.Aborted);
        if (word is null || !(isOwn || word.IsForAll))
            word = await AskAsync(client, request, question, link, hasStale);
        return ChangesOf(request) == changes ? word : word with { Digest = null, MayBeStale = false }; // forgotten meanwhile, or written to

        Task<UpstreamWord> AskOwnAsync()
        {
            isOwn = true;
            return AskAsync(client, request, question, link, hasStale);
        }
    }

    /// <summary>Serves a digest whose link is old: if upstream still has it in this repository, or cannot answer.</summary>
    /// <param name="send">Sends what is kept, from which source, and with which status of upstream.</param>
    public async Task<ContentAnswer> AnswerAsync(
        ClientRequest client, RepositoryRequest request, ContentLink link, Func<ContentSource, int?, ValueTask<ContentAnswer>> send)
    {
        var staleUntil = options.Value.StaleUntil(link);
        var word = await RunAsync(client, request, question: null, link, hasStale: time.GetUtcNow() < staleUntil);
        return word.Digest is null ? await AnswerWithoutAsync(client, request, word, staleUntil, send) : await send(ContentSource.Cache, word.Status);
    }

    /// <summary>Upstream does not confirm what is kept: it is served all the same where upstream cannot answer, else upstream's answer is passed on.</summary>
    public async Task<ContentAnswer> AnswerWithoutAsync(
        ClientRequest client, RepositoryRequest request, UpstreamWord word, DateTimeOffset staleUntil, Func<ContentSource, int?, ValueTask<ContentAnswer>> send)
    {
        if (!word.MayBeStale || time.GetUtcNow() >= staleUntil)
            return word.Failure is { } failure ? ContentAnswer.Failed(failure) : await passing.ReadAsync(client, request);
        var until = word.Status == 429 ? string.Create(CultureInfo.InvariantCulture, $"; {request.Repository} {request.Subject} can be until {staleUntil:u}") : "";
        if (request is ManifestRequest { Reference.IsTag: true })
            logger.ServedStale(request.Repository.Value, request.Subject, word.Cause + until);
        else
            logger.ServedOld(request.Repository.Value, request.Subject, word.Cause + until);
        health.Failed(Stale, $"tags are served from what is kept, because Docker Hub cannot answer: {word.Cause}{until}");
        client.Http.Response.Headers.Warning = "110 - \"Response is Stale\"";
        return await send(ContentSource.Stale, word.Status);
    }

    private async Task<UpstreamWord> AskAsync(ClientRequest client, RepositoryRequest request, TagQuestion? question, ContentLink link, bool hasStale)
    {
        using var limit = hasStale ? new CancellationTokenSource(StaleAfter, time) : new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, client.Aborted);
        var changes = ChangesOf(request);
        try
        {
            using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, question is null ? HeadersFor(client, request, link) : client.Headers, from: null, either.Token);
            var status = (int)answer.StatusCode;
            if (status == 200 && DigestOf(request, answer) is { } digest)
            {
                health.Answered(Stale);
                if (request is ManifestRequest manifest)
                    await manifests.LearnAsync(manifest, question, digest, answer.Content.Headers.ContentType?.ToString(), changes);
                else
                    await learnt.LearnAsync(request.Repository, digest, mediaType: null, changes);
                return new UpstreamWord(status, digest, null, MayBeStale: false, "");
            }

            var isMissing = status == 404;
            if (isMissing && !options.Value.StaleWhenMissing)
                await ForgetAsync(request, question);
            return new UpstreamWord(status, null, null, status is 429 or >= 500 || (isMissing && options.Value.StaleWhenMissing), $"status {status}");
        }
        catch (UpstreamFailedException exception)
        {
            return new UpstreamWord(null, null, exception.Error, MayBeStale: exception.Error.Status >= 500, exception.Message); // else the client's own fault
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !client.Aborted.IsCancellationRequested)
        {
            return new UpstreamWord(null, null, new RegistryError(504, "UNAVAILABLE", "Docker Hub did not answer in time"), MayBeStale: true, "no answer in time");
        }
    }

    /// <summary>How often what is kept of it was forgotten or written to.</summary>
    private long ChangesOf(RepositoryRequest request) => request is ManifestRequest manifest ? manifests.WritesOf(manifest) : learnt.ForgetsOf(request.Repository);

    /// <summary>The answer for a digest is for all who ask: it must not depend on what the first of them accepts.</summary>
    private static HeaderDictionary HeadersFor(ClientRequest client, RepositoryRequest request, ContentLink link)
    {
        var headers = new HeaderDictionary(client.Headers.ToDictionary(StringComparer.OrdinalIgnoreCase));
        if (request is ManifestRequest && link.MediaType is { } mediaType)
            headers[HeaderNames.Accept] = mediaType;
        else
            headers.Remove(HeaderNames.Accept);
        return headers;
    }

    private static Digest? DigestOf(RepositoryRequest request, HttpResponseMessage answer) => request switch
    {
        BlobRequest blob => blob.Digest,
        ManifestRequest manifest => manifest.Reference.Digest ?? AnswerHead.DigestOf(answer),
        _ => null,
    };

    private async ValueTask ForgetAsync(RepositoryRequest request, TagQuestion? question)
    {
        if (question is not null)
            await links.ForgetTagAsync(request.Repository, question.Tag);
        else if (request is BlobRequest blob)
            await links.UnlinkAsync(blob.Repository, blob.Digest);
        else if (request is ManifestRequest { Reference.Digest: { } digest })
            await links.UnlinkAsync(request.Repository, digest);
    }
}

/// <summary>What upstream says of a tag, or of a digest in a repository.</summary>
/// <param name="Status">Upstream's; null where it did not answer.</param>
/// <param name="Digest">What the tag points to, or the digest, where upstream has it.</param>
/// <param name="Failure">What to tell a client that nothing can be served to.</param>
/// <param name="MayBeStale">It says nothing of what was asked: what is known may be served.</param>
/// <param name="Cause">For the log.</param>
internal sealed record UpstreamWord(int? Status, Digest? Digest, RegistryError? Failure, bool MayBeStale, string Cause)
{
    /// <summary>What one caller's token was answered with 401, 403, 404 or 429, or what is wrong with one caller's request, is no answer for another.</summary>
    public bool IsForAll => Digest is not null || (MayBeStale && Status != 429);
}
