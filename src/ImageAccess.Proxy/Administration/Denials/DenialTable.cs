using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Denials;

/// <summary>The table of the denials: the last ones, and none that is older than 30 days.</summary>
/// <param name="context">Where it is.</param>
/// <param name="maximum">How many there may be.</param>
internal sealed class DenialTable(DatabaseContext context, long maximum = DenialTable.Maximum)
{
    public const long Maximum = 1_000_000;

    /// <summary>What one answer may hold.</summary>
    public const int MaximumListed = 1000;

    /// <summary>How many are deleted in one transaction: others wait meanwhile.</summary>
    public const int MaximumDeleted = 1000;

    public static readonly TimeSpan Keep = TimeSpan.FromDays(30);

    /// <summary>Adds what is not there yet, and deletes some of what is too old or too much.</summary>
    /// <returns>Whether there is more to delete.</returns>
    public async Task<bool> AddAsync(IReadOnlyList<DenialRow> rows, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var ids = rows.Select(row => row.Id).ToList();
        var known = ids.Count == 0 ? [] : await context.Denials.Where(row => ids.Contains(row.Id)).Select(row => row.Id).ToListAsync(cancellationToken);
        context.Denials.AddRange(rows.DistinctBy(row => row.Id).ExceptBy(known, row => row.Id).Select(row => row with { Number = 0 })); // some were written, and the answer was lost
        await context.SaveChangesAsync(cancellationToken);

        var before = (now - Keep).ToUnixTimeMilliseconds();
        var last = await context.Denials.MaxAsync(row => (long?)row.Number, cancellationToken) ?? 0;
        var old = context.Denials.Where(row => row.TimeMilliseconds < before).OrderBy(row => row.TimeMilliseconds);
        var beyond = context.Denials.Where(row => row.Number <= last - maximum).OrderBy(row => row.Number);
        return await DeleteAsync(old, cancellationToken) | await DeleteAsync(beyond, cancellationToken);
    }

    /// <summary>The newest first: those of an organization, of a caller, or all.</summary>
    public Task<List<DenialRow>> ListAsync(string? organization, string? caller, int count, CancellationToken cancellationToken) =>
        PageAsync(DenialView.Everything, organization, caller, long.MaxValue, count, cancellationToken);

    /// <summary>The same, as somebody may see them.</summary>
    /// <param name="before">Those with a lower number.</param>
    public Task<List<DenialRow>> PageAsync(
        DenialView view, string? organization, string? caller, long before, int count, CancellationToken cancellationToken) => view.Of(context.Denials.AsNoTracking())
        .Where(row => row.Number < before)
        .Where(row => (organization == null || row.Organizations.Contains(organization)) && (caller == null || row.Caller == caller))
        .OrderByDescending(row => row.Number)
        .Take(Math.Min(count, MaximumListed))
        .ToListAsync(cancellationToken);

    /// <summary>The denial with this id.</summary>
    public Task<DenialRow?> FindAsync(string id, CancellationToken cancellationToken) =>
        context.Denials.AsNoTracking().FirstOrDefaultAsync(row => row.Id == id, cancellationToken);

    /// <summary>Two questions, each by its own index: one for both would read the whole table.</summary>
    private async Task<bool> DeleteAsync(IQueryable<DenialRow> rows, CancellationToken cancellationToken)
    {
        var some = rows.Take(MaximumDeleted).Select(row => row.Number);
        return await context.Denials.Where(row => some.Contains(row.Number)).ExecuteDeleteAsync(cancellationToken) == MaximumDeleted;
    }
}
