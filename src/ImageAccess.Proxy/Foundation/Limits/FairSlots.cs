using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>A few slots for many callers: who waits gets the next one in turn, one caller after the other, however many questions each has.</summary>
internal sealed class FairSlots(int slots, int maximumWaiting)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, LinkedListNode<Line>> _lines = new(StringComparer.Ordinal);

    /// <summary>The callers who wait, the next one first.</summary>
    private readonly LinkedList<Line> _turns = new();

    private int _free = slots;
    private int _waiting;

    /// <returns>The slot; to be disposed once.</returns>
    /// <exception cref="TooManyWaitingException">Too many wait already.</exception>
    public async Task<IDisposable> EnterAsync(string caller, CancellationToken cancellationToken)
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

    private bool TryEnter(string caller, [NotNullWhen(false)] out LinkedListNode<TaskCompletionSource>? place)
    {
        lock (_gate)
        {
            place = null;
            if (_free > 0)
            {
                _free--;
                return true;
            }

            if (_waiting == maximumWaiting)
                throw new TooManyWaitingException();
            if (!_lines.TryGetValue(caller, out var line))
                _lines.Add(caller, line = _turns.AddLast(new Line(caller, [])));
            _waiting++;
            place = line.Value.Waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            return false;
        }
    }

    private bool Leave(string caller, LinkedListNode<TaskCompletionSource> place)
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

    private sealed record Line(string Caller, LinkedList<TaskCompletionSource> Waiting);

    private sealed class Slot(FairSlots slots) : IDisposable
    {
        private FairSlots? _slots = slots;

        public void Dispose() => Interlocked.Exchange(ref _slots, null)?.Release();
    }
}

/// <summary>A queue is full: nobody else may wait in it.</summary>
public sealed class TooManyWaitingException() : Exception("too many wait already");
