using System.Net;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Forwarder;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Docker Hub's registry. It is asked what was parsed, for those who show a permit.</summary>
public sealed class UpstreamRegistry : IDisposable
{
    private const string Kind = "registry";

    /// <summary>How long nothing may move, in either direction, before a request is given up.</summary>
    private static readonly ForwarderRequestConfig Config = new()
    {
        ActivityTimeout = TimeSpan.FromSeconds(100),
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        AllowResponseBuffering = false,
    };

    /// <summary>How long the head of an answer may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(100);

    private readonly TimeProvider _time;
    private readonly IHttpForwarder _forwarder;
    private readonly UpstreamMetrics _metrics;
    private readonly UpstreamHealth _health;
    private readonly ILogger<UpstreamRegistry> _logger;
    private readonly string _origin;
    private readonly HttpMessageInvoker _invoker;

    public UpstreamRegistry(
        IHttpForwarder forwarder,
        UpstreamConnections connections,
        IOptions<UpstreamOptions> options,
        UpstreamMetrics metrics,
        UpstreamHealth health,
        TimeProvider time,
        ILogger<UpstreamRegistry> logger)
    {
        _time = time;
        _forwarder = forwarder;
        _metrics = metrics;
        _health = health;
        _logger = logger;
        _origin = options.Value.Registry.GetLeftPart(UriPartial.Authority);
        _invoker = new HttpMessageInvoker(new RedirectFollower(
            new HttpMessageInvoker(connections.ToDockerHub()), new HttpMessageInvoker(connections.ToRedirects()), connections.RedirectHosts));
    }

    /// <summary>
    /// Answers the client with what upstream answers. An answer that breaks off aborts the client's connection;
    /// one that never began is reported as a failure for the caller to word.
    /// </summary>
    /// <param name="http">The exchange with the client.</param>
    /// <param name="request">What to ask for.</param>
    /// <param name="permit">The proof that it is allowed.</param>
    /// <param name="publicOrigin">Scheme and authority under which the client reaches this proxy.</param>
    /// <param name="realm">The token face that a challenge of upstream is turned to.</param>
    public async Task<UpstreamAnswer> ForwardAsync(HttpContext http, RepositoryRequest request, Permit permit, string publicOrigin, string realm)
    {
        if (AllowedHeaders.FirstUnfit(http.Request.Headers) is { } unfit)
            return UpstreamAnswer.Failed(Unfit(unfit));

        var exchange = new RegistryExchange(_origin, request, permit, publicOrigin, realm);
        var error = await _forwarder.SendAsync(http, _origin, _invoker, Config, exchange, http.RequestAborted);
        _metrics.Asked(Kind, exchange.Status);
        if (exchange.Status is not null)
            _health.Answered(Kind);
        if (error == ForwarderError.None)
            return new UpstreamAnswer(exchange.Status, null);

        var cause = http.Features.Get<IForwarderErrorFeature>()?.Exception;
        var failure = Word(error, cause);
        if (!http.RequestAborted.IsCancellationRequested)
        {
            _logger.UpstreamFailed(request.Method, request.Repository.Value, Describe(error, cause));
            if (exchange.Status is null && failure.Status >= 500)
                _health.Failed(Kind, failure.Message);
        }

        return UpstreamAnswer.Failed(failure);
    }

