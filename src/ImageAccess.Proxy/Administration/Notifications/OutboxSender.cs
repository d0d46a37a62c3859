using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// Tells each receiver what waits for it, one after the other; a receiver that hangs holds up no other. What it does not take is tried again, ever more
/// rarely. Of several replicas one tries at a time. A process that is killed between the receiver's word and noting it tells it again, under the same id.
/// </summary>
internal sealed class OutboxSender(Receivers receivers, SqlDatabase database, DatabaseState state, NotificationMetrics metrics, TimeProvider time, ILogger<OutboxSender> logger)
    : BackgroundService, IHealthCheck
{
    /// <summary>How often the outbox is looked at where nobody tells of anything: other replicas write too.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    /// <summary>Longer than any try.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);

    public static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan LongestRetry = TimeSpan.FromHours(1);

    /// <summary>How long a receiver that fails is left alone, whatever waits for it.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>How long a receiver may fail before that is a concern.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(15);

    private readonly Dictionary<string, Course> _courses = receivers.All.ToDictionary(receiver => receiver.Name, _ => new Course());

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var concerns = _courses.Select(course => course.Value.Concern(Shown(course.Key), time.GetUtcNow())).OfType<string>().ToList();
        return Task.FromResult(concerns.Count == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(string.Join("; ", concerns)));
    }

    /// <summary>Tries one that is due.</summary>
    /// <returns>Whether there was one, and it was taken.</returns>
    internal async Task<bool> SendNextAsync(IReceiver receiver, CancellationToken cancellationToken)
    {
        var next = await database.ReadAsync(context => new OutboxTable(context).FindNextAsync(receiver.Name, cancellationToken), cancellationToken);
        if (next is null || next > time.GetUtcNow())
            return false;
        OutboxRow? row = null;
        await database.WriteAsync(
            async context => row = await new OutboxTable(context).ClaimAsync(receiver.Name, Guid.NewGuid().ToString("N"), time.GetUtcNow(), Lease, cancellationToken),
            cancellationToken);
        return row is not null && await TryAsync(receiver, row, cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (receivers.All.Count == 0)
            return;
        await state.Ready.WaitAsync(stoppingToken);
        await Task.WhenAll(receivers.All.Select(receiver => ServeAsync(receiver, stoppingToken)));
    }

    private async Task ServeAsync(IReceiver receiver, CancellationToken cancellationToken)
    {
        var course = _courses[receiver.Name];
        while (true)
        {
            var wait = Period;
            try
            {
                while (await SendNextAsync(receiver, cancellationToken))
                {
                    // There may be more.
                }

                course.GivenUp = (await database.ReadAsync(
                    context => new OutboxTable(context).CountGivenUpAsync(time.GetUtcNow() - TimeSpan.FromDays(1), cancellationToken), cancellationToken)).GetValueOrDefault(receiver.Name);
                wait = await NextWaitAsync(receiver, cancellationToken);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return; // whatever the stop broke off is no failure
            }
            catch (Exception exception)
            {
                if (state.Concern is null)
                    logger.NotRead(database.Name, database.Explain(exception));
                state.Wake(); // what it lacks may be made
            }

            if (course.Failures > 0)
                await Task.Delay(Least(Backoff(course.Failures), LongestPause), time, cancellationToken);
            else
                await receivers.WaitAsync(receiver, wait, time, cancellationToken);
        }
    }

    private async Task<TimeSpan> NextWaitAsync(IReceiver receiver, CancellationToken cancellationToken)
    {
        var next = await database.ReadAsync(context => new OutboxTable(context).FindNextAsync(receiver.Name, cancellationToken), cancellationToken);
        var wait = next - time.GetUtcNow();
        return wait is null || wait > Period ? Period : wait > FirstRetry ? wait.Value : FirstRetry;
    }

    private async Task<bool> TryAsync(IReceiver receiver, OutboxRow row, CancellationToken cancellationToken)
    {
        var course = _courses[receiver.Name];
        var refusal = Notice.Read(Encoding.UTF8.GetBytes(row.Content)) is { } notice
            ? await AskAsync(receiver, notice, cancellationToken)
            : new Refusal("cannot be told what the outbox has: it is no notification");
        var now = time.GetUtcNow();
        var next = now + Longest(refusal?.After ?? TimeSpan.Zero, Backoff(row.Tries));
        var isGivenUp = refusal is not null && next - DateTimeOffset.FromUnixTimeMilliseconds(row.CreatedMilliseconds) > Notice.Lifetime;
        metrics.Tried(receiver.Name, refusal is null ? "sent" : isGivenUp ? "given-up" : "failed");
        if (refusal is null && course.Recover())
            logger.WorksAgain(Shown(receiver.Name));
        if (refusal is not null && course.Fail(now, refusal.Cause))
            logger.Refused(Shown(receiver.Name), refusal.Cause);
        if (isGivenUp)
            logger.GivenUp(row.Id, Shown(receiver.Name), refusal!.Cause);
        await database.WriteAsync(
            context => new OutboxTable(context).SettleAsync(row, refusal is null, isGivenUp ? null : next, now, cancellationToken), cancellationToken);
        return refusal is null;
    }

    /// <summary>Whatever goes wrong with one is told as its failure, by its kind: the text of an unknown exception may have anything in it.</summary>
    private static async Task<Refusal?> AskAsync(IReceiver receiver, Notice notice, CancellationToken cancellationToken)
    {
        try
        {
            return await receiver.SendAsync(notice, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return new Refusal($"failed: {exception.GetType().Name}");
        }
    }

    internal static TimeSpan Backoff(int tries) => Least(FirstRetry * Math.Pow(2, Math.Clamp(tries - 1, 0, 20)), LongestRetry);

    private static TimeSpan Least(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private static TimeSpan Longest(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private static string Shown(string receiver) => $"{NotificationOptions.Section}:{receiver}";

    /// <summary>How it goes with one receiver.</summary>
    private sealed class Course
    {
        private readonly Lock _gate = new();
        private DateTimeOffset _since;
        private string _cause = "";

        /// <summary>Tries that failed since one did not.</summary>
        public int Failures { get; private set; }

        /// <summary>How many it did not take within their time, in the last day.</summary>
        public int GivenUp { get; set; }

        /// <returns>Whether it is the first.</returns>
        public bool Fail(DateTimeOffset now, string cause)
        {
            lock (_gate)
            {
                (_cause, _since) = (cause, Failures == 0 ? now : _since);
                return ++Failures == 1;
            }
        }

        /// <returns>Whether it had failed.</returns>
        public bool Recover()
        {
            lock (_gate)
            {
                var had = Failures > 0;
                Failures = 0;
                return had;
            }
        }

        public string? Concern(string name, DateTimeOffset now)
        {
            lock (_gate)
            {
                var fails = Failures > 0 && now - _since >= Tolerance ? $"{name} {_cause}; notifications wait for it" : null;
                var lost = GivenUp > 0 ? $"{name} did not take {GivenUp} notifications of the last day within {Notice.Lifetime.TotalDays:0} days: they are given up" : null;
                return (fails, lost) is ({ } first, { } second) ? $"{first}; {second}" : fails ?? lost;
            }
        }
    }
}
