using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>
/// The exceptions in force: those of the database as they were read last, which are kept in a file for a restart. Without a database they stay;
/// without either there are none.
/// </summary>
public sealed class ExceptionStore
{
    private const string Unknown = "the database has it no longer";

    private readonly AuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _copyPath;
    private readonly KeptCopy _copy;
    private readonly Lock _gate = new();

    private volatile Core.Policies.Exceptions _current = Core.Policies.Exceptions.None;
    private volatile string? _unread;
    private volatile string? _unusable;
    private volatile bool _isRead;
    private SequencePoint? _point;
    private HashSet<long> _refused = [];
    private Action? _whenChanged;

    internal ExceptionStore(ExceptionsOptions options, AuditTrail trail, TimeProvider time, ILogger<ExceptionStore> logger)
    {
        (_trail, _time, _logger, _copyPath) = (trail, time, logger, options.CopyPath);
        _copy = new KeptCopy(_copyPath, logger.NotKept);
    }

    internal Core.Policies.Exceptions Current => _current;

    /// <summary>Where the sequence was when it was read last; null until it has been read.</summary>
    internal SequencePoint? Read
    {
        get
        {
            lock (_gate)
                return _isRead ? _point : null;
        }
    }

    /// <summary>What was told before; null where nothing is known of that.</summary>
    internal SequencePoint? Told
    {
        get
        {
            lock (_gate)
                return _point;
        }
    }

    /// <summary>Why they are not those of the database, or may not outlive a restart; null when all is well.</summary>
    internal string? Concern
    {
        get
        {
            var notKept = _copy.Failure is { } cause ? $"the exceptions could not be kept for a restart: {cause}" : null;
            return (_unread, notKept) switch
            {
                ({ } unread, { } kept) => $"{unread}; {kept}",
                _ => _unread ?? notKept,
            };
        }
    }

    /// <summary>What counts while the database has not been read.</summary>
    internal string Stays => _unusable is { } flaw ? $"no exception is in force, because their copy {_copyPath} {flaw}"
        : CountInForce() is var count and > 0 ? $"the exceptions that were read last stay in force ({count})"
        : "no exception is in force";

    internal bool IsRead => _isRead;

    /// <summary>Does something each time that other exceptions have come into force; it must not call this store's own changes.</summary>
    internal void WhenChanged(Action act)
    {
        lock (_gate)
            _whenChanged += act;
    }

    /// <summary>Puts those into force that were kept.</summary>
    internal void Open()
    {
        var kept = ExceptionsCopy.Read(_copyPath);
        lock (_gate)
        {
            if (kept.Value is { } copy)
                (_point, _current) = (copy.Point, copy.Exceptions);
            else if (!kept.IsMissing)
                _unusable = kept.Flaw!;
        }

        if (_unusable is { } flaw)
            _logger.CopyUnusable(_copyPath, flaw);
    }

    /// <summary>Puts into force what the database has.</summary>
    internal void Accept(string database, ExceptionReading reading)
    {
        lock (_gate)
        {
            var before = _current;
            var open = Parse(reading.Open);
            _current = new Core.Policies.Exceptions(open, reading.Point.Value);
            _whenChanged?.Invoke();
            Tell(before, open, reading.Ended);
            (_point, _isRead, _unusable) = (reading.Point, true, null);
            Keep(); // after it was told: a program that ends between the two tells it again, and never not at all
            Confirm(database);
        }
    }

    /// <summary>The database has been looked at, and has nothing new.</summary>
    internal void Confirm(string database)
    {
        lock (_gate)
        {
            if (_copy.Failure is not null)
                Keep();
            if (_unread is not null)
                _logger.ReadAgain(database, Current.Count);
            _unread = null;
        }
    }

    /// <summary>The database cannot be read.</summary>
    internal void Fail(string database, string cause)
    {
        lock (_gate)
        {
            if (_unread is null)
                _logger.NotRead(database, cause, Stays);
            _unread = $"{database} {cause}; {Stays}";
        }
    }

    /// <summary>Without those that have ended by themselves.</summary>
    private int CountInForce()
    {
        var now = _time.GetUtcNow();
        return Current.All.Count(exception => exception.Until is not { } until || now < until);
    }

    private void Keep() => _copy.Keep(new ExceptionsCopy(_point ?? SequencePoint.None, _current).ToBytes());

    /// <summary>One that cannot be used opens nothing, and the others go on.</summary>
    private List<GrantedException> Parse(IReadOnlyList<ExceptionRow> rows)
    {
        var (open, refused) = (new List<GrantedException>(rows.Count), new HashSet<long>());
        foreach (var row in rows)
        {
            if (ExceptionTable.Parse(row, out var problem) is { } exception)
                open.Add(exception);
            else if (refused.Add(row.Id) && !_refused.Contains(row.Id))
                _logger.Unusable(row.Id, PrintableText.Of(row.Image), problem);
        }

        _refused = refused;
        return open;
    }

    /// <summary>Each exception and each end since the database was last read, also of one that came and went meanwhile.</summary>
    private void Tell(Core.Policies.Exceptions before, List<GrantedException> open, IReadOnlyList<ExceptionRow> endedRows)
    {
        var (known, inForce) = (before.All.ToDictionary(exception => exception.Id), open.ToDictionary(exception => exception.Id));
        var ended = endedRows.Select(row => (Row: row, Exception: ExceptionTable.Parse(row, out _)))
            .Where(end => end.Exception is not null)
            .ToDictionary(end => end.Row.Id, end => (end.Row, Exception: end.Exception!));
        var passed = ended.Values.Select(end => end.Exception).Where(exception => !Is(exception, known)).ToList();
        foreach (var exception in open.Where(exception => !Is(exception, known)).Concat(passed).OrderBy(exception => exception.Id))
        {
            _trail.RecordException(exception);
            _logger.Granted(
                exception.Id, exception.Pattern.ToString(), exception.Organization, ExceptionChanges.Words(exception.Until), exception.ApprovedBy, exception.Reason);
        }

        var now = _time.GetUtcNow();
        foreach (var exception in before.All.Where(exception => !Is(exception, inForce)).Concat(passed))
        {
            if (ended.TryGetValue(exception.Id, out var end) && Is(exception, end.Exception))
                TellEnd(exception, new ExceptionEnd(end.Row.EndedBy!, end.Row.EndedReason, end.Row.EndedTicket), end.Row.Ended);
            else if (exception.Until is not { } until || now < until) // the others ended by themselves, long ago
                TellEnd(exception, null, null);
        }
    }

    private void TellEnd(GrantedException exception, ExceptionEnd? end, DateTimeOffset? at)
    {
        var reason = end is null ? Unknown : end.Reason;
        _trail.RecordExceptionEnd(exception, end?.By, reason, at, end?.Ticket);
        _logger.Ended(exception.Id, exception.Pattern.ToString(), exception.Organization, end?.By ?? "nobody", reason ?? "no reason given");
    }

    private static bool Is(GrantedException exception, Dictionary<long, GrantedException> among) =>
        among.TryGetValue(exception.Id, out var other) && Is(exception, other);

    /// <summary>Whether it is the same: after a restore the same number may stand for another.</summary>
    private static bool Is(GrantedException exception, GrantedException other) =>
        other.Id == exception.Id && other.Since == exception.Since && other.Organization == exception.Organization
        && other.Pattern.ToString() == exception.Pattern.ToString();
}
