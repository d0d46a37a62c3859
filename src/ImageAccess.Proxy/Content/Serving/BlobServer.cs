using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Serves blobs: from the store, from a download that is under way, or by one that begins now.</summary>
internal sealed class BlobServer(
    IContentStore contents,
    ILinkStore links,
    ContentLinks learnt,
    Fills fills,
    FillReader reader,
    BlobFetch fetch,
    Revalidation revalidation,
    UpstreamRegistry upstream,
    ContentRelay passing,
    ContentMetrics metrics,
    IOptions<ContentOptions> options,
    TimeProvider time)
{
    /// <summary>The word for blobs in metrics.</summary>
    public const string Kind = "blob";

    /// <summary>How often another client's download may turn out to be of no use, before the request goes upstream as if nothing were kept.</summary>
    private const int MaximumTries = 3;

    public async Task<ContentAnswer> ServeAsync(ClientRequest client, BlobRequest request)
    {
        client.Permit.Demand(request.Digest);
        for (var tries = 0; tries < MaximumTries; tries++)
        {
            var link = await links.FindAsync(client.Permit, request.Digest, client.Aborted);
            using (var content = await contents.OpenAsync(link, client.Aborted))
            {
                if (content is not null)
                {
                    return options.Value.IsFresh(link!, time.GetUtcNow())
                        ? await SendAsync(client, content, ContentSource.Cache)
                        : await revalidation.AnswerAsync(client, request, link!, Sending(client, content));
                }
            }

            if (client.IsHead || Validators.Judge(client.Headers, Validators.ETagOf(request.Digest)) is not null)
                return await AskHeadAsync(client, request);
            var range = ContentRange.Of(client, request.Digest);
            var isOwn = false;
            var claim = await contents.HoldsAsync(request.Digest, client.Aborted) ? null : fills.Find(request, out isOwn);
            if (isOwn)
                return await fetch.AnswerAsync(client, request, range, claim!);
            if (await ShareAsync(client, request, range, claim) is { } answer)
                return answer;
        }

        return await passing.ReadAsync(client, request);
    }

    /// <summary>
    /// Content that is there or coming may not be known to be in this repository. Then upstream is asked for it as for what nobody has, by the
    /// same request at the same moment: else the time of an answer would tell what other repositories' callers have.
    /// </summary>
    /// <param name="claim">Whose download it is; null where it is there.</param>
    /// <returns>What the client was answered; null where it may be there now.</returns>
    private async Task<ContentAnswer?> ShareAsync(ClientRequest client, BlobRequest request, ContentRange? range, FillClaim? claim)
    {
        if (claim is not null && claim.Repository.Equals(request.Repository) && await claim.Task.WaitAsync(client.Aborted) is null)
            return null;

        var forgets = learnt.ForgetsOf(request.Repository);
        var answer = await AskAsync(client, request, range, forgets);
        try
        {
            if (answer is not null && answer.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.PartialContent))
                return await passing.AnswerAsync(client, request, answer);
            if (claim is null)
                return null;

            var fill = await claim.Task.WaitAsync(client.Aborted);
            if (fill is not null && FillReader.MayFollow(fill, range) && fill.TryJoin())
            {
                answer?.Dispose(); // not at the end: it holds a connection
                return await reader.FollowAsync(client, request, fill, range);
            }

            if (answer is { } own)
            {
                answer = null;
                return await fetch.PassOnAsync(client, request, range, own, forgets);
            }

            return fill is null || FillReader.MayFollow(fill, range) ? null : await passing.ReadAsync(client, request);
        }
        finally
        {
            answer?.Dispose();
        }
    }

    /// <summary>Asks upstream for the content, by the caller's own token; null where it has answered so lately.</summary>
    private async Task<HttpResponseMessage?> AskAsync(ClientRequest client, BlobRequest request, ContentRange? range, long forgets)
    {
        if (await links.FindAsync(client.Permit, request.Digest, client.Aborted) is { } link && options.Value.IsFresh(link, time.GetUtcNow()))
            return null;
        var answer = await upstream.ReadAsync(client, request, PartialReads.IsFromBeginning(range) ? null : range!.ToHeader());
        await LearnAsync(request, answer, forgets);
        return answer;
    }

    /// <summary>For a HEAD, and for a GET whose conditions want no content: it is enough that upstream has it.</summary>
    private async Task<ContentAnswer> AskHeadAsync(ClientRequest client, BlobRequest request)
    {
        using var answer = await HeadAsync(client, request);
        return client.IsHead || answer.StatusCode == HttpStatusCode.OK
            ? await passing.AnswerAsync(client, request, answer)
            : await passing.ReadAsync(client, request); // an error has a body
    }

    private async Task<HttpResponseMessage> HeadAsync(ClientRequest client, BlobRequest request)
    {
        var forgets = learnt.ForgetsOf(request.Repository);
        var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        await LearnAsync(request, answer, forgets);
        return answer;
    }

    private async ValueTask LearnAsync(BlobRequest request, HttpResponseMessage answer, long forgets)
    {
        if (answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent)
            await learnt.LearnAsync(request.Repository, request.Digest, mediaType: null, forgets);
        else if (answer.StatusCode == HttpStatusCode.NotFound)
            await links.UnlinkAsync(request.Repository, request.Digest);
    }

    /// <summary>Apart, so that nothing is allocated for it where it is not needed.</summary>
    private Func<ContentSource, int?, ValueTask<ContentAnswer>> Sending(ClientRequest client, CachedContent content) =>
        (source, status) => SendAsync(client, content, source, status);

    private async ValueTask<ContentAnswer> SendAsync(ClientRequest client, CachedContent content, ContentSource source, int? upstreamStatus = null)
    {
        metrics.Served(Kind, source);
        var part = ContentPart.Of(ContentRange.Of(client, content.Digest), content.Length);
        if (BlobAnswer.Prepare(client, content.Digest, part))
            await part.SendAsync(client, content);
        return ContentAnswer.Kept(source, upstreamStatus);
    }
}
