using System.Threading.Channels;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>Events on their way from requests to the writer, in bounded memory.</summary>
public sealed class PendingEvents : IDisposable
{
    public const int DefaultCapacity = 8192;

    /// <summary>How long an event waits for room after the program begins to stop.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly Channel<AuditEvent> _channel;
    private readonly CancellationTokenSource _grace;
    private readonly int _capacity;
    private readonly Lock _gate = new();
    private Task _settled = Task.CompletedTask;
    private int _overflowing;

    public PendingEvents(int capacity, TimeProvider time)
    {
        _capacity = capacity;
        _channel = Channel.CreateBounded<AuditEvent>(new BoundedChannelOptions(capacity) { SingleReader = true });
        _grace = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
    }

    public int Count => _channel.Reader.Count;

    /// <summary>An event found no room, and half of the queue is not yet free again.</summary>
    public bool IsOverflowing => Volatile.Read(ref _overflowing) != 0;

    /// <summary>A quarter of the queue is full: it is time to write.</summary>
    internal bool IsFilling => Count > _capacity / 4;

    internal ChannelReader<AuditEvent> Reader => _channel.Reader;

    /// <summary>Completes when no event waits in the background: each has found room, or the grace has ended.</summary>
    internal Task Settled
    {
        get
        {
            lock (_gate)
                return _settled;
        }
    }

    public bool TryAdd(AuditEvent audit) => _channel.Writer.TryWrite(audit);

    /// <summary>Waits for room; false when the program stopped first.</summary>
    public async ValueTask<bool> AddAsync(AuditEvent audit)
    {
        try
        {
            await _channel.Writer.WriteAsync(audit, _grace.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (ChannelClosedException)
        {
            return false;
        }
    }

    /// <summary>An event waits for room in the background; <see cref="Settled"/> waits for it.</summary>
    internal void Settle(Task waiting)
    {
        lock (_gate)
            _settled = _settled.IsCompleted ? waiting : Task.WhenAll(_settled, waiting);
    }

    /// <summary>True for the first event that found no room.</summary>
    public bool BeginOverflow() => Interlocked.Exchange(ref _overflowing, 1) == 0;

    /// <summary>True once, when half of the queue is free again.</summary>
    public bool EndOverflow() => IsOverflowing && Count <= _capacity / 2 && Interlocked.Exchange(ref _overflowing, 0) == 1;

    /// <summary>The program begins to stop: events wait for room no longer than the grace.</summary>
    public void BeginGrace() => _grace.CancelAfter(Grace);

    /// <summary>No more events come; those in the queue can still be read.</summary>
    public void Complete() => _channel.Writer.TryComplete();

    public void Dispose() => _grace.Dispose();
}
