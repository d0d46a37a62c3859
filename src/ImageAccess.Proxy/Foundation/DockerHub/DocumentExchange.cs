using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Questions to one part of Docker Hub whose answers are read whole: within a time, up to a size, counted and watched.</summary>
/// <param name="kind">The part's word in metrics: <c>token</c>, <c>search</c>, <c>hub</c>.</param>
/// <param name="part">The part in a sentence: "the token service".</param>
/// <param name="key">The key that names its host.</param>
/// <param name="health">Where its failures show; null where the caller has a health check of its own.</param>
internal sealed class DocumentExchange(
    string kind, string part, string key, UpstreamConnections connections, UpstreamMetrics metrics, UpstreamHealth? health, TimeProvider time) : IDisposable
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(15);

    private readonly HttpMessageInvoker _invoker = new(connections.ToDockerHub(kind, key));

    /// <summary>The answer as it is to reach the client.</summary>
    /// <exception cref="UnansweredException">It could not be reached or did not answer in time, or its answer broke off or is too large.</exception>
    public Task<UpstreamDocument> AskAsync(HttpRequestMessage request, AnswerLimits limits, CancellationToken cancellationToken) => AskAsync(
        request,
        limits,
        async (response, cancel) => new UpstreamDocument(
            response.StatusCode,
            response.Content.Headers.ContentType?.ToString(),
            Copy(response.Headers),
            await ReadBodyAsync(response, limits, cancel)),
        cancellationToken);

    /// <param name="request">What to ask.</param>
    /// <param name="limits">What the answer may take.</param>
    /// <param name="read">Takes what is wanted of an answer whose head is there.</param>
    /// <param name="cancellationToken">The asker's leaving.</param>
    /// <exception cref="UnansweredException">It could not be reached or did not answer in time, or its answer broke off or is too large.</exception>
    public async Task<T> AskAsync<T>(
        HttpRequestMessage request, AnswerLimits limits, Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken cancellationToken)
    {
        request.Headers.UserAgent.Add(UpstreamConnections.OwnUserAgent);
        request.Options.Set(RepeatAfterReset.IsQuestion, true);
        using var timeout = new CancellationTokenSource(limits.Time, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        int? status = null;
        try
        {
            using var response = await _invoker.SendAsync(request, either.Token);
            status = (int)response.StatusCode;
            var answer = await read(response, either.Token);
            if (status is 429 or >= 500)
                health?.Failed(kind, $"{part} answered {status}");
            else
                health?.Answered(kind);
            return answer;
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            var cause = string.Create(
                CultureInfo.InvariantCulture, $"{part} did not answer within {limits.Time.TotalSeconds:0.#} s ({NetworkFailure.HostOf(request.RequestUri!)}; look at {key})");
            throw Unanswered(exception, 504, "did not answer in time", "", cause, status);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            var failure = NetworkFailure.Of(exception, request.RequestUri!, key);
            throw failure.IsTimeout
                ? Unanswered(exception, 504, "did not answer in time", failure.Explain(""), Describe(exception, failure, limits), status)
                : Unanswered(exception, 502, "could not be reached", failure.Explain(""), Describe(exception, failure, limits), status);
        }
        finally
        {
            metrics.Asked(kind, status);
        }
    }

    /// <exception cref="HttpRequestException">The body broke off or is too large.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpResponseMessage response, AnswerLimits limits, CancellationToken cancellationToken)
    {
        await response.Content.LoadIntoBufferAsync(limits.Bytes, cancellationToken);
        return await response.Content.ReadAsByteArrayAsync(cancellationToken);
    }

    public void Dispose() => _invoker.Dispose();

    private static Dictionary<string, string> Copy(HttpResponseHeaders headers) => headers.NonValidated
        .Where(header => AllowedHeaders.Response.Contains(header.Key) && AllowedHeaders.IsPrintable(header.Value.ToString()))
        .ToDictionary(header => header.Key, header => header.Value.ToString());

    /// <param name="what">What a client is told.</param>
    /// <param name="where">And of which host.</param>
    private UnansweredException Unanswered(Exception exception, int code, string what, string where, string cause, int? answered)
    {
        health?.Failed(kind, cause);
        return new UnansweredException(code, $"{part} of Docker Hub {what}{where}", cause, exception) { Answered = answered };
    }

    /// <summary>The exception's own text is not passed on: it may quote the answer, and the answer may be a token.</summary>
    private string Describe(Exception exception, NetworkFailure failure, AnswerLimits limits) => exception switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => $"{part}'s answer is larger than {limits.Bytes / 1024} KiB",
        UnreadableAnswerException => exception.Message,
        _ => $"{part} {(failure.IsOfAnswer ? "gave no whole answer" : "cannot be reached")} ({failure.Cause})",
    };
}

/// <summary>What one answer may take.</summary>
/// <param name="Bytes">Of its body.</param>
/// <param name="Time">From the question to the end of the body.</param>
internal sealed record AnswerLimits(int Bytes, TimeSpan Time);

/// <summary>An answer read whole, as it is to reach the client.</summary>
public sealed record UpstreamDocument(HttpStatusCode Status, string? ContentType, IReadOnlyDictionary<string, string> Headers, ReadOnlyMemory<byte> Body);

/// <summary>There is no answer to pass on.</summary>
/// <param name="status">What to tell the client: 502, or 504 where it took too long.</param>
/// <param name="message">What to tell the client in words.</param>
/// <param name="cause">For the log, in one sentence that quotes nothing of an answer.</param>
/// <param name="inner">What the network said.</param>
public sealed class UnansweredException(int status, string message, string cause, Exception inner) : Exception(message, inner)
{
    public int Status => status;

    /// <summary>The status of an answer that began and did not end well; null where none began.</summary>
    public int? Answered { get; init; }

    public string Cause => cause;

    /// <summary>The next answer would be as large: trying again helps nobody.</summary>
    public bool IsTooLarge => InnerException is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded };
}
