using System.Net;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Forwarder;

namespace ImageAccess.Proxy.Upstream;

/// <summary>Docker Hub's registry. It is asked what was parsed, for those who show a permit.</summary>
public sealed class UpstreamRegistry : IDisposable
{
    private const string Kind = "registry";

    internal static readonly ProductInfoHeaderValue OwnUserAgent = new("ImageAccess.Proxy", "0.1");

    /// <summary>How long nothing may move, in either direction, before a request is given up.</summary>
    private static readonly ForwarderRequestConfig Config = new()
    {
        ActivityTimeout = TimeSpan.FromSeconds(100),
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        AllowResponseBuffering = false,
    };

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
        ILogger<UpstreamRegistry> logger)
    {
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
            return UpstreamAnswer.Failed(RegistryError.Unsupported($"the header {unfit} holds characters that are not ASCII"));

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

    public void Dispose() => _invoker.Dispose();

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

/// <summary>What became of a request to upstream.</summary>
/// <param name="Status">Upstream's status; null when there was no answer.</param>
/// <param name="Failure">What to tell the client, when its response could still be written.</param>
public sealed record UpstreamAnswer(int? Status, RegistryError? Failure)
{
    internal static UpstreamAnswer Failed(RegistryError failure) => new(null, failure);
}
