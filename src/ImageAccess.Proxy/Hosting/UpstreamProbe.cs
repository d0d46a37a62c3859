using System.Collections.Concurrent;
using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Catalog;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// Asks each service of Docker Hub what it is: at the start, and each minute in which it has not answered or has failed. So a wrong address, a
/// captive portal or a filter on the way is known before somebody pulls. Nothing waits for it.
/// </summary>
internal sealed class UpstreamProbe : BackgroundService
{
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private static readonly AnswerLimits Limits = new(64 * 1024, TimeSpan.FromSeconds(10));

    private static readonly KeyValuePair<string, string>[] TokenParameters = [new("service", Challenge.DockerHubService)];

    private readonly DocumentExchange _registry;
    private readonly UpstreamTokens _tokens;
    private readonly HubApi _hub;
    private readonly CallerIdentifier _callers;
    private readonly UpstreamHealth _health;
    private readonly UpstreamOptions _options;
    private readonly bool _asksHub;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <summary>What of it is in the log, until it is over.</summary>
    private readonly ConcurrentDictionary<string, string> _told = new(StringComparer.Ordinal);

    public UpstreamProbe(
        UpstreamConnections connections,
        UpstreamTokens tokens,
        HubApi hub,
        CallerIdentifier callers,
        UpstreamHealth health,
        UpstreamMetrics metrics,
        IOptions<UpstreamOptions> options,
        IOptions<CatalogOptions> catalog,
        TimeProvider time,
        ILogger<UpstreamProbe> logger)
    {
        _registry = new DocumentExchange("registry", "the registry", "Upstream:Registry", connections, metrics, health: null, time);
        (_tokens, _hub, _callers, _health, _time, _logger) = (tokens, hub, callers, health, time, logger);
        _options = options.Value;
        _asksHub = catalog.Value.Hub;
    }

    public override void Dispose()
    {
        _registry.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!_options.Probe)
            return;
        using var timer = new PeriodicTimer(Interval, _time);
        do
        {
            await Task.WhenAll(
                ProbeAsync("registry", AskRegistryAsync, stoppingToken),
                ProbeAsync("token", AskTokenServiceAsync, stoppingToken),
                _asksHub ? ProbeAsync("hub", AskHubAsync, stoppingToken) : Task.CompletedTask);
            _logger.UpstreamAsked();
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <param name="ask">What is wrong with the service, in one sentence; null where it is what it should be.</param>
    private async Task ProbeAsync(string kind, Func<CancellationToken, Task<string?>> ask, CancellationToken cancellationToken)
    {
        if (_health.IsWell(kind, Interval))
            return;
        string? problem;
        try
        {
            problem = await ask(cancellationToken);
        }
        catch (UnansweredException exception)
        {
            problem = exception.Cause;
        }
        catch (HubBackoffException)
        {
            return; // it is there, and says so
        }

        if (problem is null)
        {
            _health.Answered(kind);
            if (_told.TryRemove(kind, out _))
                _logger.UpstreamAnswers(kind);
            return;
        }

        _health.Failed(kind, problem);
        if (_told.TryAdd(kind, problem))
            _logger.UpstreamIsWrong(problem);
    }

    /// <summary>The distribution specification's own question; it needs no token and costs no pull.</summary>
    private async Task<string?> AskRegistryAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_options.Registry, "/v2/"));
        var (status, isRegistry, mediaType) = await _registry.AskAsync(
            request,
            Limits,
            (answer, _) => Task.FromResult((answer.StatusCode, RegistryMark.IsOn(answer), answer.Content.Headers.ContentType?.MediaType)),
            cancellationToken);
        return ProblemOf(status, isRegistry, mediaType, "a registry", _options.Registry, "Upstream:Registry");
    }

    /// <summary>A token for nothing, which anybody gets. If the service has begun to sign with another key, that is learnt too.</summary>
    private async Task<string?> AskTokenServiceAsync(CancellationToken cancellationToken)
    {
        var answer = await _tokens.AskAsync(TokenParameters, basic: null, asForm: false, Limits.Time, cancellationToken);
        var token = answer.Status == HttpStatusCode.OK ? TokenAnswer.Read(answer.Body).Either : null;
        if (token is not null)
            _callers.LearnFrom(token);
        return ProblemOf(answer.Status, token is not null, answer.ContentType, "the token service", _options.Auth, "Upstream:Auth");
    }

    /// <summary>Any namespace will do: only the form of the answer is looked at.</summary>
    private async Task<string?> AskHubAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_hub.Address, "/v2/orgs/docker/"));
        var answer = await _hub.AskAsync(request, Limits, cancellationToken);
        var isApi = answer.Status < HttpStatusCode.InternalServerError && answer.MediaType == "application/json";
        return ProblemOf(answer.Status, isApi, answer.MediaType, "the Hub API", _hub.Address, "Upstream:Hub");
    }

    private static string? ProblemOf(HttpStatusCode status, bool isRight, string? mediaType, string service, Uri address, string key) =>
        isRight ? null
        : (int)status is 429 or >= 500 ? $"{NetworkFailure.HostOf(address)} answers {(int)status} in the place of {service}"
        : $"{NetworkFailure.HostOf(address)} does not answer as {service} does ({(int)status}, {mediaType ?? "no content type"}); look at {key} and at what answers there";
}
