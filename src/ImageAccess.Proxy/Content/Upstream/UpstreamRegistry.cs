using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using RangeHeaderValue = System.Net.Http.Headers.RangeHeaderValue;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Docker Hub's registry. It is asked what was parsed, for those who show a permit, with the caller's own token.</summary>
internal sealed class UpstreamRegistry : IDisposable
{
    private const string Kind = "registry";
    private const string Key = "Upstream:Registry";

    private readonly UpstreamConnections _connections;
    private readonly RedirectTargets _redirects;
    private readonly UpstreamMetrics _metrics;
    private readonly UpstreamHealth _health;
    private readonly PullBudget _budget;
    private readonly IdleLimits _limits;
    private readonly AcceptForms _accepts;
    private readonly ILogger<UpstreamRegistry> _logger;
    private readonly HttpMessageInvoker _connection;

    public UpstreamRegistry(
        UpstreamConnections connections,
        RedirectTargets redirects,
        IOptions<UpstreamOptions> options,
        UpstreamMetrics metrics,
        UpstreamHealth health,
        PullBudget budget,
        IdleLimits limits,
        AcceptForms accepts,
        ILogger<UpstreamRegistry> logger)
    {
        (_connections, _redirects, _metrics, _health, _budget, _limits, _accepts, _logger) = (connections, redirects, metrics, health, budget, limits, accepts, logger);
        Origin = options.Value.Registry.GetLeftPart(UriPartial.Authority);
        _connection = new HttpMessageInvoker(new RedirectFollower(connections.ToDockerHub(Kind, Key), redirects));
    }

    /// <summary>Scheme and authority.</summary>
    public string Origin { get; }

    /// <summary>
    /// Upstream's answer to what the client asks, as soon as its head is there. The client's own conditions and range are sent for lists
    /// alone: those of a manifest or a blob are about the entity-tag that it has here. What the client accepts is sent for manifests, in the
    /// form by which their answers are shared, and for lists; no blob depends on it.
    /// </summary>
    /// <param name="range">Which bytes of a blob are wanted; null for all.</param>
    /// <exception cref="UpstreamFailedException">There is no answer, or none that may be passed on.</exception>
    public Task<HttpResponseMessage> ReadAsync(ClientRequest client, RepositoryRequest request, RangeHeaderValue? range = null) => SendAsync(
        request,
        client.IsHead ? HttpMethod.Head : HttpMethod.Get,
        client.Permit,
        client.Headers,
        request is ManifestRequest or BlobRequest ? AllowedHeaders.Fetch : AllowedHeaders.Request,
        range,
        client.Aborted);

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
        SendAsync(request, method, permit, client, AllowedHeaders.Fetch, from is null ? null : new RangeHeaderValue(from, null), cancellationToken);

    /// <summary>A connection for one upload, or another request that cannot be sent twice, made ready by <see cref="Address"/>.</summary>
    public HttpMessageInvoker ConnectFor(Upload upload) =>
        new(new RedirectFollower(upload.SendBy(_connections.ToDockerHubOnce(Key, upload.Watch)), _redirects));

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

    /// <exception cref="UpstreamException">Another server has answered in the registry's place.</exception>
    public void DemandRegistry(HttpResponseMessage answer)
    {
        if (answer.RequestMessage?.RequestUri?.GetLeftPart(UriPartial.Authority) != Origin || !RegistryMark.IsForeign(answer))
            return;
        using (answer)
            throw new UpstreamException($"another server answers in the place of Docker Hub's registry ({(int)answer.StatusCode}, {answer.Content.Headers.ContentType?.MediaType})", Sender(answer));
    }

    /// <summary>Who sent an answer, and the key to look at.</summary>
    public string Sender(HttpResponseMessage answer) => answer.RequestMessage?.RequestUri is { } address
        ? $" ({NetworkFailure.HostOf(address)}; look at {(address.GetLeftPart(UriPartial.Authority) == Origin ? Key : RedirectTargets.Key)})"
        : "";

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
        _logger.UpstreamFailed(method, request.Repository.Value, request.Subject, failure.Cause);
        if (!hasAnswered && failure.Error.Status >= 500)
            _health.Failed(Kind, failure.Cause);
    }

    public void Dispose() => _connection.Dispose();

    private void ReadBudget(HttpResponseMessage answer, HttpMethod method, Permit permit)
    {
        _budget.Read(answer, permit.Organizations);
        if (answer.StatusCode == HttpStatusCode.OK)
            _metrics.Pulled(method == HttpMethod.Head ? PulledBy.Head : PulledBy.Get);
    }

    private async Task<HttpResponseMessage> SendAsync(
        RepositoryRequest request, HttpMethod method, Permit permit, IHeaderDictionary client, IEnumerable<string> names, RangeHeaderValue? range, CancellationToken cancellationToken)
    {
        DemandFit(client);
        using var ask = new HttpRequestMessage { Method = method, Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        Address(ask, request, permit);
        foreach (var name in names)
        {
            if (client.TryGetValue(name, out var values))
                ask.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
        }

        if (request is ManifestRequest && _accepts.Of(client.Accept) is { Length: > 0 } accept)
            ask.Headers.TryAddWithoutValidation(HeaderNames.Accept, accept);
        if (range is not null)
            ask.Headers.Range = range;
        using var limit = _limits.Begin(cancellationToken);
        int? status = null;
        try
        {
            var answer = await _connection.SendAsync(ask, limit.Token);
            DemandRegistry(answer);
            status = (int)answer.StatusCode;
            if (request is ManifestRequest)
                ReadBudget(answer, method, permit);
            return answer;
        }
        catch (Exception exception) when (exception is HttpRequestException or UpstreamException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var failure = new UpstreamFailedException(limit.IsReached ? limit.Stalled(Stall.Answer, exception) : exception, where: "");
            Failed(method.Method, request, failure, hasAnswered: false);
            throw failure;
        }
        finally
        {
            Answered(status);
        }
    }
}
