using System.Buffers;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Takes events from the queue and from the reserve and writes them in batches. It retries what cannot be written; as long as
/// the program runs, nothing that waits is lost.
/// </summary>
public sealed class AuditWriter(
    PendingEvents pending,
    AuditTrail trail,
    IAuditSink sink,
    AuditMetrics metrics,
    TimeProvider time,
    ILogger<AuditWriter> logger) : BackgroundService
{
    public static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>How long a sink that fails has to recover when the program stops.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long events gather after a batch, by the machine's own clock: under load a file is opened and written a hundred times a second,
    /// not ten thousand.
    /// </summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(10);

    /// <summary>A batch ends with the event that passes this size.</summary>
    private const int BatchSize = 64 * 1024;

    private readonly CancellationTokenSource _stopping = new(Timeout.InfiniteTimeSpan, time);
    private volatile string? _failure;

    /// <summary>Why nothing can be written at the moment; null while all is well.</summary>
    public string? Failure => _failure;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await sink.OpenAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Writes what is queued; a sink that fails has the grace to recover.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping.CancelAfter(Grace);
        trail.EndMerging();
        pending.Complete();
        if (ExecuteTask is { } writing)
            await writing;
        await base.StopAsync(cancellationToken);
    }

    public override void Dispose()
    {
        _stopping.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var buffer = new ArrayBufferWriter<byte>(2 * BatchSize);
        using var line = new AuditLine(buffer, pending.Names);
        while (await pending.WaitAsync())
        {
            buffer.ResetWrittenCount();
            var events = 0;
            while (buffer.WrittenCount < BatchSize && pending.TryTake(out var audit))
            {
                var before = buffer.WrittenCount;
                line.Write(audit);
                audit.Share?.Charge(buffer.WrittenCount - before);
                events++;
            }

            if (events > 0)
                await WriteAsync(buffer.WrittenMemory, events);
            if (pending.EndOverflow())
                logger.RoomAgain(metrics.DroppedInAll);
            if (!pending.IsFilling)
                await Task.Delay(Gathering, TimeProvider.System, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> lines, int events)
    {
        while (true)
        {
            var isLastAttempt = _stopping.IsCancellationRequested;
            try
            {
                await sink.WriteAsync(lines, _stopping.Token);
                metrics.Written(events);
                if (_failure is not null)
                    logger.WritingAgain();
                _failure = null;
                return;
            }
            catch (IOException exception)
            {
                Fail(exception);
            }

            if (isLastAttempt)
            {
                metrics.Lost(events);
                logger.LostAtShutdown(events);
                return;
            }

            await Task.Delay(RetryDelay, time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Fail(IOException exception)
    {
        metrics.WriteFailed();
        if (_failure != exception.Message)
            logger.CannotWrite(exception.Message);
        _failure = exception.Message;
    }
}
