using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Blobs: from what is kept, from a download that is under way, or by one that begins now.</summary>
internal sealed class BlobServer(ICacheStore store, Fills fills, UpstreamRegistry upstream, ContentMetrics metrics, TimeProvider time)
{
    private const string Kind = "blob";

    /// <summary>How often somebody else's download may turn out to be of no use, before upstream is asked as if nothing were kept.</summary>
    private const int MaximumTries = 3;

    public async Task<ContentAnswer> ServeAsync(Asked asked, BlobRequest request)
    {
        for (var tries = 0; tries < MaximumTries; tries++)
        {
            using (var content = store.Open(asked.Permit, request.Digest))
            {
                if (content is not null)
                    return await SendAsync(asked, content);
            }

            if (asked.IsHead)
                return await AskHeadAsync(asked, request);
            if (!store.Holds(request.Digest))
            {
                var range = BlobRange.Of(asked.Http.Request, request.Digest);
                var coming = fills.Find(request.Digest, out var claim);
                if (claim is not null)
                    return asked.Http.Request.Headers.Range.Count == 0 ? await BeginAsync(asked, request, claim) : await PassOnAsync(asked, request, claim);
                if (await coming.WaitAsync(asked.Aborted) is not { } fill)
                    continue;
                if (!store.IsLinked(request.Repository, request.Digest) && await RefusedAsync(asked, request) is { } refused)
                    return refused;
                if (fill.TryJoin())
                    return await FollowAsync(asked, request, fill, range);
            }
            else if (!store.IsLinked(request.Repository, request.Digest) && await RefusedAsync(asked, request) is { } refused)
            {
                return refused;
            }
        }

        return ContentAnswer.Of(await ForwardAsync(asked, request));
    }

    /// <summary>The first of all who ask: its own token fetches what the others follow. What cannot be kept is its answer alone, and holds nobody up.</summary>
    private async Task<ContentAnswer> BeginAsync(Asked asked, BlobRequest request, TaskCompletionSource<Fill?> claim)
    {
        Fill? fill = null;
        HttpResponseMessage? answer = null;
        try
        {
            answer = await upstream.FetchAsync(request, HttpMethod.Get, asked.Permit, asked.Http.Request.Headers, from: null, asked.Aborted);
            if (IsWhole(answer) && store.Begin(request.Digest, answer.Content.Headers.ContentLength) is { } writer)
            {
                store.Link(request.Repository, request.Digest, mediaType: null);
                fill = new Fill(request.Digest, writer, answer.Content.Headers.ContentLength, time);
                fills.Begin(fill, claim, answer, Resume(asked, request));
            }
        }
        finally
        {
            if (fill is null)
                fills.Release(request.Digest, claim);
        }

        if (fill is not null)
            return await FollowAsync(asked, request, fill, range: null) with { UpstreamStatus = 200 };
        using (answer)
            return ContentAnswer.Of(await upstream.AnswerAsync(asked.Http, request, asked.Permit, asked.Origin, asked.Realm, answer));
    }

    /// <summary>All of the blob, as it is, to its end.</summary>
    private static bool IsWhole(HttpResponseMessage answer) =>
        answer.StatusCode == HttpStatusCode.OK
        && (answer.Content.Headers.ContentLength is not null || answer.Headers.TransferEncodingChunked == true)
        && answer.Content.Headers.ContentEncoding.Count == 0;

    /// <summary>A part of what nobody has: upstream gives it, and the whole is left to who asks for it.</summary>
    private async Task<ContentAnswer> PassOnAsync(Asked asked, BlobRequest request, TaskCompletionSource<Fill?> claim)
    {
        fills.Release(request.Digest, claim);
        return ContentAnswer.Of(await ForwardAsync(asked, request));
    }

    /// <summary>The request's own words, kept beyond it: the download may outlive its first reader.</summary>
    private Func<long, CancellationToken, Task<HttpResponseMessage>> Resume(Asked asked, BlobRequest request)
    {
        var headers = new HeaderDictionary();
        foreach (var name in AllowedHeaders.Fetch)
        {
            if (asked.Http.Request.Headers.TryGetValue(name, out var values))
                headers[name] = values;
        }

        var permit = asked.Permit;
        return (from, cancellationToken) => upstream.FetchAsync(request, HttpMethod.Get, permit, headers, from, cancellationToken);
    }

