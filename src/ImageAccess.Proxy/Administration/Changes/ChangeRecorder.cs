using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>
/// Records each step of a change that takes two persons, whoever took it and by whichever process: read from the table in the background. How far
/// it has come is in a file, so that what was done while the program did not run is recorded too.
/// </summary>
internal sealed class ChangeRecorder : DatabaseReader
{
    private const int MaximumSize = 4096;

    private readonly AuditTrail _trail;
    private readonly ILogger _logger;
    private readonly string _path;
    private readonly KeptCopy _copy;
    private SequencePoint? _told;
    private bool _isRead = true;

    public ChangeRecorder(
        SqlDatabase database, DatabaseState state, DatabaseOptions options, AuditTrail trail, TimeProvider time, ILogger<ChangeRecorder> logger)
        : base(database, state, PendingChanges.Sequence, time)
    {
        (_trail, _logger) = (trail, logger);
        _path = Path.Combine(options.DataDirectory, "changes.recorded.json");
        _copy = new KeptCopy(_path, logger.NotKept);
        _told = ReadTold();
    }

    protected override SequencePoint? LastRead => _told;

    protected override async Task ReadAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        await RecordAsync(point, cancellationToken);
        Confirm();
    }

    protected override void Confirm() => _isRead = true;

    protected override void Fail(string cause)
    {
        if (_isRead)
            _logger.NotRead(Database.Name, cause);
        _isRead = false;
    }

    /// <summary>Who is new to the database begins with what comes from now on; after a restore, whose numbers mean something else, it begins anew.</summary>
    private async Task RecordAsync(SequencePoint point, CancellationToken cancellationToken)
    {
        if (_told is { Value: var known } && known < point.Value)
        {
            var rows = await Database.ReadAsync(context => new PendingChanges(context).ReadSinceAsync(known, cancellationToken), cancellationToken);
            foreach (var row in rows.Where(row => row.Version > known))
                _trail.RecordChange(StepOf(row, PendingChangeRow.Waiting, row.By, row.Reason, row.At));
            foreach (var row in rows.Where(row => row.DecidedVersion > known))
                _trail.RecordChange(StepOf(row, row.State, row.DecidedBy, row.DecidedReason, row.DecidedAt ?? row.Until));
        }

        _told = point;
        _copy.Keep(JsonSerializer.SerializeToUtf8Bytes(new Recorded(point.Value, point.Change))); // after it was recorded: a kill between the two records it again
    }

    private static ChangeStep StepOf(PendingChangeRow row, string state, string? by, string? reason, DateTimeOffset at) =>
        new(row.Id, row.Kind, state, row.Organization, by, row.By, row.Opens, reason, row.Ticket, at);

    private SequencePoint? ReadTold()
    {
        try
        {
            return new WholeFile(_path, MaximumSize).Read().Bytes is { } bytes && JsonSerializer.Deserialize<Recorded>(bytes.Span) is { Change: { } change } kept
                ? new SequencePoint(kept.Value, change)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record Recorded(long Value, string Change);
}

internal static partial class ChangesLog
{
    [LoggerMessage(1, LogLevel.Error, "The changes of {Database} cannot be read: it {Cause}; they are recorded once it can; trying again")]
    public static partial void NotRead(this ILogger logger, string database, string cause);

    [LoggerMessage(2, LogLevel.Error, "How far changes are recorded could not be kept in {Path}: {Cause}; after a restart some may be recorded twice")]
    public static partial void NotKept(this ILogger logger, string path, string cause);
}
