using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// Takes what the audit trail is told of changes, and brings it into the outbox. Until it is there it is in a file: whoever records a change notes
/// that only afterwards, so a kill at any moment loses nothing, and at the worst something comes twice and is told once.
/// </summary>
internal sealed class NoticeQueue : IDatabaseWriter
{
    /// <summary>How many wait at most: as many as come in when everything is changed at once.</summary>
    public const int Maximum = 2000;

    private const int MaximumSize = 64 * 1024 * 1024;

    /// <summary>How many are written in one transaction.</summary>
    private const int Together = 100;

    /// <summary>How often the outbox is tidied.</summary>
    private static readonly TimeSpan Upkeep = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly Queue<Notice> _waiting = new();
    private readonly Receivers _receivers;
    private readonly DatabaseState _database;
    private readonly NotificationMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly string _origin = Guid.NewGuid().ToString("N");
    private DateTimeOffset? _tidied;
    private bool _isKept = true;

    public NoticeQueue(
        AuditTrail trail, Receivers receivers, NotificationOptions options, DatabaseState database, NotificationMetrics metrics, TimeProvider time, ILogger<NoticeQueue> logger)
    {
        (_receivers, _database, _metrics, _time, _logger, _path) = (receivers, database, metrics, time, logger, options.SpoolPath);
        if (receivers.All.Count == 0)
            return;
        Read();
        trail.WhenChanged(audit =>
        {
            foreach (var notice in Notice.AllOf(audit, time.GetUtcNow()))
                Add(notice);
        });
    }

    public bool IsWaiting
    {
        get
        {
            lock (_gate)
                return _waiting.Count > 0 || (_receivers.All.Count > 0 && IsUntidy);
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

    private bool IsUntidy => _tidied is not { } tidied || _time.GetUtcNow() is var now && (now - tidied >= Upkeep || now < tidied);

    /// <summary>Whether somebody is told it.</summary>
    public bool IsWanted(Notice notice) => _receivers.All.Any(receiver => receiver.Wants(notice));

    /// <summary>It never throws, and waits for nothing but the file: what is recorded is recorded.</summary>
    public void Add(Notice notice)
    {
        if (!IsWanted(notice))
            return;
        lock (_gate)
        {
            if (_waiting.Count == Maximum)
            {
                Lose(1);
                return;
            }

            _waiting.Enqueue(notice);
            Keep(() =>
            {
                using var file = new FileStream(_path, OwnerFile.Options(FileMode.Append, FileAccess.Write, FileShare.Read));
                file.Write([.. notice.ToBytes(), (byte)'\n']);
            });
        }

        _database.Wake();
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        while (true)
        {
            Notice[] notices;
            bool tidies;
            lock (_gate)
                (notices, tidies) = ([.. _waiting.Take(Together)], IsUntidy);
            if (notices.Length == 0 && !tidies)
                break;
            var (lost, now) = (0, _time.GetUtcNow());
            await database.WriteAsync(
                async context =>
                {
                    var table = new OutboxTable(context);
                    lost = await table.AddAsync(notices, _origin, _receivers.All, now, cancellationToken);
                    if (tidies)
                        await table.PruneAsync(now, cancellationToken);
                },
                cancellationToken);
            Wrote(notices.Length, lost, now);
        }

        _receivers.Wake();
    }

    private void Wrote(int count, int lost, DateTimeOffset now)
    {
        lock (_gate)
        {
            _tidied = now;
            for (var i = 0; i < count; i++)
                _waiting.Dequeue();
            if (lost > 0)
                Lose(lost);
            if (count > 0)
                Keep(() => AtomicFile.Write(_path, WriteTo));
        }
    }

    private void WriteTo(Stream file)
    {
        foreach (var notice in _waiting)
            file.Write([.. notice.ToBytes(), (byte)'\n']);
    }

    /// <summary>The last line may be a part of one: a kill came between, and whoever recorded it records it again.</summary>
    private void Read()
    {
        if (new WholeFile(_path, MaximumSize).Read().Bytes is not { } bytes)
            return;
        foreach (var line in bytes.Span.Split((byte)'\n'))
        {
            if (Notice.Read(bytes.Span[line]) is { } notice && _waiting.Count < Maximum)
                _waiting.Enqueue(notice);
        }

        if (!bytes.IsEmpty && bytes.Span[^1] != (byte)'\n')
            Keep(() => AtomicFile.Write(_path, WriteTo)); // or the next line would be joined to it
    }

    private void Keep(Action write)
    {
        try
        {
            write();
            _isKept = true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (_isKept)
                _logger.NotKept(_path, exception.Message);
            _isKept = false;
        }
    }

    private void Lose(int count)
    {
        _metrics.Lost(count);
        _logger.NoRoom(count);
    }
}
