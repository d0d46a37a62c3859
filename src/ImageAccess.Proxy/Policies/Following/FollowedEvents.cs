using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>
/// Records what Docker Hub's own switches open and take back. A change has an event at once; where the same comes again within the hour it is counted, and told
/// in one event when the hour is over: switches that flap each minute fill neither the trail nor anybody's mailbox. Who looks after it calls it by one thread at a time.
/// </summary>
internal sealed class FollowedEvents(AuditTrail trail, TimeProvider time)
{
    public static readonly TimeSpan Window = TimeSpan.FromHours(1);

    private readonly List<Repeated> _open = [];

    /// <returns>Whether it has an event of its own.</returns>
    public bool Record(FollowedChange change)
    {
        var now = time.GetUtcNow();
        if (_open.Find(one => one.Change.IsAlike(change)) is { } repeated)
        {
            (repeated.Change, repeated.Last) = (change, now);
            repeated.Count++;
            return false;
        }

        _open.Add(new Repeated(change, now));
        trail.RecordFollow(change);
        return true;
    }

    /// <summary>Tells what has come again in hours that are over; at the end of the program in all.</summary>
    public void Close(bool all = false)
    {
        var now = time.GetUtcNow();
        foreach (var repeated in _open.Where(one => all || now - one.First >= Window || now < one.First).ToList())
        {
            _open.Remove(repeated);
            if (repeated.Count > 0)
                trail.RecordFollow(repeated.Change with { Count = repeated.Count, Last = repeated.Last });
        }
    }

    private sealed class Repeated(FollowedChange change, DateTimeOffset first)
    {
        public FollowedChange Change { get; set; } = change;

        public DateTimeOffset First { get; } = first;

        public DateTimeOffset Last { get; set; } = first;

        public int Count { get; set; }
    }
}
