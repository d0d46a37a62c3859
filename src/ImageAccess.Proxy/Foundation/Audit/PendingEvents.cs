using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Events on their way from requests to the writer, in bounded memory: a queue for a number of events and, for those that must not be
/// dropped when it is full, a reserve for a number of bytes.
/// </summary>
public sealed class PendingEvents(int capacity, TimeProvider time, int reserve = PendingEvents.DefaultReserve)
{
    public const int DefaultCapacity = 8192;

    /// <summary>What the reserve holds, in bytes of lines.</summary>
    public const int DefaultReserve = 8 * 1024 * 1024;

    /// <summary>How long an event waits for room in the queue before it goes to the reserve, if its client stays so long.</summary>
    public static readonly TimeSpan MaximumWait = TimeSpan.FromSeconds(2);

    /// <summary>Wakes the writer: there is something in the reserve.</summary>
    private static readonly AuditEvent Wake = new WrittenEvent("", default, ReadOnlyMemory<byte>.Empty);

    private readonly Channel<AuditEvent> _channel =
        Channel.CreateBounded<AuditEvent>(new BoundedChannelOptions(capacity) { SingleReader = true });

    private readonly Lock _gate = new();
    private readonly Queue<WrittenEvent> _reserve = new();
    private int _reserved;
    private long _reservedBytes;
    private int _overflowing;
    private int _losing;
    private volatile bool _completed;

    /// <summary>What stands for callers in the lines.</summary>
    internal CallerNames Names { get; init; } = CallerNames.Plain;

    /// <summary>Nothing is taken any more.</summary>
    public bool IsCompleted => _completed;

    public int Count => _channel.Reader.Count + Reserved;

    /// <summary>Events in the reserve.</summary>
    public int Reserved => Volatile.Read(ref _reserved);

    /// <summary>An event found no room, and half of the queue is not yet free again, or something is still in the reserve.</summary>
    public bool IsOverflowing => Volatile.Read(ref _overflowing) != 0;

    /// <summary>The reserve was full as well, and the queue still overflows.</summary>
    public bool IsLosing => Volatile.Read(ref _losing) != 0;

    /// <summary>A quarter of the queue is full: it is time to write.</summary>
    internal bool IsFilling => Count > capacity / 4;

    public bool TryAdd(AuditEvent audit) => _channel.Writer.TryWrite(audit);

    /// <summary>Waits for room in the queue; false when there was none in time, or when the client has gone.</summary>
    public async ValueTask<bool> TryAddAsync(AuditEvent audit, CancellationToken client)
    {
        using var limit = new CancellationTokenSource(MaximumWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, client);
        try
        {
            await _channel.Writer.WriteAsync(audit, either.Token);
            return true;
        }
        catch (Exception exception) when (exception is OperationCanceledException or ChannelClosedException)
        {
            return false;
        }
    }

    /// <summary>Puts the event's line into the reserve; false when that is full, or when the writer has ended.</summary>
    /// <param name="audit">The event.</param>
    /// <param name="always">However much is in it: for the few events of the program itself.</param>
    public bool TryReserve(AuditEvent audit, bool always = false)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var line = new AuditLine(bytes, Names))
            line.Write(audit);
        lock (_gate)
        {
            if (_completed || (!always && _reservedBytes + bytes.WrittenCount > reserve))
                return false;
            _reserve.Enqueue(new WrittenEvent(audit.Id, audit.Time, bytes.WrittenMemory) { Share = audit.Share });
            _reservedBytes += bytes.WrittenCount;
            Volatile.Write(ref _reserved, _reserve.Count);
        }

        _channel.Writer.TryWrite(Wake); // in a full queue the writer comes by anyway
        return true;
    }

    /// <summary>Waits for something to write; false when nothing will come any more.</summary>
    internal async ValueTask<bool> WaitAsync() => await _channel.Reader.WaitToReadAsync(CancellationToken.None) || Reserved > 0;

    /// <summary>The next event; what is in the reserve comes first, so that a busy queue cannot hold it up.</summary>
    internal bool TryTake([NotNullWhen(true)] out AuditEvent? audit)
    {
        if (Reserved > 0)
        {
            lock (_gate)
            {
                var written = _reserve.Dequeue();
                _reservedBytes -= written.Line.Length;
                Volatile.Write(ref _reserved, _reserve.Count);
                audit = written;
                return true;
            }
        }

        while (_channel.Reader.TryRead(out audit))
        {
            if (audit != Wake)
                return true;
        }

        return false;
    }

    /// <summary>True for the first event that found no room.</summary>
    public bool BeginOverflow() => Interlocked.Exchange(ref _overflowing, 1) == 0;

    /// <summary>True for the first event that is lost since the queue overflows.</summary>
    public bool BeginLoss() => Interlocked.Exchange(ref _losing, 1) == 0;

    /// <summary>True once, when half of the queue is free again and the reserve is empty.</summary>
    public bool EndOverflow()
    {
        if (!IsOverflowing || Count > capacity / 2 || Reserved > 0)
            return false;
        Volatile.Write(ref _losing, 0);
        return Interlocked.Exchange(ref _overflowing, 0) == 1;
    }

    /// <summary>No more events come; those that wait can still be taken.</summary>
    public void Complete()
    {
        lock (_gate)
            _completed = true;
        _channel.Writer.TryComplete();
    }
}
