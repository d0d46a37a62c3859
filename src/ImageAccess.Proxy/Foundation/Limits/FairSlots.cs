using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// A few slots for many callers, for work that everybody shares and that is costly: questions to the Hub API, whose limit is one for
/// the whole proxy. The callers who wait are served in turn, one question each, so that one caller with a thousand questions does
/// not hold up another with one. (System.Threading.RateLimiting has queues, but no turns between callers.)
/// </summary>
/// <param name="slots">How many are in at once.</param>
/// <param name="maximumWaiting">How many may wait, of all callers.</param>
/// <param name="maximumWaitingOfCaller">How many of one caller may wait: who fills the queue shuts nobody out.</param>
internal sealed class FairSlots(int slots, int maximumWaiting, int maximumWaitingOfCaller)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ClientShare, LinkedListNode<Line>> _lines = [];

    /// <summary>The callers who wait, the next one first.</summary>
    private readonly LinkedList<Line> _turns = new();

    private int _free = slots;
    private int _waiting;

    public int Waiting => Volatile.Read(ref _waiting);

    /// <returns>The slot; to be disposed once.</returns>
    /// <param name="caller">Whose turn it is.</param>
    /// <param name="cancellationToken">Gives the place in the queue up.</param>
    /// <exception cref="TooManyWaitingException">The queue is full.</exception>
    public async Task<IDisposable> EnterAsync(ClientShare caller, CancellationToken cancellationToken)
    {
        if (!TryEnter(caller, out var place))
        {
            try
            {
                await place.Value.Task.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                if (!Leave(caller, place))
                    Release(); // it was given a slot at the same moment
                throw;
            }
        }

        return new Slot(this);
    }

    /// <summary>Waits so long for a turn.</summary>
    /// <returns>The slot, to be disposed once; null where the queue is full, or the turn did not come in time.</returns>
    public async Task<IDisposable?> TryEnterAsync(ClientShare caller, TimeSpan within, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(within, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await EnterAsync(caller, either.Token);
        }
        catch (Exception exception) when (exception is TooManyWaitingException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return null;
        }
    }

    private bool TryEnter(ClientShare caller, [NotNullWhen(false)] out LinkedListNode<TaskCompletionSource>? place)
    {
        lock (_gate)
        {
            place = null;
            if (_free > 0)
            {
                _free--;
                return true;
            }

            _lines.TryGetValue(caller, out var line);
            if (_waiting == maximumWaiting || line?.Value.Waiting.Count >= maximumWaitingOfCaller)
                throw new TooManyWaitingException();
            if (line is null)
                _lines.Add(caller, line = _turns.AddLast(new Line(caller, [])));
            _waiting++;
            place = line.Value.Waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            return false;
        }
    }

    private bool Leave(ClientShare caller, LinkedListNode<TaskCompletionSource> place)
    {
        lock (_gate)
        {
            if (place.List is null)
                return false;
            var line = _lines[caller];
            line.Value.Waiting.Remove(place);
            _waiting--;
            if (line.Value.Waiting.Count == 0)
                Close(line);
            return true;
        }
    }

    private void Release()
    {
        lock (_gate)
        {
            if (_turns.First is not { } line)
            {
                _free++;
                return;
            }

            var place = line.Value.Waiting.First!;
            line.Value.Waiting.RemoveFirst();
            _waiting--;
            if (line.Value.Waiting.Count == 0)
            {
                Close(line);
            }
            else
            {
                _turns.RemoveFirst();
                _turns.AddLast(line);
            }

            place.Value.SetResult();
        }
    }

    private void Close(LinkedListNode<Line> line)
    {
        _turns.Remove(line);
        _lines.Remove(line.Value.Caller);
    }

    private sealed record Line(ClientShare Caller, LinkedList<TaskCompletionSource> Waiting);

    private sealed class Slot(FairSlots slots) : IDisposable
    {
        private FairSlots? _slots = slots;

        public void Dispose() => Interlocked.Exchange(ref _slots, null)?.Release();
    }
}

/// <summary>A queue is full: nobody else may wait in it.</summary>
public sealed class TooManyWaitingException() : Exception("too many wait already");
