using System.Text;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Administration.Denials;

/// <summary>
/// Gathers denials in memory and brings them into the database, a second after the first of them. A request waits for none of it. While the
/// database is away the oldest ones make room for the newest; the audit trail has them all.
/// </summary>
internal sealed class DenialQueue : IDatabaseWriter, IDisposable
{
    /// <summary>How many wait at most.</summary>
    public const int Maximum = 4096;

    /// <summary>How long they gather.</summary>
    public static readonly TimeSpan Gathering = TimeSpan.FromSeconds(1);

    /// <summary>How often old ones are deleted where nothing is written.</summary>
    public static readonly TimeSpan Upkeep = TimeSpan.FromHours(1);

    /// <summary>How many are written in one transaction.</summary>
    private const int Together = 500;

    private readonly Lock _gate = new();
    private readonly Queue<DenialRow> _waiting = new();
    private readonly CallerNames _names;
    private readonly DenialMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private bool _isTimed;
    private bool _hasMore;
    private long? _pruned;

    public DenialQueue(AuditTrail trail, DatabaseState database, DenialMetrics metrics, TimeProvider time)
    {
        (_names, _metrics, _time) = (trail.Names, metrics, time);
        _timer = time.CreateTimer(_ => End(database), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        trail.WhenDenied(Add);
    }

    public bool IsWaiting
    {
        get
        {
            lock (_gate)
                return (_waiting.Count > 0 && !_isTimed) || _hasMore || _pruned is not { } pruned || _time.GetElapsedTime(pruned) >= Upkeep;
        }
    }

    public bool LosesAtStop
    {
        get
        {
            lock (_gate)
                return _waiting.Count > 0;
        }
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        while (true)
        {
            DenialRow[] rows;
            lock (_gate)
                rows = [.. _waiting.Take(Together)];
            var hasMore = false;
            await database.WriteAsync(
                async context => hasMore = await new DenialTable(context).AddAsync(rows, _time.GetUtcNow(), cancellationToken), cancellationToken);
            lock (_gate)
            {
                (_hasMore, _pruned) = (hasMore, _time.GetTimestamp());
                foreach (var row in rows)
                {
                    if (_waiting.TryPeek(out var first) && ReferenceEquals(first, row))
                        _waiting.Dequeue(); // else it has made room meanwhile
                }

                if (_waiting.Count == 0 || rows.Length < Together)
                    return;
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Add(AccessEvent denial)
    {
        var row = RowOf(denial, _names);
        lock (_gate)
        {
            if (_waiting.Count == Maximum)
            {
                _waiting.Dequeue();
                _metrics.Dropped();
            }

            _waiting.Enqueue(row);
            if (_isTimed)
                return;
            _isTimed = true;
            _timer.Change(Gathering, Timeout.InfiniteTimeSpan);
        }
    }

    private void End(DatabaseState database)
    {
        lock (_gate)
            _isTimed = false;
        database.Wake();
    }

    private static DenialRow RowOf(AccessEvent denial, CallerNames names)
    {
        var name = denial.Caller is { IsAnonymous: false } caller ? caller.DisplayName : null;
        var kept = name is null ? null : names.Of(name);
        return RowOf(denial) with { Caller = kept is null ? null : Clean(kept), Message = Clean(MessageOf(denial, name, kept)) };
    }

    /// <summary>What the client was told; it has the caller's name at most as the rule <c>outsider</c> says it.</summary>
    private static string MessageOf(AccessEvent denial, string? name, string? kept)
    {
        var message = DenialText.Of(denial.Decision).ToString();
        return name == kept ? message : message.Replace($": {name} is ", $": {kept} is ", StringComparison.Ordinal);
    }

    private static DenialRow RowOf(AccessEvent denial) => new()
    {
        Id = denial.Id,
        TimeMilliseconds = denial.Time.ToUnixTimeMilliseconds(),
        Repository = denial.Repository?.Value,
        Reference = denial.Request?.Subject,
        Rule = denial.Decision.Rule,
        Message = "",
        Organizations = [.. denial.Decision.Organizations],
        Client = (denial.Client is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : denial.Client)?.ToString(),
        WayIn = denial.WayIn,
    };

    /// <summary>PostgreSQL takes neither a null character nor half of a surrogate pair: one of them would hold up all the others.</summary>
    private static string Clean(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(PrintableText.Of(text)));
}
