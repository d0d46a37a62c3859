using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Docker Hub's own word: the badge in <c>GET /v2/orgs/NAMESPACE/</c>, asked without credentials. A question takes five
/// seconds at most, three tries and the waiting for a slot included. After repeated failures nothing is asked for a moment.
/// </summary>
public sealed class HubCatalogSource : ICatalogSource
{
    /// <summary>Requests at once.</summary>
    public const int MaximumRequests = 4;

    /// <summary>Questions that may wait for a slot, of all callers.</summary>
    private const int MaximumWaiting = 1000;

    public static readonly TimeSpan KeepOrganization = TimeSpan.FromDays(1);
    public static readonly TimeSpan KeepOthers = TimeSpan.FromHours(1);
    public static readonly TimeSpan QuestionTimeout = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan BreakDuration = TimeSpan.FromSeconds(15);

    /// <summary>What every sentence about a failure begins with.</summary>
    private const string Subject = "the Hub API";

    /// <summary>What one try may take.</summary>
    private static readonly AnswerLimits Limits = new(64 * 1024, TimeSpan.FromSeconds(2));

    private readonly HubApi _hub;
    private readonly CatalogMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FairSlots _slots = new(MaximumRequests, MaximumWaiting, QuestionAllowance.UnderWay);
    private readonly CircuitBreakerStateProvider _circuit = new();
    private readonly ResiliencePipeline<CatalogAnswer> _question;
    private volatile string _brokenBy = "";

    public HubCatalogSource(HubApi hub, CatalogMetrics metrics, TimeProvider time, ILogger<HubCatalogSource> logger)
    {
        _hub = hub;
        _metrics = metrics;
        _time = time;
        _logger = logger;

        var failures = new PredicateBuilder<CatalogAnswer>().Handle<CatalogException>(failure => failure.IsTransient);
        _question = new ResiliencePipelineBuilder<CatalogAnswer> { TimeProvider = time }
            .AddTimeout(QuestionTimeout)
            .AddRetry(new RetryStrategyOptions<CatalogAnswer>
            {
                ShouldHandle = failures,
                MaxRetryAttempts = 2,
                Delay = TimeSpan.FromMilliseconds(200),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
            })
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<CatalogAnswer>
            {
                ShouldHandle = failures,
                FailureRatio = 0.5,
                MinimumThroughput = 4,
                SamplingDuration = TimeSpan.FromSeconds(30),
                BreakDuration = BreakDuration,
                StateProvider = _circuit,
                OnOpened = opened =>
                {
                    _brokenBy = opened.Outcome.Exception?.Message ?? "";
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
    }

    public NamespaceRecord? Find(string @namespace) => null;

    public async Task<CatalogAnswer?> AskAsync(string @namespace, ClientShare caller, CancellationToken cancellationToken)
    {
        try
        {
            return await _question.ExecuteAsync(async cancel => await TryAsync(@namespace, caller, cancel), cancellationToken);
        }
        catch (BrokenCircuitException)
        {
            throw Broken();
        }
        catch (HubBackoffException exception)
        {
            throw new CatalogException(exception.Message, exception);
        }
        catch (TimeoutRejectedException exception)
        {
            throw new CatalogException(
                $"{Subject} did not answer within {QuestionTimeout.TotalSeconds} s ({NetworkFailure.HostOf(_hub.Address)}; look at Upstream:Hub) for {@namespace}", exception);
        }
        catch (TooManyWaitingException exception)
        {
            throw new CatalogException($"too many questions wait for {Subject}", exception);
        }
    }

    private async Task<CatalogAnswer> TryAsync(string @namespace, ClientShare caller, CancellationToken cancellationToken)
    {
        _hub.ThrowIfBackingOff(); // nobody waits for a slot in vain
        using var slot = await _slots.EnterAsync(caller, cancellationToken);
        _hub.ThrowIfBackingOff();
        if (_circuit.CircuitState == CircuitState.Open)
            throw Broken();
        try
        {
            return await RequestAsync(@namespace, cancellationToken);
        }
        catch (UnansweredException exception)
        {
            throw new CatalogException($"{exception.Cause} for {@namespace}", exception) { IsTransient = !exception.IsTooLarge };
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException) // the last: half of a surrogate pair
        {
            throw new CatalogException($"{Subject} gave an answer for {@namespace} that is not readable: {exception.Message}", exception);
        }
    }

    private async Task<CatalogAnswer> RequestAsync(string @namespace, CancellationToken cancellationToken)
    {
        var answer = await GetAsync($"/v2/orgs/{@namespace}/", cancellationToken);
        return answer.Status switch
        {
            HttpStatusCode.OK => Answer(@namespace, ReadBadge(answer.Body, @namespace), KeepOrganization),
            HttpStatusCode.PermanentRedirect or HttpStatusCode.MovedPermanently when LeadsToUser(answer, @namespace) => NoBadge(),
            HttpStatusCode.NotFound when answer.MediaType != "text/html" => NoBadge() with { Exists = false }, // a page is somebody else's word
            var status => throw new CatalogException($"{Subject} answered {(int)status} for {@namespace}") { IsTransient = (int)status >= 500 },
        };

        CatalogAnswer NoBadge() => Answer(@namespace, NamespaceBadge.None, KeepOthers);
    }

    private async Task<HubAnswer> GetAsync(string path, CancellationToken cancellationToken)
    {
        int? status = null;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_hub.Address, path));
            var answer = await _hub.AskAsync(request, Limits, cancellationToken);
            status = (int)answer.Status;
            return answer;
        }
        catch (UnansweredException exception)
        {
            status = exception.Answered;
            throw;
        }
        catch (HubBackoffException exception)
        {
            status = exception.Status;
            throw;
        }
        finally
        {
            _metrics.Requested(status);
        }
    }

    private CatalogAnswer Answer(string @namespace, NamespaceBadge badge, TimeSpan keep)
    {
        var now = _time.GetUtcNow();
        return new(new NamespaceRecord(@namespace, badge, "hub", now), now + keep);
    }

    /// <summary>A badge that nobody knows is no badge; an answer about somebody else is none at all.</summary>
    private NamespaceBadge ReadBadge(ReadOnlyMemory<byte> body, string @namespace)
    {
        using var json = JsonDocument.Parse(body);
        if (json.RootElement.ValueKind != JsonValueKind.Object
            || !json.RootElement.TryGetProperty("orgname", out var name)
            || name.ValueKind != JsonValueKind.String
            || name.GetString() != @namespace)
            throw new CatalogException($"{Subject} gave an answer that is not about {@namespace}");

        if (!json.RootElement.TryGetProperty("badge", out var badge) || badge.ValueKind == JsonValueKind.Null)
            return NamespaceBadge.None;
        switch (badge.ValueKind == JsonValueKind.String ? badge.GetString() : badge.GetRawText())
        {
            case "verified_publisher":
                return NamespaceBadge.VerifiedPublisher;
            case "open_source":
                return NamespaceBadge.OpenSource;
            case "":
                return NamespaceBadge.None;
            case var text:
                _logger.UnknownBadge(@namespace, PrintableText.Of(text!));
                return NamespaceBadge.None;
        }
    }

    /// <summary>A personal account is no organization: the Hub API points to where it is.</summary>
    private static bool LeadsToUser(HubAnswer answer, string @namespace) => answer.Location?.AbsolutePath.TrimEnd('/') == $"/v2/users/{@namespace}";

    private CatalogException Broken() => new($"{Subject} fails repeatedly and is not asked for {BreakDuration.TotalSeconds} s; the last failure: {_brokenBy}");
}
