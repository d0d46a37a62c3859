namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// Failed tries, or questions, of which each client has so many in any window of time. So many clients have a budget of their own at a time;
/// those beyond share one, so that memory has an end. (The window limiters of System.Threading.RateLimiting take no clock.)
/// </summary>
/// <param name="what">What they are, in metrics: <c>sign-ins</c>.</param>
/// <param name="metrics">Null where what is beyond the budget is not refused for that alone.</param>
/// <param name="maximumClients">How many have a budget of their own.</param>
public sealed class TryBudget(string what, int tries, TimeSpan window, TimeProvider time, LimitMetrics? metrics, int maximumClients = 10_000)
{
    private static readonly TimeSpan TidyingPeriod = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<ClientShare, Queue<long>> _clients = [];

    /// <summary>The tries of all who found no place.</summary>
    private readonly Queue<long> _others = new();

    private long? _tidied;

    /// <summary>Whether the client has no try left; then it is counted as limited.</summary>
    /// <param name="client">Who tries.</param>
    /// <param name="retryAfter">When the next try is free, in whole seconds and at least one.</param>
    public bool IsSpent(ClientShare client, out TimeSpan retryAfter)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            if (Find(client, now) is not { } counted || !IsSpent(counted, now, out retryAfter))
            {
                retryAfter = default;
                return false;
            }
        }

        metrics?.Limited(what);
        return true;
    }

    /// <summary>Whether the client has taken a try within the window.</summary>
    public bool HasTried(ClientShare client)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            return Find(client, now) is { } counted && counted.Any(at => !IsOver(at, now));
        }
    }

    /// <summary>Takes one try. One beyond the budget is not kept: it makes nobody wait longer.</summary>
    public void Count(ClientShare client)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var counted = Find(client, now) ?? (_clients[client] = new Queue<long>());
            if (!IsSpent(counted, now, out _))
                counted.Enqueue(now);
        }
    }

    private bool IsSpent(Queue<long> counted, long now, out TimeSpan retryAfter)
    {
        while (counted.TryPeek(out var first) && IsOver(first, now))
            counted.Dequeue();
        if (counted.Count < tries)
        {
            retryAfter = default;
            return false;
        }

        var left = window - (counted.TryPeek(out var oldest) ? time.GetElapsedTime(oldest, now) : TimeSpan.Zero);
        retryAfter = TimeSpan.FromSeconds(Math.Max(1, Math.Ceiling(left.TotalSeconds)));
        return true;
    }

    /// <returns>What the client has tried; what all others have, where there is no place for one more; null where it has tried nothing.</returns>
    private Queue<long>? Find(ClientShare client, long now)
    {
        if (_clients.TryGetValue(client, out var own))
            return own;
        if (_clients.Count >= maximumClients)
            Tidy(now);
        return _clients.Count >= maximumClients ? _others : null;
    }

    /// <summary>At most once in each period: whoever comes with ever new addresses must not make every try a walk through all of them.</summary>
    private void Tidy(long now)
    {
        if (_tidied is { } before && time.GetElapsedTime(before, now) < TidyingPeriod)
            return;
        _tidied = now;
        foreach (var (client, counted) in _clients)
        {
            if (!counted.Any(at => !IsOver(at, now)))
                _clients.Remove(client);
        }
    }

    private bool IsOver(long counted, long now) => time.GetElapsedTime(counted, now) >= window;
}
