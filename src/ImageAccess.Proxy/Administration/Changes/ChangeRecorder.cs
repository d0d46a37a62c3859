using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>Records each step of a change that takes two persons.</summary>
internal sealed class ChangeRecorder(
    SqlDatabase database, DatabaseState state, DatabaseOptions options, AuditTrail trail, TimeProvider time, ILogger<ChangeRecorder> logger)
    : StepRecorder(database, state, PendingChanges.Sequence, Path.Combine(options.DataDirectory, "changes.recorded.json"), logger.NotKept, time)
{
    protected override async Task RecordAsync(long known, long last, CancellationToken cancellationToken)
    {
        var rows = await Database.ReadAsync(context => new PendingChanges(context).ReadSinceAsync(known, cancellationToken), cancellationToken);
        foreach (var row in rows.Where(row => row.Version > known && row.Version <= last))
            trail.RecordChange(StepOf(row, PendingChangeRow.Waiting, row.By, row.Reason, row.At));
        foreach (var row in rows.Where(row => row.DecidedVersion > known && row.DecidedVersion <= last))
            trail.RecordChange(StepOf(row, row.State, row.DecidedBy, row.DecidedReason, row.DecidedAt ?? row.Until));
    }

    protected override void TellNotRead(string cause) => logger.NotRead(Database.Name, cause);

    private static ChangeStep StepOf(PendingChangeRow row, string state, string? by, string? reason, DateTimeOffset at) =>
        new(row.Id, row.Kind, state, row.Organization, by, row.By, row.Opens, reason, row.Ticket, at);
}

internal static partial class ChangesLog
{
    [LoggerMessage(1, LogLevel.Error, "The changes of {Database} cannot be read: it {Cause}; they are recorded once it can; trying again")]
    public static partial void NotRead(this ILogger logger, string database, string cause);

    [LoggerMessage(2, LogLevel.Error, "How far changes are recorded could not be kept in {Path}: {Cause}; after a restart some may be recorded twice")]
    public static partial void NotKept(this ILogger logger, string path, string cause);
}
