using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Requests;

/// <summary>Records each step of a request; and ends those that nobody has answered in time.</summary>
internal sealed class RequestRecorder(
    SqlDatabase database, DatabaseState state, DatabaseOptions options, AuditTrail trail, TimeProvider time, ILogger<RequestRecorder> logger)
    : StepRecorder(database, state, RequestTable.Sequence, Path.Combine(options.DataDirectory, "requests.recorded.json"), logger.NotKept, time), IDatabaseWriter
{
    /// <summary>How often it is looked whether some have run out.</summary>
    public static readonly TimeSpan Upkeep = TimeSpan.FromMinutes(1);

    private long? _looked;

    public bool IsWaiting => _looked is not { } looked || Time.GetElapsedTime(looked) >= Upkeep;

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        var now = SqlDatabase.NowOf(Time);
        if (await database.ReadAsync(context => new RequestTable(context).HasOverdueAsync(now, cancellationToken), cancellationToken))
        {
            await database.WriteAsync(
                async context =>
                {
                    await new RequestTable(context).EndOverdueAsync(now, cancellationToken);
                    await database.TellAsync(context, cancellationToken);
                },
                cancellationToken);
        }

        _looked = Time.GetTimestamp();
    }

    protected override async Task RecordAsync(long known, long last, CancellationToken cancellationToken)
    {
        foreach (var (row, denial, exception) in await Database.ReadAsync(context => new RequestTable(context).ReadStepsAsync(known, last, cancellationToken), cancellationToken))
        {
            trail.RecordRequest(new RequestStep(row.Request, row.Step, row.State, row.Image, row.Organizations, row.Organization, row.By, row.AskedBy, row.Reason, row.At)
            {
                Ticket = row.Ticket,
                Denial = denial,
                Exception = row.Exception,
                Granted = exception?.Image,
                Digest = exception?.Digest,
                Until = exception?.Until,
                Change = row.Change,
            });
        }
    }

    protected override void TellNotRead(string cause) => logger.NotRead(Database.Name, cause);
}

internal static partial class RequestsLog
{
    [LoggerMessage(1, LogLevel.Error, "The access requests of {Database} cannot be read: it {Cause}; they are recorded once it can; trying again")]
    public static partial void NotRead(this ILogger logger, string database, string cause);

    [LoggerMessage(2, LogLevel.Error, "How far access requests are recorded could not be kept in {Path}: {Cause}; after a restart some may be recorded twice")]
    public static partial void NotKept(this ILogger logger, string path, string cause);
}
