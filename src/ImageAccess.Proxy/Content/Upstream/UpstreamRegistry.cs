using System.Net;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Docker Hub's registry. It is asked what was parsed, for those who show a permit, with the caller's own token.</summary>
internal sealed class UpstreamRegistry : IDisposable
{
    private const string Kind = "registry";

    private readonly UpstreamMetrics _metrics;
    private readonly UpstreamHealth _health;
    private readonly TimeProvider _time;
    private readonly ILogger<UpstreamRegistry> _logger;

    public UpstreamRegistry(
        UpstreamConnections connections,
        IOptions<UpstreamOptions> options,
        UpstreamMetrics metrics,
        UpstreamHealth health,
        TimeProvider time,
        ILogger<UpstreamRegistry> logger)
    {
        (_metrics, _health, _time, _logger) = (metrics, health, time, logger);
        Origin = options.Value.Registry.GetLeftPart(UriPartial.Authority);
        Connection = new HttpMessageInvoker(new RedirectFollower(
            new HttpMessageInvoker(connections.ToDockerHub()), new HttpMessageInvoker(connections.ToRedirects()), connections.RedirectHosts));
    }

    /// <summary>Scheme and authority.</summary>
    public string Origin { get; }

    /// <summary>Sends a request that was made ready by <see cref="Address"/>.</summary>
    public HttpMessageInvoker Connection { get; }

    /// <summary>Upstream's answer to what the client asks, as soon as its head is there: with the client's own conditions and range.</summary>
    /// <exception cref="UpstreamFailedException">There is no answer, or none that may be passed on.</exception>
    public Task<HttpResponseMessage> ReadAsync(ClientRequest client, RepositoryRequest request) =>
        SendAsync(request, client.IsHead ? HttpMethod.Head : HttpMethod.Get, client.Permit, client.Headers, AllowedHeaders.Request, from: null, client.Aborted);

    /// <summary>
    /// Upstream's answer, as soon as its head is there, for a caller that keeps the content: without the client's conditions and range.
    /// </summary>
    /// <param name="request">What to ask for.</param>
    /// <param name="method">GET or HEAD, whatever the client asked.</param>
    /// <param name="permit">The proof that it is allowed.</param>
    /// <param name="client">The client's headers.</param>
    /// <param name="from">The first byte that is wanted of a blob; null for all.</param>
    /// <exception cref="UpstreamFailedException">There is no answer, or none that may be passed on.</exception>
    public Task<HttpResponseMessage> FetchAsync(
        RepositoryRequest request, HttpMethod method, Permit permit, IHeaderDictionary client, long? from, CancellationToken cancellationToken) =>
        SendAsync(request, method, permit, client, AllowedHeaders.Fetch, from, cancellationToken);

    /// <summary>Where a request goes: rebuilt from the parse; a blob's redirects may be followed.</summary>
    public void Address(HttpRequestMessage message, RepositoryRequest request, Permit permit)
    {
        message.RequestUri = new Uri(Origin + permit.UpstreamTarget(request), new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        message.Options.Set(RedirectFollower.MayFollow, request is BlobRequest);
    }

    /// <exception cref="UpstreamFailedException">A header that would go upstream cannot be sent.</exception>
    public static void DemandFit(IHeaderDictionary client)
    {
        if (AllowedHeaders.FirstUnfit(client) is { } unfit)
            throw new UpstreamFailedException(RegistryError.Unsupported($"the header {unfit} holds characters that are not ASCII"), new UpstreamException(unfit));
    }

    /// <summary>Upstream has answered, with whatever status; null where it has not.</summary>
    public void Answered(int? status)
    {
        _metrics.Asked(Kind, status);
        if (status is not null)
            _health.Answered(Kind);
    }

    /// <summary>Upstream has not answered, or its answer cannot be passed on whole.</summary>
    public void Failed(string method, RepositoryRequest request, UpstreamFailedException failure, bool hasAnswered)
    {
        _logger.UpstreamFailed(method, request.Repository.Value, failure.Cause);
        if (!hasAnswered && failure.Error.Status >= 500)
            _health.Failed(Kind, failure.Error.Message);
    }

    public void Dispose() => Connection.Dispose();

    private async Task<HttpResponseMessage> SendAsync(
        RepositoryRequest request, HttpMethod method, Permit permit, IHeaderDictionary client, IEnumerable<string> names, long? from, CancellationToken cancellationToken)
    {
        DemandFit(client);
        using var ask = new HttpRequestMessage { Method = method, Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        Address(ask, request, permit);
        foreach (var name in names)
        {
            if (client.TryGetValue(name, out var values))
                ask.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
        }

        if (from is { } first)
            ask.Headers.Range = new RangeHeaderValue(first, null);
        using var limit = new IdleLimit(_time, cancellationToken);
        int? status = null;
        try
        {
            var answer = await Connection.SendAsync(ask, limit.Token);
            status = (int)answer.StatusCode;
            return answer;
        }
        catch (Exception exception) when (exception is HttpRequestException or UpstreamException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var failure = new UpstreamFailedException(limit.IsReached ? IdleLimit.Stalled("upstream did not answer", exception) : exception);
            Failed(method.Method, request, failure, hasAnswered: false);
            throw failure;
        }
        finally
        {
            Answered(status);
        }
    }
}
