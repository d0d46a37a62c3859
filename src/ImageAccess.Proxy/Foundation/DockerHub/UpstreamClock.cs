using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// How far this machine's clock is from Docker Hub's, by the <c>Date</c> of its answers (RFC 9110, section 6.6.1). The difference is told and
/// nothing is judged by it: a date that somebody forged must not make an expired token valid.
/// </summary>
public sealed class UpstreamClock(TimeProvider time, ILogger<UpstreamClock> logger) : IHealthCheck
{
    /// <summary>A difference up to this one is not told: a date has whole seconds, and answers take their time.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(20);

    /// <summary>How soon the difference is logged again while it lasts.</summary>
    public static readonly TimeSpan LogInterval = TimeSpan.FromHours(1);

    /// <summary>An answer says nothing of the clock any more after this time.</summary>
    public static readonly TimeSpan MaximumAge = TimeSpan.FromMinutes(10);

    /// <summary>The last answer of each service.</summary>
    private readonly ConcurrentDictionary<string, Reading> _readings = new(StringComparer.Ordinal);

    private readonly Lock _telling = new();
    private long? _told;

    /// <summary>
    /// How far this clock is ahead, and negative where it is behind; zero within the tolerance. It is the median of what the services of
    /// Docker Hub say, and of two of them the smaller difference: one wrong or cached date alone does not count beside a right one.
    /// </summary>
    public TimeSpan Skew
    {
        get
        {
            var ahead = _readings.Values.Where(reading => time.GetElapsedTime(reading.At) < MaximumAge).Select(reading => reading.Ahead).Order().ToList();
            if (ahead.Count == 0)
                return TimeSpan.Zero;
            var (low, high) = (ahead[(ahead.Count - 1) / 2], ahead[ahead.Count / 2]);
            var median = low > TimeSpan.Zero ? low : high < TimeSpan.Zero ? high : TimeSpan.Zero;
            return median.Duration() > Tolerance ? median : TimeSpan.Zero;
        }
    }

    private DateTimeOffset Now => time.GetUtcNow();

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(
        Skew is var skew && skew == TimeSpan.Zero
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Degraded($"this machine's clock is {Describe(skew)} Docker Hub's: set it; tokens look expired or not yet valid"));

    /// <summary>Looks at every answer that comes by this handler.</summary>
    /// <param name="kind">The service that answers.</param>
    internal HttpMessageHandler On(HttpMessageHandler handler, string kind) => new Watching(this, kind) { InnerHandler = handler };

    /// <param name="date">What the answer says; null where it says nothing.</param>
    /// <param name="sent">This clock when the request was sent: between then and now the answer was made.</param>
    internal void Read(string kind, DateTimeOffset? date, DateTimeOffset sent)
    {
        if (date is not { } theirs)
            return;
        var now = Now;
        var ahead = sent > theirs ? sent - theirs : now < theirs ? now - theirs : TimeSpan.Zero;
        _readings[kind] = new Reading(ahead, time.GetTimestamp());
        if (ahead.Duration() > Tolerance || _told is not null)
            Tell(Skew);
    }

    private void Tell(TimeSpan skew)
    {
        lock (_telling)
        {
            if (skew == TimeSpan.Zero)
            {
                if (_told is not null)
                    logger.ClockIsRight();
                _told = null;
            }
            else if (_told is null || time.GetElapsedTime(_told.Value) >= LogInterval)
            {
                logger.ClockIsWrong(Describe(skew));
                _told = time.GetTimestamp();
            }
        }
    }

    private static string Describe(TimeSpan skew) =>
        $"{skew.Duration().ToString(skew.Duration() < TimeSpan.FromDays(1) ? @"h\:mm\:ss" : @"d\.hh\:mm\:ss", CultureInfo.InvariantCulture)} {(skew > TimeSpan.Zero ? "ahead of" : "behind")}";

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Reading(TimeSpan Ahead, long At);

    private sealed class Watching(UpstreamClock clock, string kind) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var sent = clock.Now;
            var answer = await base.SendAsync(request, cancellationToken);
            if (answer.Headers.Age is null) // with an age the answer was kept by somebody on the way
                clock.Read(kind, answer.Headers.Date, sent);
            return answer;
        }
    }
}
