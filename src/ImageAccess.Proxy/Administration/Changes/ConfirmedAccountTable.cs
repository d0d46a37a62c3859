using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Changes;

/// <summary>The table of the accounts that people have confirmed behind user names.</summary>
internal sealed class ConfirmedAccountTable(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "accounts";

    /// <summary>How many are kept that others have replaced.</summary>
    public const int MaximumHistory = 1000;

    /// <summary>Those that count, by name.</summary>
    public Task<List<ConfirmedAccountRow>> ListAsync(CancellationToken cancellationToken) => context.ConfirmedAccounts.AsNoTracking()
        .Where(row => row.ReplacedVersion == null)
        .OrderBy(row => row.Name)
        .Take(ConfirmedAccounts.Maximum)
        .ToListAsync(cancellationToken);

    /// <summary>Those that count, and those that came since a reader last looked.</summary>
    /// <param name="seen">Where that reader was; null where it has seen nothing, and the history is not its own.</param>
    public async Task<(SequencePoint Point, List<ConfirmedAccountRow> Rows)> ReadAsync(SequencePoint? seen, CancellationToken cancellationToken)
    {
        var point = await SequenceRow.ReadAsync(context, Sequence, cancellationToken);
        var since = seen is { } known && known.Value <= point.Value ? known.Value : long.MaxValue;
        var rows = await context.ConfirmedAccounts.AsNoTracking()
            .Where(row => row.ReplacedVersion == null || row.Version > since)
            .OrderBy(row => row.Version)
            .ToListAsync(cancellationToken);
        return (point, rows);
    }

    public Task<ConfirmedAccountRow?> FindAsync(string name, CancellationToken cancellationToken) =>
        context.ConfirmedAccounts.FirstOrDefaultAsync(row => row.Name == name && row.ReplacedVersion == null, cancellationToken);

    public Task<int> CountAsync(CancellationToken cancellationToken) => context.ConfirmedAccounts.CountAsync(row => row.ReplacedVersion == null, cancellationToken);

    /// <summary>It replaces the one of the same name.</summary>
    public async Task<ConfirmedAccountRow> AddAsync(ConfirmedAccountRow confirmed, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        if (await FindAsync(confirmed.Name, cancellationToken) is { } former)
            former.ReplacedVersion = sequence.Value;
        var row = confirmed with { Version = sequence.Value };
        context.ConfirmedAccounts.Add(row);
        await context.SaveChangesAsync(cancellationToken);
        var beyond = context.ConfirmedAccounts
            .Where(other => other.ReplacedVersion != null)
            .OrderByDescending(other => other.ReplacedVersion)
            .Skip(MaximumHistory)
            .Select(other => other.Id);
        await context.ConfirmedAccounts.Where(other => beyond.Contains(other.Id)).ExecuteDeleteAsync(cancellationToken);
        return row;
    }
}
