using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>The table of the changes that wait for a second person, or waited.</summary>
internal sealed class PendingChanges(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "changes";

    /// <summary>How many may wait, in all.</summary>
    public const int MaximumWaiting = 1000;

    /// <summary>How many are kept that wait no longer.</summary>
    public const int MaximumHistory = 10_000;

    /// <summary>Those that wait, the oldest first; all of them, or one organization's. Without what they would do.</summary>
    public Task<List<PendingChangeRow>> ListWaitingAsync(string? organization, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return Shown(context.PendingChanges
            .Where(row => row.State == PendingChangeRow.Waiting && row.UntilMilliseconds > milliseconds && (organization == null || row.Organization == organization))
            .OrderBy(row => row.Id)
            .Take(MaximumWaiting)).ToListAsync(cancellationToken);
    }

    public Task<PendingChangeRow?> FindAsync(long id, CancellationToken cancellationToken) =>
        context.PendingChanges.FirstOrDefaultAsync(row => row.Id == id, cancellationToken);

    /// <summary>Those that came, or ceased to wait, after a change of the table. Without what they would do.</summary>
    public Task<List<PendingChangeRow>> ReadSinceAsync(long version, CancellationToken cancellationToken) => Shown(context.PendingChanges
        .Where(row => row.Version > version || row.DecidedVersion > version)
        .OrderBy(row => row.DecidedVersion ?? row.Version)).ToListAsync(cancellationToken);

    public async Task<PendingChangeRow> AddAsync(PendingChangeRow change, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        var row = change with { Version = sequence.Value };
        context.PendingChanges.Add(row);
        await context.SaveChangesAsync(cancellationToken);
        return row;
    }

    /// <summary>It waits no longer.</summary>
    /// <param name="row">The change.</param>
    /// <param name="state">What became of it.</param>
    /// <param name="by">Who decided; null where nobody did.</param>
    /// <param name="reason">Why.</param>
    /// <param name="now">When.</param>
    public async Task DecideAsync(PendingChangeRow row, string state, string? by, string? reason, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        (row.State, row.DecidedVersion, row.DecidedBy, row.DecidedReason, row.DecidedAt) = (state, sequence.Value, by, reason, now);
        row.Payload = ""; // nobody does it any more, and thousands of documents would be kept for nothing
        await context.SaveChangesAsync(cancellationToken);
        await ForgetAsync(cancellationToken);
    }

    /// <summary>Ends those that nobody has approved in time.</summary>
    public async Task<IReadOnlyList<PendingChangeRow>> EndOverdueAsync(DateTimeOffset now, string reason, CancellationToken cancellationToken)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        var overdue = await context.PendingChanges
            .Where(row => row.State == PendingChangeRow.Waiting && row.UntilMilliseconds <= milliseconds)
            .ToListAsync(cancellationToken);
        foreach (var row in overdue)
            await DecideAsync(row, PendingChangeRow.Ended, by: null, reason, row.Until, cancellationToken);
        return overdue;
    }

    /// <summary>Each may have a document of a megabyte, which nobody looks at in a list.</summary>
    private static IQueryable<PendingChangeRow> Shown(IQueryable<PendingChangeRow> rows) => rows.Select(row => new PendingChangeRow
    {
        Id = row.Id,
        Kind = row.Kind,
        Organization = row.Organization,
        Payload = "",
        Opens = row.Opens,
        By = row.By,
        Person = row.Person,
        Reason = row.Reason,
        Ticket = row.Ticket,
        At = row.At,
        UntilMilliseconds = row.UntilMilliseconds,
        State = row.State,
        Version = row.Version,
        DecidedVersion = row.DecidedVersion,
        DecidedBy = row.DecidedBy,
        DecidedReason = row.DecidedReason,
        DecidedAt = row.DecidedAt,
    });

    /// <summary>Of those that wait no longer, the ones that were decided longest ago.</summary>
    private Task<int> ForgetAsync(CancellationToken cancellationToken)
    {
        var beyond = context.PendingChanges
            .Where(row => row.DecidedVersion != null)
            .OrderByDescending(row => row.DecidedVersion)
            .Skip(MaximumHistory)
            .Select(row => row.Id);
        return context.PendingChanges.Where(row => beyond.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
    }
}
