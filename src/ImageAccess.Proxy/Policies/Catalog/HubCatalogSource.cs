using System.Globalization;
using System.Net;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Options;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Docker Hub's own word: the badge in <c>GET /v2/orgs/NAMESPACE/</c>, asked without credentials. A question takes five
/// seconds at most, three tries and the waiting for a slot included; who fails repeatedly is left alone for a moment,
/// and who asks for silence gets it.
/// </summary>
public sealed class HubCatalogSource : ICatalogSource
{
    public const string ClientName = "hub-api";

    /// <summary>What every sentence about a failure begins with.</summary>
    private const string Subject = "the Hub API";

    /// <summary>Requests at once.</summary>
    public const int MaximumRequests = 4;

    /// <summary>Questions that may wait for a slot, of all callers.</summary>
    private const int MaximumWaiting = 1000;

    /// <summary>What an answer may measure, in bytes.</summary>
    private const int MaximumAnswer = 64 * 1024;

    public static readonly TimeSpan KeepOrganization = TimeSpan.FromDays(1);
    public static readonly TimeSpan KeepOthers = TimeSpan.FromHours(1);
    public static readonly TimeSpan TryTimeout = TimeSpan.FromSeconds(2);
    public static readonly TimeSpan QuestionTimeout = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan BreakDuration = TimeSpan.FromSeconds(15);

    /// <summary>The shortest and the longest silence that is kept, and the one for who names none.</summary>
    public static readonly TimeSpan MinimumSilence = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan MaximumSilence = TimeSpan.FromHours(1);
    private static readonly TimeSpan DefaultSilence = TimeSpan.FromMinutes(1);

    private readonly IHttpClientFactory _clients;
    private readonly Uri _address;
    private readonly CatalogMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FairSlots _slots = new(MaximumRequests, MaximumWaiting);
    private readonly CircuitBreakerStateProvider _circuit = new();
    private readonly ResiliencePipeline<CatalogAnswer> _question;
    private readonly ResiliencePipeline<CatalogAnswer> _try;
    private volatile string _brokenBy = "";
    private long _silentUntil;

    public HubCatalogSource(
        IHttpClientFactory clients, IOptions<CatalogOptions> options, CatalogMetrics metrics, TimeProvider time, ILogger<HubCatalogSource> logger)
    {
        _clients = clients;
        _address = options.Value.HubAddress;
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
                    _brokenBy = opened.Outcome.Exception?.Message[(Subject.Length + 1)..] ?? "";
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
        _try = new ResiliencePipelineBuilder<CatalogAnswer> { TimeProvider = time }.AddTimeout(TryTimeout).Build();
    }

    public NamespaceRecord? Find(string @namespace) => null;

    public async Task<CatalogAnswer?> AskAsync(string @namespace, string caller, CancellationToken cancellationToken)
    {
        try
        {
            return await _question.ExecuteAsync(async cancel => await TryAsync(@namespace, caller, cancel), cancellationToken);
        }
        catch (BrokenCircuitException)
        {
            throw LeftAlone();
        }
        catch (TimeoutRejectedException exception)
        {
            throw new CatalogException($"{Subject} did not answer in time for {@namespace}", exception);
        }
        catch (TooManyWaitingException exception)
        {
            throw new CatalogException($"too many questions wait for {Subject}", exception);
        }
    }

    private async Task<CatalogAnswer> TryAsync(string @namespace, string caller, CancellationToken cancellationToken)
    {
        KeepSilence();
        using var slot = await _slots.EnterAsync(caller, cancellationToken);
        KeepSilence();
        if (_circuit.CircuitState == CircuitState.Open)
            throw LeftAlone();

        try
        {
            return await _try.ExecuteAsync(async cancel => await RequestAsync(@namespace, cancel), cancellationToken);
        }
        catch (TimeoutRejectedException exception)
        {
            throw new CatalogException($"{Subject} did not answer in time for {@namespace}", exception) { IsTransient = true };
        }
    }

