using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Serves clients from a download that is under way, each at its own speed; one that reads nothing for as long as the idle limit is let go.</summary>
internal sealed class FillReader(
    Fills fills, UpstreamRegistry upstream, UpstreamRelay relay, ContentRelay passing, ContentMetrics metrics, IdleLimits limits, TimeProvider time)
{
    /// <summary>How long a client waits for the first byte of a part that has not come yet, before it gets it past the download.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    /// <summary>Whether a client that asks for this range is served by the download. Whoever is not must not join it.</summary>
    public static bool MayFollow(Fill fill, ContentRange? range) =>
        range is null || (fill.Total is { } total && fill.IsWithinReach(ContentPart.Of(range, total).Start));

    /// <summary>Serves a client that has joined.</summary>
    public async Task<ContentAnswer> FollowAsync(ClientRequest client, BlobRequest request, Fill fill, ContentRange? range)
    {
        try
        {
            var part = ContentPart.Of(range, fill.Total);
            if (MayFollow(fill, range) && await ComesAsync(client, fill, part))
            {
                metrics.Served(BlobServer.Kind, ContentSource.Upstream);
                if (BlobAnswer.Prepare(client, request.Digest, part))
                    await CopyAsync(client, request, fill, part);
                return ContentAnswer.Kept(ContentSource.Upstream);
            }
        }
        finally
        {
            await fills.LeaveAsync(fill);
        }

        return await passing.ReadAsync(client, request); // not joined any more: the download must not go on for it
    }

    /// <summary>Waits until the first byte is there; false where it does not come, or not in time.</summary>
    private async Task<bool> ComesAsync(ClientRequest client, Fill fill, ContentPart part)
    {
        if (part.Start == 0 || part.Start >= part.Total || fill.Shows(part.Start))
            return true;
        using var limit = new CancellationTokenSource(LongestWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, client.Aborted);
        try
        {
            await fill.ChangedAsync(part.Start, either.Token);
        }
        catch (OperationCanceledException) when (!client.Aborted.IsCancellationRequested)
        {
            return false;
        }

        return fill.Shows(part.Start);
    }

    private async Task CopyAsync(ClientRequest client, BlobRequest request, Fill fill, ContentPart part)
    {
        var body = client.Http.Response.BodyWriter;
        using var limit = limits.Begin(client.Aborted);
        limit.Pause();
        for (var offset = part.Start; ;)
        {
            var end = part.End ?? fill.Total ?? long.MaxValue;
            if (offset == end && (end > 0 || fill.State == FillState.Done))
                return;

            var state = fill.State; // read before the bytes: if none are there, it says why
            var memory = body.GetMemory(ContentPart.BufferSize);
            var count = offset == end ? 0 : await fill.ReadAsync(memory.Length > end - offset ? memory[..(int)(end - offset)] : memory, offset, client.Aborted);
            if (count > 0)
            {
                offset += count;
                body.Advance(count);
                if (!await FlushAsync(client, body, limit))
                    return;
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

    /// <summary>The limit counts while the client is to read, not while it waits for upstream.</summary>
    /// <returns>False where the client has read nothing for too long; it is cut off.</returns>
    private static async ValueTask<bool> FlushAsync(ClientRequest client, PipeWriter body, IdleLimit limit)
    {
        try
        {
            var flushing = body.FlushAsync(limit.Token);
            if (!flushing.IsCompleted)
                limit.Restart();
            await flushing;
            limit.Pause();
            return true;
        }
        catch (OperationCanceledException exception) when (limit.IsReached) // a write that is canceled ends the connection at once: Aborted says no more then
        {
            limit.Stalled(Stall.Client, exception);
            client.Http.Abort();
            return false;
        }
    }

    /// <summary>The store gave up: the rest comes from upstream, past it.</summary>
    private async Task GoOnAsync(ClientRequest client, BlobRequest request, long offset, long? end)
    {
        try
        {
            using var answer = await upstream.ReadAsync(client, request, new RangeHeaderValue(offset, end - 1));
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
}
