using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>The table of the exceptions.</summary>
internal sealed class ExceptionTable(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "exceptions";

    /// <summary>How many are kept that are over: by themselves, or because somebody ended them.</summary>
    public const int MaximumHistory = 10_000;

    /// <summary>One that nobody needed for so long is perhaps needed no more.</summary>
    public static readonly TimeSpan Unused = TimeSpan.FromDays(90);

    /// <summary>How long after its end one is still in the snapshot: its clock may be ahead of ours, and a denial may say that it ended.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromDays(30);

    /// <summary>How many ids one query names.</summary>
    private const int Together = 500;

    /// <summary>What a row says; null and why, where nothing may be opened by it.</summary>
    public static GrantedException? Parse(ExceptionRow row, out string problem)
    {
        Digest? digest = null;
        if (!GrantedException.TryParsePattern(row.Image, out var pattern, out problem))
            return null;
        if (row.Digest is not null && !Digest.TryParse(row.Digest, out digest))
            problem = "has a digest that is none";
        else if (pattern.Asked?.Tag is null ? digest is not null || row.Follow : digest is null && !row.Follow)
            problem = "does not say which image of the repository it opens";
        return problem.Length > 0
            ? null
            : new GrantedException(
                row.Id, row.Organization, pattern, digest, row.Follow, row.Reason, row.AskedBy, row.ApprovedBy, row.Since, row.Until)
            { Ticket = row.Ticket };
    }

    /// <summary>Those that nobody has ended, and those that were ended since a reader last looked.</summary>
    /// <param name="seen">Where that reader was; null where it has seen nothing, and the history is not its own.</param>
    public async Task<ExceptionReading> ReadAsync(SequencePoint? seen, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var point = await SequenceRow.ReadAsync(context, Sequence, cancellationToken);
        var after = (now - Remembered).ToUnixTimeMilliseconds();
        var open = await context.Exceptions.AsNoTracking()
            .Where(row => row.EndedVersion == null && (row.UntilMilliseconds == null || row.UntilMilliseconds > after))
            .OrderBy(row => row.UntilMilliseconds == null ? 0 : 1).ThenByDescending(row => row.UntilMilliseconds)
            .Take(Core.Policies.Exceptions.Maximum)
            .ToListAsync(cancellationToken);
        var known = seen?.Value ?? long.MaxValue;
        var ended = await context.Exceptions.AsNoTracking()
            .Where(row => row.EndedVersion > known)
            .OrderBy(row => row.EndedVersion)
            .ToListAsync(cancellationToken);
        return new ExceptionReading(point, open, ended);
    }

    /// <summary>The one in force for the same image of the same organization.</summary>
    public Task<ExceptionRow?> FindInForceAsync(string organization, string image, DateTimeOffset now, CancellationToken cancellationToken) =>
        InForce(now).AsNoTracking().Where(row => row.Organization == organization && row.Image == image).FirstOrDefaultAsync(cancellationToken);

    public Task<int> CountInForceAsync(DateTimeOffset now, CancellationToken cancellationToken) => InForce(now).CountAsync(cancellationToken);

    /// <summary>The newest first.</summary>
    public Task<List<ExceptionRow>> ListAsync(string? organization, ExceptionList list, DateTimeOffset now, CancellationToken cancellationToken) =>
        TakeAsync(
            (list == ExceptionList.Ended ? Over(now).OrderByDescending(row => row.EndedVersion ?? row.Version) : InForce(now).OrderByDescending(row => row.Version))
                .Where(row => organization == null || row.Organization == organization),
            list,
            now,
            Core.Policies.Exceptions.Maximum,
            cancellationToken);

    /// <summary>The same by falling numbers, those below one.</summary>
    public Task<List<ExceptionRow>> PageAsync(string? organization, ExceptionList list, DateTimeOffset now, long before, int count, CancellationToken cancellationToken) =>
        TakeAsync(
            (list == ExceptionList.Ended ? Over(now) : InForce(now))
                .Where(row => row.Id < before && (organization == null || row.Organization == organization))
                .OrderByDescending(row => row.Id),
            list,
            now,
            count,
            cancellationToken);

    public Task<ExceptionRow?> FindAsync(long id, CancellationToken cancellationToken) =>
        context.Exceptions.FirstOrDefaultAsync(row => row.Id == id, cancellationToken);

    public async Task<ExceptionRow> AddAsync(GrantedException granted, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        var row = new ExceptionRow
        {
            Organization = granted.Organization,
            Image = granted.Pattern.ToString(),
            Digest = granted.Approved?.Value,
            Follow = granted.Follow,
            Reason = granted.Reason,
            AskedBy = granted.AskedBy,
            Ticket = granted.Ticket,
            ApprovedBy = granted.ApprovedBy,
            Since = granted.Since,
            UntilMilliseconds = granted.Until?.ToUnixTimeMilliseconds(),
            Version = sequence.Value,
        };
        context.Exceptions.Add(row);
        await context.SaveChangesAsync(cancellationToken);
        await ForgetAsync(now, cancellationToken);
        return row;
    }

    public async Task EndAsync(ExceptionRow row, ExceptionEnd end, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var sequence = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        (row.EndedVersion, row.Ended, row.EndedBy, row.EndedReason, row.EndedTicket) = (sequence.Value, now, end.By, end.Reason, end.Ticket);
        await context.SaveChangesAsync(cancellationToken);
        await ForgetAsync(now, cancellationToken);
    }

    /// <summary>Adds to the counts. It is no change: the sequence stays.</summary>
    public async Task AddUsesAsync(IReadOnlyDictionary<long, ExceptionUse> uses, CancellationToken cancellationToken)
    {
        foreach (var ids in uses.Keys.Chunk(Together))
        {
            foreach (var row in await context.Exceptions.Where(row => ids.Contains(row.Id)).ToListAsync(cancellationToken))
            {
                var use = uses[row.Id];
                row.Uses += use.Count;
                row.LastUsed = row.LastUsed > use.Last ? row.LastUsed : use.Last;
            }

            await context.SaveChangesAsync(cancellationToken);
        }
    }

    private IQueryable<ExceptionRow> InForce(DateTimeOffset now)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return context.Exceptions.Where(row => row.EndedVersion == null && (row.UntilMilliseconds == null || row.UntilMilliseconds > milliseconds));
    }

    private IQueryable<ExceptionRow> Over(DateTimeOffset now)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        return context.Exceptions.Where(row => row.EndedVersion != null || row.UntilMilliseconds <= milliseconds);
    }

    /// <summary>Whether one was used is found in memory: SQLite compares no times.</summary>
    private static async Task<List<ExceptionRow>> TakeAsync(IQueryable<ExceptionRow> rows, ExceptionList list, DateTimeOffset now, int count, CancellationToken cancellationToken) =>
        list == ExceptionList.Unused
            ? [.. (await rows.AsNoTracking().ToListAsync(cancellationToken)).Where(row => now - (row.LastUsed ?? row.Since) >= Unused).Take(count)]
            : await rows.AsNoTracking().Take(count).ToListAsync(cancellationToken);

    /// <summary>Of those that are over, the ones that changed longest ago.</summary>
    private Task<int> ForgetAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var beyond = Over(now)
            .OrderByDescending(row => row.EndedVersion ?? row.Version).ThenByDescending(row => row.Id)
            .Skip(MaximumHistory)
            .Select(row => row.Id);
        return context.Exceptions.Where(row => beyond.Contains(row.Id)).ExecuteDeleteAsync(cancellationToken);
    }
}

/// <summary>Which exceptions are listed.</summary>
internal enum ExceptionList
{
    InForce,

    /// <summary>Those in force that nobody has used for <see cref="ExceptionTable.Unused"/>, or since they were granted so long ago.</summary>
    Unused,

    Ended,
}

/// <summary>Who ends an exception, and why.</summary>
internal sealed record ExceptionEnd(string By, string? Reason, string? Ticket = null);

/// <summary>What a reading found.</summary>
/// <param name="Point">Where the sequence was.</param>
/// <param name="Open">Those that nobody has ended.</param>
/// <param name="Ended">Those that somebody has ended since.</param>
internal sealed record ExceptionReading(SequencePoint Point, IReadOnlyList<ExceptionRow> Open, IReadOnlyList<ExceptionRow> Ended);
