using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>The table of the API's tokens.</summary>
internal sealed class TokenTable(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "tokens";

    /// <summary>How many may be in force.</summary>
    public const int Maximum = 1000;

    /// <summary>How many are kept that are over.</summary>
    public const int MaximumHistory = 1000;

    /// <summary>How many are told in one transaction.</summary>
    private const int Together = 200;

    public Task<ApiTokenRow?> FindAsync(byte[] hash, CancellationToken cancellationToken) =>
        context.ApiTokens.AsNoTracking().FirstOrDefaultAsync(row => row.Hash == hash, cancellationToken);

    public Task<ApiTokenRow?> FindAsync(long id, CancellationToken cancellationToken) =>
        context.ApiTokens.FirstOrDefaultAsync(row => row.Id == id, cancellationToken);

    public Task<ApiTokenRow?> FindWaitingAsync(byte[] hash, CancellationToken cancellationToken) =>
        context.ApiTokens.FirstOrDefaultAsync(row => row.Hash == hash && row.Waits, cancellationToken);

    /// <summary>Those that were made with a token, or with one of these, and are not revoked.</summary>
    public async Task<IReadOnlyList<ApiTokenRow>> ListDescendantsAsync(long id, CancellationToken cancellationToken)
    {
        var found = new List<ApiTokenRow>();
        for (List<long> parents = [id]; parents.Count > 0;)
        {
            var children = await context.ApiTokens.Where(row => row.Parent != null && parents.Contains(row.Parent.Value)).ToListAsync(cancellationToken);
            found.AddRange(children.Where(row => row.Revoked is null));
            parents = [.. children.Select(row => row.Id)];
        }

        return found;
    }

    /// <summary>The newest first.</summary>
    /// <param name="organization">Of this one alone; null for all.</param>
    /// <param name="before">Those with a lower number.</param>
    public Task<List<ApiTokenRow>> ListAsync(string? organization, long before, int count, CancellationToken cancellationToken) => context.ApiTokens.AsNoTracking()
        .Where(row => row.Id < before && (organization == null || row.Organization == organization))
        .OrderByDescending(row => row.Id)
        .Take(count)
        .ToListAsync(cancellationToken);

    public Task<int> CountInForceAsync(DateTimeOffset now, CancellationToken cancellationToken) => InForce(now).CountAsync(cancellationToken);

    /// <summary>Those in force that are a person's.</summary>
    /// <param name="organization">Of this one alone; null for all.</param>
    public Task<List<ApiTokenRow>> ListOfPersonsAsync(string? organization, DateTimeOffset now, CancellationToken cancellationToken) => InForce(now).AsNoTracking()
        .Where(row => row.Person != null && !row.Waits && (organization == null || row.Organization == organization))
        .OrderBy(row => row.Id)
        .Take(Maximum)
        .ToListAsync(cancellationToken);

    public async Task AddAsync(ApiTokenRow row, CancellationToken cancellationToken)
    {
        context.ApiTokens.Add(row);
        await SaveAsync(cancellationToken);
        var milliseconds = row.Created.ToUnixTimeMilliseconds();
        var beyond = context.ApiTokens
            .Where(other => other.Revoked != null || other.ExpiresMilliseconds <= milliseconds)
            .OrderByDescending(other => other.Id)
            .Skip(MaximumHistory)
            .Select(other => other.Id);
        await context.ApiTokens.Where(other => beyond.Contains(other.Id)).ExecuteDeleteAsync(cancellationToken);
    }

    /// <summary>Saves a change that others have to see.</summary>
    public async Task SaveAsync(CancellationToken cancellationToken)
    {
        await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        await context.SaveChangesAsync(cancellationToken);
    }

    /// <summary>Those of which the audit trail does not have everything.</summary>
    public Task<List<ApiTokenRow>> ListUntoldAsync(CancellationToken cancellationToken) => context.ApiTokens
        .Where(row => (row.Told == 0 && !row.Waits) || (row.Told == 1 && row.Revoked != null))
        .OrderBy(row => row.Id)
        .Take(Together)
        .ToListAsync(cancellationToken);

    private IQueryable<ApiTokenRow> InForce(DateTimeOffset now)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return context.ApiTokens.Where(row => row.Revoked == null && row.ExpiresMilliseconds > milliseconds);
    }

    /// <summary>It is no change: the sequence stays.</summary>
    public async Task AddUsesAsync(IReadOnlyDictionary<long, DateTimeOffset> uses, CancellationToken cancellationToken)
    {
        foreach (var ids in uses.Keys.Chunk(Together))
        {
            foreach (var row in await context.ApiTokens.Where(row => ids.Contains(row.Id)).ToListAsync(cancellationToken))
                row.LastUsed = row.LastUsed > uses[row.Id] ? row.LastUsed : uses[row.Id];
        }

        await context.SaveChangesAsync(cancellationToken);
    }
}
