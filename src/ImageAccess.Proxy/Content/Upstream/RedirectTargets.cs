using System.Net;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Where blobs' redirects lead: which addresses may be asked, and how they are.</summary>
internal sealed class RedirectTargets(UpstreamConnections connections, UpstreamMetrics metrics, TimeProvider time) : IDisposable
{
    private const string Kind = "cdn";
    public const string Key = "Upstream:RedirectHosts";

    /// <summary>The longest <c>Retry-After</c> that is waited for.</summary>
    private static readonly TimeSpan MaximumWait = TimeSpan.FromSeconds(5);

    private readonly HttpMessageInvoker _invoker = new(connections.ToRedirects(Kind, Key));

    /// <summary>Where an answer leads.</summary>
    /// <exception cref="UpstreamException">To no address, or to one that is not listed.</exception>
    public Uri Next(Uri current, HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("Location", out var location) || location.ToString().Length == 0)
            throw new UpstreamException("upstream redirects without saying where to");

        var target = HandedOutAddress.Resolve(current, location.ToString()) ?? throw new UpstreamException("upstream redirects to what is no address");
        return connections.RedirectHosts.Allows(target)
            ? target
            : throw new UpstreamException($"upstream redirects to {target.Scheme}://{target.IdnHost}:{target.Port}, which Upstream:RedirectHosts does not list");
    }

    /// <summary>Asks for what the request asks for. A 503 is asked again once: it is of a server that is busy, and there are many.</summary>
    public async Task<HttpResponseMessage> AskAsync(HttpRequestMessage request, Uri target, CancellationToken cancellationToken)
    {
        var answer = await _invoker.SendAsync(RequestTo(request, target), cancellationToken);
        var wait = WaitOf(answer);
        if (answer.StatusCode != HttpStatusCode.ServiceUnavailable || wait > MaximumWait)
            return answer;

        answer.Dispose();
        metrics.Asked(Kind, (int)HttpStatusCode.ServiceUnavailable);
        await Task.Delay(wait, time, cancellationToken);
        return await _invoker.SendAsync(RequestTo(request, target), cancellationToken);
    }

    public void Dispose() => _invoker.Dispose();

    /// <summary>What <c>Retry-After</c> says; nothing where it is missing.</summary>
    private TimeSpan WaitOf(HttpResponseMessage answer)
    {
        var wait = answer.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => TimeSpan.Zero,
        };
        return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
    }

    private static HttpRequestMessage RequestTo(HttpRequestMessage request, Uri target)
    {
        var next = new HttpRequestMessage(request.Method, target) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        next.Headers.UserAgent.Add(UpstreamConnections.OwnUserAgent);
        next.Headers.Range = request.Headers.Range;
        return next;
    }
}
