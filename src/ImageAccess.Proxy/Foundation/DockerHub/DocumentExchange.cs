using System.Net;
using System.Net.Http.Headers;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Questions to one part of Docker Hub whose answers are read whole: within a time, up to a size, counted and watched.</summary>
/// <param name="kind">The part's word in metrics: <c>token</c>, <c>search</c>.</param>
/// <param name="part">The part in a sentence: "the token service".</param>
/// <param name="maximum">What an answer may measure, in bytes.</param>
internal sealed class DocumentExchange(
    string kind, string part, int maximum, UpstreamConnections connections, UpstreamMetrics metrics, UpstreamHealth health, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly HttpMessageInvoker _invoker = new(connections.ToDockerHub());

    /// <exception cref="UnansweredException">It could not be reached or did not answer in time, or its answer broke off or is too large.</exception>
    public async Task<UpstreamDocument> AskAsync(HttpRequestMessage request, CancellationToken cancellationToken, TimeSpan? patience = null)
    {
        request.Headers.UserAgent.Add(UpstreamConnections.OwnUserAgent);
        using var limit = new CancellationTokenSource(patience ?? Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        int? status = null;
        try
        {
            using var response = await _invoker.SendAsync(request, either.Token);
            status = (int)response.StatusCode;
            await response.Content.LoadIntoBufferAsync(maximum, either.Token);
            var body = await response.Content.ReadAsByteArrayAsync(either.Token);
            if (status >= 500)
                health.Failed(kind, $"{part} answered {status}");
            else
                health.Answered(kind);
            return new UpstreamDocument(response.StatusCode, response.Content.Headers.ContentType?.ToString(), Copy(response.Headers), body);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            health.Failed(kind, $"{part} did not answer in time");
            throw new UnansweredException(504, $"{part} of Docker Hub did not answer in time", exception) { Answered = status };
        }
        catch (HttpRequestException exception)
        {
            health.Failed(kind, $"{part} could not be reached");
            throw new UnansweredException(502, $"{part} of Docker Hub could not be reached", exception) { Answered = status };
        }
        finally
        {
            metrics.Asked(kind, status);
        }
    }

    public void Dispose() => _invoker.Dispose();

    private static Dictionary<string, string> Copy(HttpResponseHeaders headers) => headers.NonValidated
        .Where(header => AllowedHeaders.Response.Contains(header.Key) && AllowedHeaders.IsPrintable(header.Value.ToString()))
        .ToDictionary(header => header.Key, header => header.Value.ToString());
}

/// <summary>An answer read whole, as it is to reach the client.</summary>
public sealed record UpstreamDocument(HttpStatusCode Status, string? ContentType, IReadOnlyDictionary<string, string> Headers, ReadOnlyMemory<byte> Body);

/// <summary>There is no answer to pass on.</summary>
/// <param name="status">What to tell the client: 502, or 504 where it took too long.</param>
public sealed class UnansweredException(int status, string message, Exception cause) : Exception(message, cause)
{
    public int Status => status;

    /// <summary>The status of an answer that began and did not end well; null where none began.</summary>
    public int? Answered { get; init; }

    /// <summary>For the log: what the network said, where it said anything.</summary>
    public string Cause => InnerException is HttpRequestException inner ? inner.Message : Message;
}
