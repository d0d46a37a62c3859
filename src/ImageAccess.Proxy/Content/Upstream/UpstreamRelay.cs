using System.Buffers;
using System.IO.Pipelines;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// Passes upstream's answers on to clients. What is small is read to its end before anything is answered; what is streamed must say
/// how long it is, so that one cut short shows. A refusal of upstream is passed on whatever becomes of its text.
/// </summary>
internal sealed class UpstreamRelay(UpstreamRegistry upstream, IdleLimits limits)
{
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
    /// <param name="passing">Is told the length of each piece of a blob before the client gets it.</param>
    /// <returns>Upstream's status.</returns>
    /// <exception cref="UpstreamFailedException">It must not be passed on; the client has been sent nothing.</exception>
    public async Task<int> AnswerAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer, Action<int>? passing = null)
    {
        var status = (int)answer.StatusCode;
        if (client.IsHead)
            WriteHead(client, request, answer);
        else if (request is BlobRequest && status is 200 or 206)
            await StreamAsync(client, request, answer, passing);
        else
            await AnswerDocumentAsync(client, request, answer);
        return status;
    }

    /// <summary>All of what is small.</summary>
    /// <exception cref="UpstreamFailedException">It is too large, or does not come whole.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadDocumentAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer) =>
        (await ReadStartAsync(client, request, answer)).Bytes;

    /// <summary>Copies what upstream sends to the client; nothing else does. What breaks off or stalls aborts the client's connection: it must not look whole.</summary>
    /// <param name="wanted">How many bytes; null for all.</param>
    /// <param name="document">What it may measure, where it is a document, and how much of it the client has.</param>
    /// <param name="passing">Is told the length of each piece before the client gets it.</param>
    /// <exception cref="UpstreamFailedException">Nothing came; the client has been sent nothing.</exception>
    public async Task CopyAsync(
        ClientRequest client,
        RepositoryRequest request,
        HttpResponseMessage answer,
        long? wanted = null,
        (DocumentLimit Limit, long Length)? document = null,
        Action<int>? passing = null)
    {
        var body = client.Http.Response.BodyWriter;
        using var limit = limits.Begin(client.Aborted);
        try
        {
            await using var source = await answer.Content.ReadAsStreamAsync(limit.Token);
            for (var copied = document?.Length ?? 0; wanted is null or > 0;)
            {
                var memory = body.GetMemory(BufferSize);
                var count = await limit.ReadAsync(source, memory.Length > wanted ? memory[..(int)wanted] : memory);
                if (count == 0)
                    break;
                wanted -= count;
                copied += count;
                document?.Limit.Demand(copied);
                passing?.Invoke(count);
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
        catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException)
        {
            var failure = Failed(request, answer, exception);
            if (!client.Http.Response.HasStarted)
            {
                client.Http.Response.Clear();
                throw failure;
            }

            client.Http.Abort();
        }
    }

    /// <summary>Logs why upstream's answer is not passed on.</summary>
    public UpstreamFailedException Failed(RepositoryRequest request, HttpResponseMessage answer, Exception cause)
    {
        var failure = new UpstreamFailedException(cause, upstream.Sender(answer));
        upstream.Failed(request.Method, request, failure, hasAnswered: true);
        return failure;
    }

    private Task StreamAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer, Action<int>? passing)
    {
        try
        {
            DemandLength(answer);
        }
        catch (UpstreamException exception)
        {
            throw Failed(request, answer, exception);
        }

        WriteHead(client, request, answer);
        return CopyAsync(client, request, answer, passing: passing);
    }

    private async Task AnswerDocumentAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        var status = (int)answer.StatusCode;
        var (start, isWhole) = status >= 400 ? (await ReadErrorAsync(client, request, answer), true) : await ReadStartAsync(client, request, answer);
        WriteHead(client, request, answer);
        if (isWhole && status is not (204 or 304))
            client.Http.Response.ContentLength = start.Length;
        if (start.Length > 0)
            await client.Http.Response.BodyWriter.WriteAsync(start, client.Aborted);
        if (!isWhole)
            await CopyAsync(client, request, answer, document: (DocumentLimit.Of(request, status), start.Length));
    }

    /// <exception cref="UpstreamFailedException">It leads elsewhere, or has headers that no answer can have.</exception>
    private void WriteHead(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        try
        {
            new AnswerHead(upstream.Origin, client, request).Write(answer);
        }
        catch (Exception exception) when (exception is UpstreamException or InvalidOperationException)
        {
            client.Http.Response.Clear();
            throw Failed(request, answer, exception);
        }
    }

    /// <summary>A document, or the beginning of one that is to be streamed.</summary>
    /// <exception cref="UpstreamFailedException">It is too large, or does not come whole.</exception>
    private async Task<(ReadOnlyMemory<byte> Bytes, bool IsWhole)> ReadStartAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        try
        {
            DemandLength(answer);
            var document = DocumentLimit.Of(request, (int)answer.StatusCode);
            document.Demand(answer.Content.Headers.ContentLength);
            var bytes = new ArrayBufferWriter<byte>(BufferSize);
            var isWhole = await ReadAsync(client, answer, bytes, document.Whole);
            if (!isWhole && document.Whole == document.Bytes)
                document.Demand(bytes.WrittenCount);
            return (bytes.WrittenMemory, isWhole);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException)
        {
            throw Failed(request, answer, exception);
        }
    }

    /// <summary>The text of an error: as much of it as comes, at most what a document may measure. What is wrong with it must not hide the error.</summary>
    private async Task<ReadOnlyMemory<byte>> ReadErrorAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer)
    {
        var document = DocumentLimit.Of(request, (int)answer.StatusCode);
        var bytes = new ArrayBufferWriter<byte>(BufferSize);
        try
        {
            if (!await ReadAsync(client, answer, bytes, document.Bytes))
                document.Demand(bytes.WrittenCount);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or UpstreamException)
        {
            Failed(request, answer, exception);
        }

        return bytes.WrittenCount > document.Bytes ? bytes.WrittenMemory[..document.Bytes] : bytes.WrittenMemory;
    }

    /// <summary>Reads into <paramref name="bytes"/> until the end, or until there are more than <paramref name="most"/>.</summary>
    /// <returns>Whether the end has come.</returns>
    private async Task<bool> ReadAsync(ClientRequest client, HttpResponseMessage answer, ArrayBufferWriter<byte> bytes, int most)
    {
        using var limit = limits.Begin(client.Aborted);
        var body = await answer.Content.ReadAsStreamAsync(limit.Token); // not disposed of: what follows may be copied from it
        while (await limit.ReadAsync(body, bytes.GetMemory()) is > 0 and var count)
        {
            bytes.Advance(count);
            if (bytes.WrittenCount > most)
                return false;
        }

        return true;
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
            throw limit.Stalled(Stall.Client, exception);
        }
    }

    private static void DemandLength(HttpResponseMessage answer)
    {
        if (answer.Content.Headers.ContentLength is null && answer.Headers.TransferEncodingChunked != true && (int)answer.StatusCode is not (204 or 304))
            throw new UpstreamException("upstream's answer does not say how long it is");
    }
}
