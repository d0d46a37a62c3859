using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// Closes the audit event of an observed request whose decision is found only after the answer, so that neither the answer nor the next
/// request of its connection waits for the catalog.
/// </summary>
public sealed class LateDecisions(DecisionMetrics metrics, TimeProvider time, ILogger<LateDecisions> logger) : BackgroundService
{
    /// <summary>How many may be pending. Beyond this number a request writes its event at once, with the category unknown.</summary>
    private const int Capacity = 1000;

    private readonly Channel<Late> _pending = Channel.CreateBounded<Late>(Capacity);

    public void Add(AuditEntry entry, Task<AccessDecision> decision, long started)
    {
        // First a place in the queue, then the entry: without a place the request closes its entry itself.
        var late = new Late(decision, started, new TaskCompletionSource<Func<AccessDecision, ValueTask>>());
        if (_pending.Writer.TryWrite(late))
            late.Close.SetResult(entry.CloseLater());
    }

    /// <summary>Waits for what is pending; that takes seconds at most, because the catalog has a timeout.</summary>
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
