using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// Things that are under way: so many in all, and so many for each client, so that one client leaves room for the others. Nobody
/// waits: what is beyond is refused and counted. (A ConcurrencyLimiter of System.Threading.RateLimiting for each client would have to be
/// made and thrown away for every address that comes by.)
/// </summary>
/// <param name="what">What they are, in metrics: <c>connections</c>.</param>
public sealed class SharedSlots(string what, int inAll, int perClient, LimitMetrics metrics)
{
    /// <summary>A client that has nothing under way keeps its place while there are no more clients: the next request finds it.</summary>
    private const int MaximumIdle = 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<ClientShare, int> _clients = [];
    private int _inUse;

    public string What => what;

    public int InAll => inAll;

    public int InUse => Volatile.Read(ref _inUse);

    /// <param name="client">Whose it is; null for what many clients have together, which only the limit of all holds.</param>
    /// <param name="slot">To be disposed when it has ended; further times do nothing.</param>
    public bool TryEnter(ClientShare? client, [NotNullWhen(true)] out IDisposable? slot)
    {
        slot = TryTake(client) ? new Slot(this, client) : null;
        if (slot is null)
            metrics.Limited(what);
        return slot is not null;
    }

    private bool TryTake(ClientShare? client)
    {
        lock (_gate)
        {
            if (_inUse >= inAll)
                return false;
            if (client is { } one)
            {
                ref var own = ref CollectionsMarshal.GetValueRefOrAddDefault(_clients, one, out _);
                if (own >= perClient)
                    return false;
                own++;
            }

            _inUse++;
            return true;
        }
    }

    private void Release(ClientShare? client)
    {
        lock (_gate)
        {
            _inUse--;
            if (client is { } one && --CollectionsMarshal.GetValueRefOrNullRef(_clients, one) == 0 && _clients.Count > MaximumIdle)
                _clients.Remove(one);
        }
    }

    private sealed class Slot(SharedSlots slots, ClientShare? client) : IDisposable
    {
        private SharedSlots? _slots = slots;

        public void Dispose() => Interlocked.Exchange(ref _slots, null)?.Release(client);
    }
}
