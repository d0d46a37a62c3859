using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// Docker Hub's HTTP API (<c>hub.docker.com</c>): the one type that asks it. When it tells one caller to come back later,
/// no caller asks it before: its limits count the requests of this address, whatever they are for.
/// </summary>
public sealed class HubApi : IDisposable
{
    /// <summary>The shortest and the longest time in which nobody asks, and the one for an answer that names none.</summary>
    public static readonly TimeSpan MinimumBackoff = TimeSpan.FromSeconds(5);
    public static readonly TimeSpan MaximumBackoff = TimeSpan.FromHours(1);
    public static readonly TimeSpan DefaultBackoff = TimeSpan.FromMinutes(1);

    /// <summary>The longest wait that is believed at all.</summary>
    public static readonly TimeSpan MaximumRetryAfter = TimeSpan.FromDays(1);

    private readonly DocumentExchange _exchange;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private long _backoffUntil;

    public HubApi(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, TimeProvider time, ILogger<HubApi> logger)
    {
        _exchange = new DocumentExchange("hub", "the Hub API", "Upstream:Hub", connections, metrics, health: null, time);
        _time = time;
        _logger = logger;
        Address = options.Value.Hub;
    }

    public Uri Address { get; }

    private DateTimeOffset BackoffUntil => new(Volatile.Read(ref _backoffUntil), TimeSpan.Zero);

    /// <exception cref="HubBackoffException">It has asked us to back off until a moment that is still to come.</exception>
    public void ThrowIfBackingOff()
    {
        var until = BackoffUntil;
        if (_time.GetUtcNow() < until)
            throw new HubBackoffException(until, until, status: null);
    }

    /// <summary>Asks once; of an answer that is not 200 the body is not read.</summary>
    /// <param name="request">An address below <see cref="Address"/>.</param>
    /// <param name="limits">What the answer may take.</param>
    /// <param name="cancellationToken">The asker's leaving.</param>
    /// <exception cref="HubBackoffException">It asks us to back off, or has done so before.</exception>
    /// <exception cref="UnansweredException">It could not be reached or did not answer in time, or its answer broke off or is too large.</exception>
    internal Task<HubAnswer> AskAsync(HttpRequestMessage request, AnswerLimits limits, CancellationToken cancellationToken)
    {
        ThrowIfBackingOff();
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        return _exchange.AskAsync(request, limits, (response, cancel) => ReadAsync(response, limits, cancel), cancellationToken);
    }

    public void Dispose() => _exchange.Dispose();

    private async Task<HubAnswer> ReadAsync(HttpResponseMessage response, AnswerLimits limits, CancellationToken cancellationToken)
    {
        var status = response.StatusCode;
        var now = _time.GetUtcNow();
        var wait = ReadRetryAfter(response.Headers, now);
        if (status == HttpStatusCode.TooManyRequests || (status >= HttpStatusCode.InternalServerError && wait is not null))
            throw BackOff((int)status, wait ?? DefaultBackoff, now);

        return new HubAnswer(
            status,
            response.Content.Headers.ContentType?.MediaType,
            response.Headers.Location is { } location && Uri.TryCreate(response.RequestMessage!.RequestUri, location, out var aim) ? aim : null,
            status == HttpStatusCode.OK ? await DocumentExchange.ReadBodyAsync(response, limits, cancellationToken) : default);
    }

    private HubBackoffException BackOff(int status, TimeSpan wait, DateTimeOffset now)
    {
        var until = now + Clamp(wait, MaximumBackoff);
        lock (_gate)
        {
            if (until > BackoffUntil)
            {
                Volatile.Write(ref _backoffUntil, until.UtcTicks);
                _logger.HubApiBackoff(until);
            }
        }

        return new HubBackoffException(until, now + Clamp(wait, MaximumRetryAfter), status);
    }

    private static TimeSpan Clamp(TimeSpan wait, TimeSpan maximum) => wait < MinimumBackoff ? MinimumBackoff : wait > maximum ? maximum : wait;

    /// <summary>The longer of <c>X-Retry-After</c> (a unix time) and <c>Retry-After</c> (seconds or a date); null without either.</summary>
    private static TimeSpan? ReadRetryAfter(HttpResponseHeaders headers, DateTimeOffset now)
    {
        TimeSpan? wait = headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - now,
            _ => null,
        };
        if (headers.TryGetValues("X-Retry-After", out var values)
            && long.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            var latest = (now + MaximumRetryAfter).ToUnixTimeSeconds();
            var named = DateTimeOffset.FromUnixTimeSeconds(Math.Min(seconds, latest)) - now;
            wait = wait > named ? wait : named;
        }

        return wait;
    }
}

/// <summary>What the Hub API answered.</summary>
/// <param name="MediaType">Of the body, as the answer names it.</param>
/// <param name="Location">Where a redirect leads, made absolute; it is not followed.</param>
/// <param name="Body">Empty unless the status is 200.</param>
internal sealed record HubAnswer(HttpStatusCode Status, string? MediaType, Uri? Location, ReadOnlyMemory<byte> Body);

/// <summary>The Hub API asks us to back off.</summary>
/// <param name="until">Nobody asks it before.</param>
/// <param name="retryAt">The moment that it named, at most a day ahead: work in the background may wait for as long.</param>
/// <param name="status">Of the answer that said so; null where it was not asked, because of an answer before.</param>
public sealed class HubBackoffException(DateTimeOffset until, DateTimeOffset retryAt, int? status)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"the Hub API asks us to back off until {until:u}"))
{
    public DateTimeOffset Until => until;

    public DateTimeOffset RetryAt => retryAt;

    public int? Status => status;
}
