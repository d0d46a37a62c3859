using System.Net.Sockets;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// Sends what may be repeated once more, on a new connection, when its connection broke before it was answered. A firewall that drops idle
/// connections does that to all that are kept, so that another kept one would be no better. The web client itself sees only those that were
/// closed in time.
/// </summary>
/// <param name="kept">Sends on connections that are kept.</param>
/// <param name="fresh">Sends on new connections alone.</param>
/// <param name="kind">What is asked, in metrics.</param>
internal sealed class RepeatAfterReset(HttpMessageHandler kept, HttpMessageHandler fresh, string kind, UpstreamMetrics metrics, ILogger logger) : HttpMessageHandler
{
    /// <summary>Set on a request whose method does not say so, but which changes nothing: it may be sent twice.</summary>
    public static readonly HttpRequestOptionsKey<bool> IsQuestion = new("imageaccess.question");

    private readonly HttpMessageInvoker _kept = new(kept);
    private readonly HttpMessageInvoker _fresh = new(fresh);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await _kept.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException exception) when (IsBroken(exception, request) && MayRepeat(request) && !cancellationToken.IsCancellationRequested)
        {
            metrics.Asked(kind, null);
            logger.SentAgain(request.RequestUri!.IdnHost, exception.GetBaseException().Message);
        }

        return await _fresh.SendAsync(request, cancellationToken);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _kept.Dispose();
            _fresh.Dispose();
        }

        base.Dispose(disposing);
    }

    private static bool MayRepeat(HttpRequestMessage request) =>
        request.Method == HttpMethod.Get || request.Method == HttpMethod.Head || (request.Options.TryGetValue(IsQuestion, out var isQuestion) && isQuestion);

    /// <summary>A connection that was closed counts where there is a body: without one the web client has tried again by itself.</summary>
    private static bool IsBroken(HttpRequestException exception, HttpRequestMessage request) =>
        exception.GetBaseException() is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown }
        || (exception.HttpRequestError == HttpRequestError.ResponseEnded && request.Content is not null);
}
