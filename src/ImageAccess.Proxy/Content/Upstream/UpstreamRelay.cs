using System.Buffers;
using System.IO.Pipelines;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// Passes upstream's answers on to clients. What is small is read to its end before anything is answered; what is streamed must say
/// how long it is, so that one cut short shows.
/// </summary>
internal sealed class UpstreamRelay(UpstreamRegistry upstream, TimeProvider time)
{
    /// <summary>Manifests, tag lists, referrers and error bodies, in bytes. Blobs have no limit.</summary>
    private const int MaximumDocument = 4 * 1024 * 1024;

    private const int BufferSize = 64 * 1024;

    /// <summary>Asks upstream what the client asks, and answers with what upstream says.</summary>
    /// <returns>Upstream's status.</returns>
    /// <exception cref="UpstreamFailedException">There is no answer to pass on; the client has been sent nothing.</exception>
    public async Task<int> ReadAsync(ClientRequest client, RepositoryRequest request)
    {
        using var answer = await upstream.ReadAsync(client, request);
        return await AnswerAsync(client, request, answer);
    }

    /// <summary>Answers the client with an answer that was fetched.</summary>
    /// <returns>Upstream's status.</returns>
    /// <exception cref="UpstreamFailedException">It must not be passed on; the client has been sent nothing.</exception>
    public async Task<int> AnswerAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        var status = (int)answer.StatusCode;
        var isStreamed = request is BlobRequest && status is 200 or 206;
        var document = isStreamed || client.IsHead ? default : await ReadDocumentAsync(client, request, answer);
        try
        {
            if (isStreamed && !client.IsHead)
                DemandLength(answer);
            new AnswerHead(upstream.Origin, client, request).Write(answer);
        }
        catch (Exception exception) when (exception is UpstreamException or InvalidOperationException) // the last: headers that no answer can have
        {
            client.Http.Response.Clear();
            throw Failed(request, exception);
        }

        if (document.Length > 0)
            await client.Http.Response.BodyWriter.WriteAsync(document, client.Aborted);
        else if (isStreamed && !client.IsHead)
            await CopyAsync(client, request, answer);
        return status;
    }

    /// <summary>All of what is small.</summary>
    /// <exception cref="UpstreamFailedException">It is too large, or does not come whole.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadDocumentAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        try
        {
            DemandLength(answer);
            var length = answer.Content.Headers.ContentLength;
            if (length > MaximumDocument)
                throw new UpstreamException("upstream's answer is larger than 4 MiB");

            using var limit = new IdleLimit(time, client.Aborted);
            await using var body = await answer.Content.ReadAsStreamAsync(limit.Token);
            var bytes = new ArrayBufferWriter<byte>((int)(length ?? BufferSize) + 1); // the last byte's place is for finding that there is none
            while (await limit.ReadAsync(body, bytes.GetMemory()) is > 0 and var count)
            {
                bytes.Advance(count);
                if (bytes.WrittenCount > MaximumDocument)
                    throw new IOException("upstream's answer is larger than 4 MiB");
            }

            return bytes.WrittenMemory;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException)
        {
            throw Failed(request, exception);
        }
    }

    /// <summary>Copies what upstream sends to the client; nothing else does. What breaks off or stalls aborts the client's connection: it must not look whole.</summary>
    /// <param name="wanted">How many bytes; null for all.</param>
    /// <exception cref="UpstreamFailedException">Nothing came; the client has been sent nothing.</exception>
    public async Task CopyAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer, long? wanted = null)
    {
        var body = client.Http.Response.BodyWriter;
        using var limit = new IdleLimit(time, client.Aborted);
        try
        {
            await using var source = await answer.Content.ReadAsStreamAsync(limit.Token);
            while (wanted is null or > 0)
            {
                var memory = body.GetMemory(BufferSize);
                var count = await limit.ReadAsync(source, memory.Length > wanted ? memory[..(int)wanted] : memory);
                if (count == 0)
                    break;
                wanted -= count;
                body.Advance(count);
                await FlushAsync(body, limit);
            }

            if (wanted > 0)
                throw new IOException("upstream's answer ends too early");
        }
        catch (OperationCanceledException) when (client.Aborted.IsCancellationRequested)
        {
            // The client has left.
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            var failure = Failed(request, exception);
            if (!client.Http.Response.HasStarted)
            {
                client.Http.Response.Clear();
                throw failure;
            }

            client.Http.Abort();
        }
    }

    /// <summary>Logs why upstream's answer is not passed on.</summary>
    public UpstreamFailedException Failed(RepositoryRequest request, Exception cause)
    {
        var failure = new UpstreamFailedException(cause);
        upstream.Failed(request.Method, request, failure, hasAnswered: true);
        return failure;
    }

    private static async ValueTask FlushAsync(PipeWriter body, IdleLimit limit)
    {
        try
        {
            await body.FlushAsync(limit.Token);
            limit.Restart();
        }
        catch (OperationCanceledException exception) when (limit.IsReached)
        {
            throw IdleLimit.Stalled("the client read nothing", exception);
        }
    }

    private static void DemandLength(HttpResponseMessage answer)
    {
        if (answer.Content.Headers.ContentLength is null && answer.Headers.TransferEncodingChunked != true && (int)answer.StatusCode is not (204 or 304))
            throw new UpstreamException("upstream's answer does not say how long it is");
    }
}
