using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>What denials have in common that are merged.</summary>
/// <param name="Kind">Of which kind the event is.</param>
/// <param name="Account">The caller, when he has proved who he is; else null.</param>
/// <param name="Network">The client's network.</param>
/// <param name="WayIn">By which way in the client came.</param>
/// <param name="Method">What the client wanted to do.</param>
/// <param name="Subject">What was denied: a repository, or a host and a port.</param>
/// <param name="Rule">Why.</param>
/// <param name="PolicyVersion">By which policy.</param>
/// <param name="Block">By which block.</param>
internal readonly record struct DenialKey(
    string Kind, string? Account, ClientShare Network, string? WayIn, string? Method, string? Subject, string Rule, string? PolicyVersion, long? Block = null)
{
    /// <summary>Whose share of the trail the lines count against.</summary>
    public ClientShare Share => Account is null ? Network : ClientShare.OfUser(Account);
}

/// <summary>
/// Merges the denials of one minute that are alike. The first has a line of its own at once, and its id is what the others are told too;
/// a closing line under that id counts the others. So a client cannot fill the trail by asking again. A client that asks for ever
/// different things has only so many lines a minute and so many bytes a week: what is beyond is counted in one line a minute.
/// </summary>
/// <param name="options">They say what one client may have of the trail; they are valid only when the program has started.</param>
/// <param name="time">The clock.</param>
/// <param name="record">Takes the closing lines.</param>
internal sealed class MergedDenials(IOptions<AuditOptions> options, TimeProvider time, Action<AuditEvent> record) : IDisposable
{
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>Of one client.</summary>
    public const int MaximumLines = 64;

    /// <summary>Of all clients together. When so many are open, a client that has one open gets no other.</summary>
    public const int MaximumLinesInAll = 2048;

    private readonly Lock _gate = new();
    private readonly Dictionary<DenialKey, MergedDenial> _open = [];

    /// <summary>What is open, the oldest first.</summary>
    private readonly Queue<MergedDenial> _closing = new();

    private DenialShares? _shares;
    private ITimer? _timer;
    private bool _ended;

    /// <returns>The id that the client is told.</returns>
    /// <param name="denial">The event of the denial.</param>
    /// <param name="isFirst">It has a line of its own; else it is counted in another's closing line.</param>
    public string Add(AuditEvent denial, out bool isFirst)
    {
        var key = denial.Key ?? throw new ArgumentException("It is no denial.", nameof(denial));
        lock (_gate)
        {
            if (!_open.TryGetValue(key, out var merged))
            {
                isFirst = _ended;
                if (_ended)
                    return denial.Id;
                _shares ??= new DenialShares(options.Value.ShareSize, time);
                var share = _shares.Of(key.Share);
                isFirst = HasRoom(share);
                if (isFirst)
                {
                    denial.Share = share;
                    Open(new MergedDenial(key, share, denial, time.GetTimestamp()));
                    return denial.Id;
                }

                merged = share.Rest ?? Open(new MergedDenial(key, share, denial.Id, time.GetTimestamp()));
            }

            isFirst = false;
            merged.Add(denial);
            return merged.Id;
        }
    }

    /// <summary>The program stops: writes the closing lines now, and merges no more.</summary>
    public void End()
    {
        lock (_gate)
            _ended = true;
        Close();
    }

    public void Dispose() => _timer?.Dispose();

    private bool HasRoom(DenialShare share) =>
        share.Lines < MaximumLines && (share.Lines == 0 || _open.Count < MaximumLinesInAll) && share.HasBytes();

    private MergedDenial Open(MergedDenial merged)
    {
        if (merged.First is null)
        {
            merged.Share.Rest = merged;
        }
        else
        {
            _open.Add(merged.Key, merged);
            merged.Share.Lines++;
        }

        _closing.Enqueue(merged);
        if (_closing.Count == 1)
            SetTimer(Window);
        return merged;
    }

    private void Close()
    {
        var closed = new List<MergedDenial>();
        lock (_gate)
        {
            while (_closing.TryPeek(out var merged))
            {
                var left = Window - time.GetElapsedTime(merged.Opened);
                if (left > TimeSpan.Zero && !_ended)
                {
                    SetTimer(left);
                    break;
                }

                _closing.Dequeue();
                Forget(merged);
                if (merged.Count > 0)
                    closed.Add(merged);
            }
        }

        foreach (var merged in closed)
            record(new MergedEvent(merged, time.GetUtcNow()));
    }

    private void Forget(MergedDenial merged)
    {
        if (merged.First is null)
        {
            merged.Share.Rest = null;
            return;
        }

        _open.Remove(merged.Key);
        merged.Share.Lines--;
    }

    private void SetTimer(TimeSpan left)
    {
        _timer ??= time.CreateTimer(_ => Close(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(left, Timeout.InfiniteTimeSpan);
    }
}

/// <summary>Denials of one minute that are alike, or all that a client has beyond its share.</summary>
internal sealed class MergedDenial
{
    public const int MaximumReferences = 16;

    private readonly List<string> _references = [];

    public MergedDenial(DenialKey key, DenialShare share, AuditEvent first, long opened)
        : this(key, share, first.Id, opened)
    {
        First = first;
        FirstTime = first.Time;
        AddReference(first);
    }

    public MergedDenial(DenialKey key, DenialShare share, string id, long opened) => (Key, Share, Id, Opened) = (key, share, id, opened);

    public DenialKey Key { get; }

    public DenialShare Share { get; }

    public string Id { get; }

    public long Opened { get; }

    /// <summary>The denial that has a line of its own; null where all are only counted.</summary>
    public AuditEvent? First { get; }

    /// <summary>The denials without a line of their own.</summary>
    public int Count { get; private set; }

    /// <summary>Those of them that began a pull or are no part of one.</summary>
    public int Pulls { get; private set; }

    public DateTimeOffset? FirstTime { get; private set; }

    public DateTimeOffset LastTime { get; private set; }

    public IReadOnlyList<string> References => _references;

    public void Add(AuditEvent denial)
    {
        Count++;
        if (denial is not AccessEvent { Pull: { } pull } || pull == denial.Id)
            Pulls++;
        FirstTime ??= denial.Time;
        LastTime = denial.Time;
        if (First is not null)
            AddReference(denial);
    }

    private void AddReference(AuditEvent denial)
    {
        if (denial is AccessEvent { Request.Subject: { } reference } && _references.Count < MaximumReferences && !_references.Contains(reference))
            _references.Add(reference);
    }
}
