using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// What an organization that only observes would have decided, where that is found after the answer:
/// neither the answer nor the next request of its connection waits.
/// </summary>
public sealed class LateDecisions(DecisionMetrics metrics, TimeProvider time, ILogger<LateDecisions> logger) : BackgroundService
{
    /// <summary>How many may be pending. Beyond it a request leaves its event at once, its category unknown.</summary>
    private const int Capacity = 1000;

    private readonly Channel<Late> _pending = Channel.CreateBounded<Late>(Capacity);

    public void Add(AuditEntry entry, Task<AccessDecision> decision, long started)
    {
        // The place is taken before the entry is closed: without one it stays the request's own.
        var late = new Late(decision, started, new TaskCompletionSource<Func<AccessDecision, ValueTask>>());
        if (_pending.Writer.TryWrite(late))
            late.Close.SetResult(entry.CloseLater());
    }

    /// <summary>Waits for what is pending; the catalog gives up after seconds.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _pending.Writer.TryComplete();
        if (ExecuteTask is { } closing)
            await closing.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var late in _pending.Reader.ReadAllAsync(CancellationToken.None))
        {
            try
            {
                var decision = await late.Decision;
                metrics.Decided(decision, time.GetElapsedTime(late.Started));
                await (await late.Close.Task)(decision);
            }
            catch (Exception exception)
            {
                logger.LateDecisionFailed(exception);
            }
        }
    }

    private sealed record Late(Task<AccessDecision> Decision, long Started, TaskCompletionSource<Func<AccessDecision, ValueTask>> Close);
}

internal static partial class DecisionsLog
{
    [LoggerMessage(1, LogLevel.Error, "What would have been decided was not found")]
    public static partial void LateDecisionFailed(this ILogger logger, Exception exception);
}
