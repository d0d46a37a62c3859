using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Asks upstream for blobs that are neither kept nor coming, with the token of the first client that wants one: for all of it, which is kept
/// and which others follow, or for the part that this client asks for alone.
/// </summary>
internal sealed class BlobFetch(
    IContentStore contents,
    ContentLinks learnt,
    Fills fills,
    FillReader reader,
    PartialReads parts,
    UpstreamRegistry upstream,
    UpstreamRelay relay,
    ContentRelay passing,
    IdleLimits limits,
    TimeProvider time)
{
    /// <param name="range">What the client asks for; null for the whole.</param>
    /// <param name="claim">The client's right to begin the download.</param>
    public Task<ContentAnswer> AnswerAsync(ClientRequest client, BlobRequest request, ContentRange? range, FillClaim claim)
    {
        if (parts.IsWorthKeeping(request.Digest) && fills.TryTakePlace())
            return BeginAsync(client, request, range, claim, mustFinish: true);
        return PartialReads.IsFromBeginning(range)
            ? BeginAsync(client, request, range, claim, mustFinish: false)
            : PassPartAsync(client, request, range!, claim);
    }

    /// <summary>Answers with what upstream has answered to this client's own question. If that turns out to be all of the blob, and nobody keeps it, it is kept.</summary>
    /// <param name="range">What the client asks for; null for the whole.</param>
    /// <param name="answer">Is disposed of.</param>
    /// <param name="forgets">What <see cref="ContentLinks.ForgetsOf"/> was before upstream was asked.</param>
    public async Task<ContentAnswer> PassOnAsync(ClientRequest client, BlobRequest request, ContentRange? range, HttpResponseMessage answer, long forgets)
    {
        Fill? fill = null;
        try
        {
            if (IsWhole(answer))
                fill = await KeepUnclaimedAsync(client, request, answer, forgets);
            if (fill is null)
                return await passing.AnswerAsync(client, request, answer, parts.Begin(request.Digest, answer.Content.Headers.ContentRange));
        }
        finally
        {
            if (fill is null)
                answer.Dispose();
        }

        return await reader.FollowAsync(client, request, fill, range) with { UpstreamStatus = (int)answer.StatusCode };
    }

    /// <param name="mustFinish">The download is finished whoever reads it; a place was taken for that.</param>
    private async Task<ContentAnswer> BeginAsync(
        ClientRequest client, BlobRequest request, ContentRange? range, FillClaim claim, bool mustFinish)
    {
        parts.Forget(request.Digest);
        Fill? fill = null;
        HttpResponseMessage? answer = null;
        try
        {
            var forgets = learnt.ForgetsOf(request.Repository);
            answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, client.Headers, from: null, client.Aborted);
            fill = await KeepAsync(client, request, answer, forgets, claim, mustFinish);
        }
        catch
        {
            answer?.Dispose();
            throw;
        }
        finally
        {
            if (fill is null)
                fills.Release(request.Digest, claim);
            if (fill is null && mustFinish)
                fills.FreePlace();
        }

        if (fill is null)
            return await PassWholeAsync(client, request, range, answer);
        return await reader.FollowAsync(client, request, fill, range) with { UpstreamStatus = 200 };
    }

    /// <summary>Begins a download with an answer that has all of the blob, and with this client as its first reader; null where it cannot be kept.</summary>
    private async Task<Fill?> KeepAsync(
        ClientRequest client, BlobRequest request, HttpResponseMessage answer, long forgets, FillClaim claim, bool mustFinish)
    {
        if (!IsWhole(answer))
            return null;
        var length = answer.Content.Headers.ContentLength;
        await learnt.LearnAsync(request.Repository, request.Digest, mediaType: null, forgets);
        if (await contents.BeginAsync(request.Digest, length, client.Aborted) is not { } writer)
            return null;
        var fill = new Fill(request.Digest, request.Repository, writer, length, limits, time);
        if (mustFinish)
            fill.Finish();
        fills.Begin(fill, claim, answer, Resume(client, request));
        return fill;
    }

    /// <summary>The answer is all of the blob, not encoded, and its end can be told.</summary>
    private static bool IsWhole(HttpResponseMessage answer)
    {
        var head = answer.Content.Headers;
        return head.ContentEncoding.Count == 0 && answer.StatusCode switch
        {
            HttpStatusCode.OK => head.ContentLength is not null || answer.Headers.TransferEncodingChunked == true,
            HttpStatusCode.PartialContent => head.ContentLength > 0 && head.ContentRange is { From: 0 } range && range.Length == head.ContentLength,
            _ => false,
        };
    }

    /// <summary>What cannot be kept goes to this client alone, and nobody waits for it.</summary>
    private async Task<ContentAnswer> PassWholeAsync(ClientRequest client, BlobRequest request, ContentRange? range, HttpResponseMessage answer)
    {
        using var whole = answer;
        if (range is null || answer.StatusCode != HttpStatusCode.OK || answer.Content.Headers.ContentLength is not { } length)
            return await passing.AnswerAsync(client, request, answer);
        var part = ContentPart.Of(range, length);
        if (part.Start > 0)
        {
            answer.Dispose();
            return await passing.ReadAsync(client, request);
        }

        AnswerHead.Copy(answer.Headers.NonValidated, client.Http.Response.Headers);
        if (BlobAnswer.Prepare(client, request.Digest, part))
            await relay.CopyAsync(client, request, answer, part.End);
        return ContentAnswer.Of((int)answer.StatusCode);
    }

    private async Task<ContentAnswer> PassPartAsync(ClientRequest client, BlobRequest request, ContentRange range, FillClaim claim)
    {
        fills.Release(request.Digest, claim);
        var forgets = learnt.ForgetsOf(request.Repository);
        return await PassOnAsync(client, request, range, await upstream.ReadAsync(client, request, range.ToHeader()), forgets);
    }

    /// <summary>As <see cref="KeepAsync"/>, unless somebody else has begun meanwhile.</summary>
    private async Task<Fill?> KeepUnclaimedAsync(ClientRequest client, BlobRequest request, HttpResponseMessage answer, long forgets)
    {
        var claim = fills.Find(request, out var isOwn);
        if (!isOwn)
            return null;
        Fill? fill = null;
        try
        {
            fill = await KeepAsync(client, request, answer, forgets, claim, mustFinish: false);
            return fill;
        }
        finally
        {
            if (fill is null)
                fills.Release(request.Digest, claim);
        }
    }

    /// <summary>Fetches the rest with the first client's headers, which are copied: the download may outlive its request.</summary>
    private Func<long, CancellationToken, Task<HttpResponseMessage>> Resume(ClientRequest client, BlobRequest request)
    {
        var headers = new HeaderDictionary();
        foreach (var name in AllowedHeaders.Fetch)
        {
            if (client.Headers.TryGetValue(name, out var values))
                headers[name] = values;
        }

        var permit = client.Permit;
        return (from, cancellationToken) => upstream.FetchAsync(request, HttpMethod.Get, permit, headers, from, cancellationToken);
    }
}
