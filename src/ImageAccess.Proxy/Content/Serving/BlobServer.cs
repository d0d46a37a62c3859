using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Serves blobs: from the store, from a download that is under way, or by one that begins now.</summary>
internal sealed class BlobServer(
    IContentStore contents, ILinkStore links, Fills fills, UpstreamRegistry upstream, UpstreamRelay relay, ContentMetrics metrics, TimeProvider time)
{
    private const string Kind = "blob";

    /// <summary>How often another client's download may turn out to be of no use, before the request goes upstream as if nothing were kept.</summary>
    private const int MaximumTries = 3;

    public async Task<ContentAnswer> ServeAsync(ClientRequest client, BlobRequest request)
    {
        for (var tries = 0; tries < MaximumTries; tries++)
        {
            using (var content = await contents.OpenAsync(await links.FindAsync(client.Permit, request.Digest, client.Aborted), client.Aborted))
            {
                if (content is not null)
                    return await SendAsync(client, content);
            }

            if (client.IsHead)
                return await AskHeadAsync(client, request);
            if (!await contents.HoldsAsync(request.Digest, client.Aborted))
            {
                var range = BlobRange.Of(client.Http.Request, request.Digest);
                var coming = fills.Find(request.Digest, out var claim);
                if (claim is not null)
                    return client.Headers.Range.Count == 0 ? await BeginAsync(client, request, claim) : await PassOnAsync(client, request, claim);
                if (await coming.WaitAsync(client.Aborted) is not { } fill)
                    continue;
                if (await RefusedAsync(client, request) is { } refused)
                    return refused;
                if (fill.TryJoin())
                    return await FollowAsync(client, request, fill, range);
            }
            else if (await RefusedAsync(client, request) is { } refused)
            {
                return refused;
            }
        }

        return ContentAnswer.Of(await relay.ReadAsync(client, request));
    }

    /// <summary>The first client that asks for a blob fetches it with its own token; the others follow. What cannot be kept is passed on to it alone, and nobody waits for it.</summary>
    private async Task<ContentAnswer> BeginAsync(ClientRequest client, BlobRequest request, TaskCompletionSource<Fill?> claim)
    {
        Fill? fill = null;
        HttpResponseMessage? answer = null;
        try
        {
            answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, client.Headers, from: null, client.Aborted);
            if (IsWhole(answer))
            {
                await links.LinkAsync(request.Repository, request.Digest, mediaType: null);
                if (await contents.BeginAsync(request.Digest, answer.Content.Headers.ContentLength, client.Aborted) is { } writer)
                {
                    fill = new Fill(request.Digest, writer, answer.Content.Headers.ContentLength, time);
                    fills.Begin(fill, claim, answer, Resume(client, request));
                }
            }
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
        }

        if (fill is not null)
            return await FollowAsync(client, request, fill, range: null) with { UpstreamStatus = 200 };
        using (answer)
            return ContentAnswer.Of(await relay.AnswerAsync(client, request, answer));
    }

    /// <summary>The answer is all of the blob, not encoded, and its end can be told.</summary>
    private static bool IsWhole(HttpResponseMessage answer) =>
        answer.StatusCode == HttpStatusCode.OK
        && (answer.Content.Headers.ContentLength is not null || answer.Headers.TransferEncodingChunked == true)
        && answer.Content.Headers.ContentEncoding.Count == 0;

    /// <summary>Passes on a part of what is not kept. Whoever asks for the whole downloads it.</summary>
    private async Task<ContentAnswer> PassOnAsync(ClientRequest client, BlobRequest request, TaskCompletionSource<Fill?> claim)
    {
        fills.Release(request.Digest, claim);
        return ContentAnswer.Of(await relay.ReadAsync(client, request));
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

    /// <summary>Content that is there or coming may not be known to be in this repository: then upstream says whether this caller may have it.</summary>
    /// <returns>What the client was answered; null where it may have it.</returns>
    private async Task<ContentAnswer?> RefusedAsync(ClientRequest client, BlobRequest request)
    {
        if (await links.FindAsync(client.Permit, request.Digest, client.Aborted) is not null)
            return null;
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        if (answer.StatusCode != HttpStatusCode.OK)
            return ContentAnswer.Of(await relay.ReadAsync(client, request));
        await links.LinkAsync(request.Repository, request.Digest, mediaType: null);
        return null;
    }

    private async Task<ContentAnswer> AskHeadAsync(ClientRequest client, BlobRequest request)
    {
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        if (answer.StatusCode == HttpStatusCode.OK)
            await links.LinkAsync(request.Repository, request.Digest, mediaType: null);
        return ContentAnswer.Of(await relay.AnswerAsync(client, request, answer));
    }

    private async Task<ContentAnswer> FollowAsync(ClientRequest client, BlobRequest request, Fill fill, BlobRange? range)
    {
        try
        {
            if (fill.Total is null && range is not null)
                return ContentAnswer.Of(await relay.ReadAsync(client, request));
            var part = BlobPart.Of(range, fill.Total);
            if (part.Start > 0 && fill.State == FillState.Coming && !fill.Shows(part.Start))
                return ContentAnswer.Of(await relay.ReadAsync(client, request)); // far ahead of what has come so far
            metrics.Served(Kind, ContentSource.Upstream);
            if (!part.Prepare(client.Http, request.Digest))
                return ContentAnswer.Kept(ContentSource.Upstream);
            await CopyAsync(client, request, fill, part);
            return ContentAnswer.Kept(ContentSource.Upstream);
        }
        finally
        {
            await fills.LeaveAsync(fill);
        }
    }

    private async Task CopyAsync(ClientRequest client, BlobRequest request, Fill fill, BlobPart part)
    {
        var body = client.Http.Response.BodyWriter;
        for (var offset = part.Start; ;)
        {
            var end = part.End ?? fill.Total ?? long.MaxValue;
            if (offset == end && (end > 0 || fill.State == FillState.Done))
                return;

            var state = fill.State; // read before the bytes: if none are there, it says why
            var memory = body.GetMemory(BlobPart.BufferSize);
            var count = offset == end ? 0 : await fill.ReadAsync(memory.Length > end - offset ? memory[..(int)(end - offset)] : memory, offset, client.Aborted);
            if (count > 0)
            {
                offset += count;
                body.Advance(count);
                await body.FlushAsync(client.Aborted);
            }
            else if (state == FillState.Coming)
            {
                await fill.ChangedAsync(offset, client.Aborted);
            }
            else if (state == FillState.Unkept)
            {
                await GoOnAsync(client, request, offset, part.End);
                return;
            }
            else
            {
                client.Http.Abort(); // it must not look whole
                return;
            }
        }
    }

    /// <summary>The store gave up: the rest comes from upstream, past it.</summary>
    private async Task GoOnAsync(ClientRequest client, BlobRequest request, long offset, long? end)
    {
        try
        {
            using var answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, client.Headers, offset, client.Aborted);
            if (answer.StatusCode == HttpStatusCode.PartialContent && answer.Content.Headers.ContentRange is { } range && range.From == offset)
                await relay.CopyAsync(client, request, answer, (end ?? range.Length) - offset);
            else
                client.Http.Abort();
        }
        catch (UpstreamFailedException)
        {
            client.Http.Abort(); // it must not look whole
        }
    }

    private async Task<ContentAnswer> SendAsync(ClientRequest client, CachedContent content)
    {
        metrics.Served(Kind, ContentSource.Cache);
        var part = BlobPart.Of(BlobRange.Of(client.Http.Request, content.Digest), content.Length);
        if (part.Prepare(client.Http, content.Digest) && !client.IsHead)
            await part.SendAsync(client, content);
        return ContentAnswer.Kept(ContentSource.Cache);
    }
}