    /// <summary>
    /// Upstream's answer itself, as soon as its head is there, for who keeps what comes. Asked with the caller's own token, and
    /// with no other header of the client than those that choose the representation.
    /// </summary>
    /// <param name="request">What to ask for.</param>
    /// <param name="method">GET or HEAD, whatever the client asked.</param>
    /// <param name="permit">The proof that it is allowed.</param>
    /// <param name="client">The client's headers.</param>
    /// <param name="from">The first byte that is wanted of a blob; null for all.</param>
    /// <exception cref="UpstreamFailedException">There is no answer, or none that may be passed on.</exception>
    public async Task<HttpResponseMessage> FetchAsync(
        RepositoryRequest request, HttpMethod method, Permit permit, IHeaderDictionary client, long? from, CancellationToken cancellationToken)
    {
        if (AllowedHeaders.FirstUnfit(client) is { } unfit)
            throw new UpstreamFailedException(Unfit(unfit), new UpstreamException(unfit));

        var target = new Uri(_origin + permit.UpstreamTarget(request), new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        using var ask = new HttpRequestMessage(method, target) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        ask.Options.Set(RedirectFollower.MayFollow, request is BlobRequest);
        foreach (var name in AllowedHeaders.Fetch)
        {
            if (client.TryGetValue(name, out var values))
                ask.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
        }

        if (from is { } first)
            ask.Headers.Range = new RangeHeaderValue(first, null);
        using var limit = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        int? status = null;
        try
        {
            var answer = await _invoker.SendAsync(ask, either.Token);
            status = (int)answer.StatusCode;
            _health.Answered(Kind);
            return answer;
        }
        catch (Exception exception) when (exception is HttpRequestException or UpstreamException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            var failure = Word(exception is OperationCanceledException ? ForwarderError.RequestTimedOut : ForwarderError.Request, exception);
            _logger.UpstreamFailed(method.Method, request.Repository.Value, exception.GetBaseException().Message);
            _health.Failed(Kind, failure.Message);
            throw new UpstreamFailedException(failure, exception);
        }
        finally
        {
            _metrics.Asked(Kind, status);
        }
    }

    /// <summary>Answers the client with an answer that was fetched, as <see cref="ForwardAsync"/> would have done.</summary>
    /// <exception cref="UpstreamFailedException">It must not be passed on; nothing of it has been.</exception>
    public async Task<UpstreamAnswer> AnswerAsync(
        HttpContext http, RepositoryRequest request, Permit permit, string publicOrigin, string realm, HttpResponseMessage answer)
    {
        var exchange = new RegistryExchange(_origin, request, permit, publicOrigin, realm);
        try
        {
            await exchange.TransformResponseAsync(http, answer, http.RequestAborted);
        }
        catch (Exception exception) when (exception is HttpRequestException or UpstreamException or IOException or InvalidOperationException) // the last: headers that no answer can have
        {
            http.Response.Clear();
            throw new UpstreamFailedException(Word(ForwarderError.ResponseHeaders, exception), exception);
        }

        try
        {
            if (!HttpMethods.IsHead(http.Request.Method))
                await answer.Content.CopyToAsync(http.Response.Body, http.RequestAborted);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            http.Abort(); // an answer cut short must not look whole
        }

        return new UpstreamAnswer(exchange.Status, null);
    }

    public void Dispose() => _invoker.Dispose();

    private static RegistryError Unfit(string header) => RegistryError.Unsupported($"the header {header} holds characters that are not ASCII");

    private static RegistryError Word(ForwarderError error, Exception? cause) => error switch
    {
        ForwarderError.RequestTimedOut => new RegistryError(504, "UNAVAILABLE", "Docker Hub did not answer in time"),
        _ when cause is UpstreamException => new RegistryError(502, "UNAVAILABLE", cause.Message),
        ForwarderError.RequestBodyClient => RegistryError.Unsupported("the request's body could not be read"),
        _ => new RegistryError(502, "UNAVAILABLE", "Docker Hub could not be reached"),
    };

    private static string Describe(ForwarderError error, Exception? cause) =>
        cause is null ? error.ToString() : $"{error}: {cause.GetType().Name}: {cause.GetBaseException().Message}";
}

/// <summary>Upstream has no answer to be passed on.</summary>
public sealed class UpstreamFailedException(RegistryError error, Exception cause) : Exception(error.Message, cause)
{
    /// <summary>What to tell the client.</summary>
    public RegistryError Error => error;
}

/// <summary>What became of a request to upstream.</summary>
/// <param name="Status">Upstream's status; null when there was no answer.</param>
/// <param name="Failure">What to tell the client, when its response could still be written.</param>
public sealed record UpstreamAnswer(int? Status, RegistryError? Failure)
{
    public static UpstreamAnswer Failed(RegistryError failure) => new(null, failure);
}
