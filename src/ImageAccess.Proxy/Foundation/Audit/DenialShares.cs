using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// What each client has used of its share of the trail: so many bytes, which come back evenly within a week. The clients are remembered up
/// to a number; further ones have one share together until earlier ones have used nothing for so long that they can be forgotten.
/// </summary>
internal sealed class DenialShares(long bytes, TimeProvider time)
{
    public const int Maximum = 2048;

    private static readonly TimeSpan BetweenSweeps = TimeSpan.FromSeconds(10);

    private readonly Dictionary<ClientShare, DenialShare> _shares = [];
    private readonly DenialShare _others = new(default, bytes, time);
    private long? _swept;

    public DenialShare Of(ClientShare client)
    {
        if (_shares.TryGetValue(client, out var share))
            return share;
        if (_shares.Count >= Maximum && !MakeRoom())
            return _others;
        return _shares[client] = new DenialShare(client, bytes, time);
    }

    private bool MakeRoom()
    {
        if (_swept is { } swept && time.GetElapsedTime(swept) < BetweenSweeps)
            return false;
        _swept = time.GetTimestamp();
        foreach (var (client, share) in _shares.Where(one => one.Value.IsUnused).ToList())
            _shares.Remove(client);
        return _shares.Count < Maximum;
    }
}

/// <summary>One client's share.</summary>
/// <param name="client">Whose; the default for all who have one share together.</param>
/// <param name="bytes">Its size.</param>
/// <param name="time">The clock.</param>
internal sealed class DenialShare(ClientShare client, long bytes, TimeProvider time)
{
    public static readonly TimeSpan Period = TimeSpan.FromDays(7);

    private double _used;
    private long _at = time.GetTimestamp();
    private long _written;

    public ClientShare Client { get; } = client;

    /// <summary>Lines of this minute that may still be followed by a closing line.</summary>
    public int Lines { get; set; }

    /// <summary>Counts what is beyond the share in this minute.</summary>
    public MergedDenial? Rest { get; set; }

    /// <summary>Forgetting it changes nothing.</summary>
    public bool IsUnused => Lines == 0 && Rest is null && Used() <= 0;

    public bool HasBytes() => Used() < bytes;

    /// <summary>A line was written; it is counted at the next look.</summary>
    public void Charge(int length) => Interlocked.Add(ref _written, length);

    private double Used()
    {
        var back = bytes * (time.GetElapsedTime(_at) / Period);
        _at = time.GetTimestamp();
        return _used = Math.Max(0, _used - back) + Interlocked.Exchange(ref _written, 0);
    }
}
