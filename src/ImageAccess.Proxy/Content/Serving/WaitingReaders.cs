namespace ImageAccess.Proxy.Content.Serving;

/// <summary>The readers who wait for a byte of a download. Nothing is done for one who waits until its byte is there.</summary>
internal sealed class WaitingReaders
{
    private readonly Lock _gate = new();
    private readonly SortedSet<Waiting> _all = new(Comparer<Waiting>.Create((one, other) => one.Place.CompareTo(other.Place)));
    private long _waits;

    /// <summary>Completes when the byte at this offset is settled.</summary>
    public async Task WaitAsync(long offset, Func<long, bool> isSettled, CancellationToken cancellationToken)
    {
        Waiting waiting;
        lock (_gate)
        {
            if (isSettled(offset))
                return;
            waiting = new Waiting(offset, _waits++);
            _all.Add(waiting);
        }

        try
        {
            await waiting.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            lock (_gate)
                _all.Remove(waiting);
        }
    }

    /// <summary>Wakes those whose byte is settled.</summary>
    public void Wake(Func<long, bool> isSettled)
    {
        lock (_gate)
        {
            while (_all.Min is { } first && isSettled(first.Offset))
            {
                _all.Remove(first);
                first.SetResult();
            }
        }
    }

    private sealed class Waiting(long offset, long number) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public long Offset => offset;

        /// <summary>The order in which they are woken; it is another for each.</summary>
        public (long Offset, long Number) Place => (offset, number);
    }
}