    /// <summary>Content that is there or coming, and not known to be in this repository: upstream says whether this caller may have it.</summary>
    private async Task<ContentAnswer?> RefusedAsync(Asked asked, BlobRequest request)
    {
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, asked.Permit, asked.Http.Request.Headers, from: null, asked.Aborted);
        if (answer.StatusCode != HttpStatusCode.OK)
            return ContentAnswer.Of(await ForwardAsync(asked, request));
        store.Link(request.Repository, request.Digest, mediaType: null);
        return null;
    }

    private async Task<ContentAnswer> AskHeadAsync(Asked asked, BlobRequest request)
    {
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, asked.Permit, asked.Http.Request.Headers, from: null, asked.Aborted);
        if (answer.StatusCode == HttpStatusCode.OK)
            store.Link(request.Repository, request.Digest, mediaType: null);
        return ContentAnswer.Of(await upstream.AnswerAsync(asked.Http, request, asked.Permit, asked.Origin, asked.Realm, answer));
    }

    private async Task<ContentAnswer> FollowAsync(Asked asked, BlobRequest request, Fill fill, BlobRange? range)
    {
        try
        {
            if (fill.Total is null && range is not null)
                return ContentAnswer.Of(await ForwardAsync(asked, request));
            var part = BlobPart.Of(range, fill.Total);
            if (part.Start > 0 && fill.State == FillState.Coming && !fill.Shows(part.Start))
                return ContentAnswer.Of(await ForwardAsync(asked, request)); // far ahead of what is there
            metrics.Served(Kind, ContentSource.Upstream);
            if (!part.Prepare(asked.Http, request.Digest))
                return ContentAnswer.Kept(ContentSource.Upstream);
            await CopyAsync(asked, request, fill, part);
            return ContentAnswer.Kept(ContentSource.Upstream);
        }
        finally
        {
            await fills.LeaveAsync(fill);
        }
    }

    private async Task CopyAsync(Asked asked, BlobRequest request, Fill fill, BlobPart part)
    {
        var body = asked.Http.Response.BodyWriter;
        for (var offset = part.Start; ;)
        {
            var end = part.End ?? fill.Total ?? long.MaxValue;
            if (offset == end && (end > 0 || fill.State == FillState.Done))
                return;

            var state = fill.State; // before the read: what it says of nothing read is then true
            var memory = body.GetMemory(BlobPart.BufferSize);
            var count = offset == end ? 0 : await fill.ReadAsync(memory.Length > end - offset ? memory[..(int)(end - offset)] : memory, offset, asked.Aborted);
            if (count > 0)
            {
                offset += count;
                body.Advance(count);
                await body.FlushAsync(asked.Aborted);
            }
            else if (state == FillState.Coming)
            {
                await fill.ChangedAsync(offset, asked.Aborted);
            }
            else if (state == FillState.Unkept)
            {
                await GoOnAsync(asked, request, offset, part.End);
                return;
            }
            else
            {
                asked.Http.Abort(); // it must not look whole
                return;
            }
        }
    }

    /// <summary>The disk gave up: the rest comes from upstream, past it.</summary>
    private async Task GoOnAsync(Asked asked, BlobRequest request, long offset, long? end)
    {
        try
        {
            using var answer = await upstream.FetchAsync(request, HttpMethod.Get, asked.Permit, asked.Http.Request.Headers, offset, asked.Aborted);
            if (answer.StatusCode == HttpStatusCode.PartialContent && answer.Content.Headers.ContentRange?.From == offset)
            {
                await using var rest = await answer.Content.ReadAsStreamAsync(asked.Aborted);
                var wanted = (end ?? answer.Content.Headers.ContentRange.Length) - offset;
                while (wanted is null or > 0)
                {
                    var memory = asked.Http.Response.BodyWriter.GetMemory(BlobPart.BufferSize);
                    var count = await rest.ReadAsync(memory.Length > wanted ? memory[..(int)wanted.Value] : memory, asked.Aborted);
                    if (count == 0)
                        break;
                    wanted -= count;
                    asked.Http.Response.BodyWriter.Advance(count);
                    await asked.Http.Response.BodyWriter.FlushAsync(asked.Aborted);
                }

                if (wanted is null or 0)
                    return;
            }
        }
        catch (Exception exception) when (exception is UpstreamFailedException or HttpRequestException or IOException)
        {
            // The client's connection ends as upstream's did.
        }

        asked.Http.Abort();
    }

    private async Task<ContentAnswer> SendAsync(Asked asked, CachedContent content)
    {
        metrics.Served(Kind, ContentSource.Cache);
        var part = BlobPart.Of(BlobRange.Of(asked.Http.Request, content.Digest), content.Length);
        if (part.Prepare(asked.Http, content.Digest) && !asked.IsHead)
            await part.SendAsync(asked, content);
        return ContentAnswer.Kept(ContentSource.Cache);
    }

    private Task<UpstreamAnswer> ForwardAsync(Asked asked, BlobRequest request) =>
        upstream.ForwardAsync(asked.Http, request, asked.Permit, asked.Origin, asked.Realm);
}
