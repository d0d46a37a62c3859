namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>Limits the questions that one caller may cause in a period. Each of so many callers has an allowance; all others share one.</summary>
internal sealed class CallerAllowance(int limit, TimeSpan period, int maximumCallers, TimeProvider time)
{
    private static readonly TimeSpan TidyingPeriod = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Queue<long>> _asked = new(StringComparer.Ordinal);
    private long _tidied;

    public bool TryTake(string caller)
    {
        var now = time.GetTimestamp();
        lock (_gate)
        {
            if (!_asked.TryGetValue(caller, out var times))
                times = Open(caller, now);
            while (times.TryPeek(out var first) && IsOver(first, now))
                times.Dequeue();
            if (times.Count >= limit)
                return false;
            times.Enqueue(now);
            return true;
        }
    }

    private Queue<long> Open(string caller, long now)
    {
        if (_asked.Count >= maximumCallers && time.GetElapsedTime(_tidied, now) >= TidyingPeriod)
        {
            _tidied = now;
            foreach (var (name, times) in _asked)
            {
                if (IsOver(times.Last(), now))
                    _asked.Remove(name);
            }
        }

        if (_asked.Count >= maximumCallers)
            caller = "";
        if (!_asked.TryGetValue(caller, out var opened))
            _asked.Add(caller, opened = new Queue<long>());
        return opened;
    }

    private bool IsOver(long asked, long now) => time.GetElapsedTime(asked, now) >= period;
}
