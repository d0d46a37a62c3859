using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Activity;

/// <summary>
/// What people did, by time. Whoever reads a window of it, on whichever replica, has read it for good: the reader notes up to when it was told, under
/// the lock of whoever writes, and what is entered afterwards has a later time. So windows that follow each other have no gap and no repeat, although
/// clocks differ and some changes come to the database late.
/// </summary>
internal sealed class ActivityLog(SqlDatabase database, TimeProvider time)
{
    /// <summary>The name of the sequence whose number is the time, in milliseconds since 1970, before which nothing is entered any more.</summary>
    public const string Told = "activity";

    /// <summary>How long entries are kept.</summary>
    public static readonly TimeSpan Keep = TimeSpan.FromDays(400);

    /// <summary>By how much the clock of whoever asks may be ahead of this one.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);

    /// <summary>The newest first. A window without an end ends now.</summary>
    public async Task<List<ActivityRow>> ReadAsync(ActivityQuery query, CancellationToken cancellationToken)
    {
        var (told, now) = ((await database.ReadSequenceAsync(Told, cancellationToken)).Value, time.GetUtcNow());
        var before = query.Before is { } end
            ? Math.Min(end.ToUnixTimeMilliseconds(), (now + Skew).ToUnixTimeMilliseconds())
            : Math.Max(now.ToUnixTimeMilliseconds(), told) + 1;
        if (told < before)
            await database.WriteAsync(context => CollectAsync(context, before, now - Keep, cancellationToken), cancellationToken);
        return await database.ReadAsync(context => Find(context, query, before).ToListAsync(cancellationToken), cancellationToken);
    }

    private static IQueryable<ActivityRow> Find(DatabaseContext context, ActivityQuery query, long before)
    {
        var from = query.From?.ToUnixTimeMilliseconds() ?? 0;
        return context.Activity.AsNoTracking()
            .Where(row => row.TimeMilliseconds >= from && row.TimeMilliseconds < before)
            .Where(row => row.Organization == null || row.Organization == query.Organization)
            .Where(row => query.Action == null || row.Action == query.Action)
            .Where(row => query.Actor == null || row.Actor == query.Actor)
            .Where(row => query.Name == null || row.Name == query.Name)
            .OrderByDescending(row => row.TimeMilliseconds)
            .ThenByDescending(row => row.Number)
            .Skip((query.Page - 1) * query.PageSize)
            .Take(query.PageSize);
    }

    private static async Task CollectAsync(DatabaseContext context, long before, DateTimeOffset keptSince, CancellationToken cancellationToken)
    {
        var told = await ActivitySources.CursorAsync(context, Told, cancellationToken);
        var oldest = keptSince.ToUnixTimeMilliseconds();
        var steps = await new ActivitySources(context).ReadAsync(cancellationToken);
        foreach (var step in steps.Where(step => step.TimeMilliseconds >= oldest).OrderBy(step => step.TimeMilliseconds))
            context.Activity.Add(step with { TimeMilliseconds = Math.Max(step.TimeMilliseconds, told.Value) });
        told.Value = Math.Max(told.Value, before);
        await context.SaveChangesAsync(cancellationToken);
        await context.Activity.Where(row => row.TimeMilliseconds < oldest).ExecuteDeleteAsync(cancellationToken);
    }
}

/// <summary>Which part of the log: from a time on, before another one.</summary>
internal sealed record ActivityQuery(string Organization, int Page, int PageSize)
{
    public string? Action { get; init; }

    public string? Actor { get; init; }

    public string? Name { get; init; }

    public DateTimeOffset? From { get; init; }

    public DateTimeOffset? Before { get; init; }
}