    private async Task<CatalogAnswer> RequestAsync(string @namespace, CancellationToken cancellationToken)
    {
        int? status = null;
        try
        {
            using var client = _clients.CreateClient(ClientName);
            using var response = await client.GetAsync(
                new Uri(_address, $"/v2/orgs/{@namespace}/"), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            status = (int)response.StatusCode;
            switch (response.StatusCode)
            {
                case HttpStatusCode.OK:
                    await response.Content.LoadIntoBufferAsync(MaximumAnswer, cancellationToken);
                    return Answer(@namespace, ReadBadge(await response.Content.ReadAsByteArrayAsync(cancellationToken), @namespace), KeepOrganization);
                case HttpStatusCode.PermanentRedirect or HttpStatusCode.MovedPermanently when LeadsToUser(response, @namespace):
                case HttpStatusCode.NotFound when response.Content.Headers.ContentType?.MediaType != "text/html": // a page is somebody else's word
                    return Answer(@namespace, NamespaceBadge.None, KeepOthers);
                case HttpStatusCode.TooManyRequests:
                    BeginSilence(response);
                    break;
                case >= HttpStatusCode.InternalServerError when AskedSilence(response) is not null:
                    BeginSilence(response);
                    break;
            }

            throw new CatalogException($"{Subject} answered {status} for {@namespace}") { IsTransient = status >= 500 && !IsSilent };
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException) // the last: half of a surrogate pair
        {
            throw new CatalogException($"{Subject} gave an answer for {@namespace} that is not readable: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var isTooLong = exception is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded };
            throw new CatalogException($"{Subject} could not be read for {@namespace}: {exception.Message}", exception) { IsTransient = !isTooLong };
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
    private static bool LeadsToUser(HttpResponseMessage response, string @namespace) =>
        response.Headers.Location is { } location
        && Uri.TryCreate(response.RequestMessage!.RequestUri, location, out var aim)
        && aim.AbsolutePath.TrimEnd('/') == $"/v2/users/{@namespace}";

    private DateTimeOffset SilentUntil => new(Volatile.Read(ref _silentUntil), TimeSpan.Zero);

    private bool IsSilent => _time.GetUtcNow() < SilentUntil;

    private void KeepSilence()
    {
        if (IsSilent)
            throw new CatalogException($"{Subject} asks for silence until {SilentUntil:u}");
    }

    private CatalogException LeftAlone() => new($"{Subject} fails repeatedly and is left alone for a moment; the last time it {_brokenBy}");

    private void BeginSilence(HttpResponseMessage response)
    {
        var now = _time.GetUtcNow();
        var asked = AskedSilence(response) ?? now + DefaultSilence;
        var until = asked < now + MinimumSilence ? now + MinimumSilence : asked > now + MaximumSilence ? now + MaximumSilence : asked;
        var before = Volatile.Read(ref _silentUntil);
        while (until.UtcTicks > before)
        {
            var seen = Interlocked.CompareExchange(ref _silentUntil, until.UtcTicks, before);
            if (seen == before)
            {
                _logger.Silenced(until);
                return;
            }

            before = seen;
        }
    }

    /// <summary>The later of <c>X-Retry-After</c> (a unix time) and <c>Retry-After</c> (seconds or a date); null without either.</summary>
    private DateTimeOffset? AskedSilence(HttpResponseMessage response)
    {
        DateTimeOffset? until = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => _time.GetUtcNow() + (delta < MaximumSilence ? delta : MaximumSilence),
            { Date: { } date } => date,
            _ => null,
        };
        if (response.Headers.TryGetValues("X-Retry-After", out var values)
            && long.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            && seconds is > 0 and < 253402300800) // the year 10000
        {
            var named = DateTimeOffset.FromUnixTimeSeconds(seconds);
            until = until > named ? until : named;
        }

        return until;
    }
}
