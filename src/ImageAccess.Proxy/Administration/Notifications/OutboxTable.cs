using System.Text;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>The table of the notifications: those that wait, and for a while those that were told, so that nothing is told twice.</summary>
internal sealed class OutboxTable(DatabaseContext context)
{
    /// <summary>How many may wait.</summary>
    public const int MaximumWaiting = 10_000;

    /// <summary>How many are kept that wait no longer.</summary>
    public const int MaximumHistory = 100_000;

    /// <summary>How long they are kept: by then an exception that is not used is told of again.</summary>
    public static readonly TimeSpan Keep = TimeSpan.FromDays(400);

    /// <summary>How long another process may take to see the same: a file of the policy comes to replicas one by one.</summary>
    public static readonly TimeSpan Together = TimeSpan.FromMinutes(10);

    /// <summary>How many rows are deleted in one transaction.</summary>
    private const int MaximumDeleted = 1000;

    /// <summary>Whether each of these keys is known already for every one of the receivers.</summary>
    public Task<List<string>> FindKnownAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        context.Outbox.Where(row => keys.Contains(row.Key)).Select(row => row.Key).Distinct().ToListAsync(cancellationToken);

    /// <summary>Adds one for each receiver that wants its kind, unless it has been told.</summary>
    /// <returns>How many found no room.</returns>
    public async Task<int> AddAsync(IReadOnlyList<Notice> notices, string origin, IReadOnlyList<IReceiver> receivers, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (lost, room) = (0, MaximumWaiting - await context.Outbox.CountAsync(row => row.State == OutboxRow.Waiting, cancellationToken));
        foreach (var notice in notices)
        {
            var told = await FindToldAsync(notice, origin, now, cancellationToken);
            foreach (var receiver in receivers.Where(receiver => receiver.Wants(notice) && !told.Contains(receiver.Name)))
            {
                if (room-- > 0)
                    context.Outbox.Add(RowOf(notice, origin, receiver.Name, now));
                else
                    lost++;
            }

            await context.SaveChangesAsync(cancellationToken);
        }

        return lost;
    }

    /// <summary>When the first of a receiver's is due; null while none waits.</summary>
    public async Task<DateTimeOffset?> FindNextAsync(string receiver, CancellationToken cancellationToken)
    {
        var next = await Waiting(receiver).MinAsync(row => (long?)row.NextMilliseconds, cancellationToken);
        return next is { } milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null;
    }

    /// <summary>Takes one that is due: nobody else does before the time is over.</summary>
    public async Task<OutboxRow?> ClaimAsync(string receiver, string lease, DateTimeOffset now, TimeSpan length, CancellationToken cancellationToken)
    {
        var milliseconds = now.ToUnixTimeMilliseconds();
        var row = await Waiting(receiver).Where(row => row.NextMilliseconds <= milliseconds).OrderBy(row => row.Number).FirstOrDefaultAsync(cancellationToken);
        if (row is null)
            return null;
        (row.Lease, row.Tries, row.NextMilliseconds) = (lease, row.Tries + 1, (now + length).ToUnixTimeMilliseconds());
        await context.SaveChangesAsync(cancellationToken);
        return row;
    }

    /// <summary>The try has ended: the receiver has it, it waits until then, or (null) it is given up.</summary>
    public async Task SettleAsync(OutboxRow claimed, bool isSent, DateTimeOffset? next, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var row = await context.Outbox.FirstOrDefaultAsync(row => row.Number == claimed.Number && row.State == OutboxRow.Waiting, cancellationToken);
        if (row is null || (!isSent && row.Lease != claimed.Lease))
            return; // whoever has it now settles it
        row.Lease = null;
        if (isSent || next is null)
            (row.State, row.Content, row.SettledMilliseconds) = (isSent ? OutboxRow.Sent : OutboxRow.GivenUp, "", now.ToUnixTimeMilliseconds());
        else
            row.NextMilliseconds = next.Value.ToUnixTimeMilliseconds();
        await context.SaveChangesAsync(cancellationToken);
    }

    /// <summary>How many each receiver never took since then.</summary>
    public async Task<IReadOnlyDictionary<string, int>> CountGivenUpAsync(DateTimeOffset since, CancellationToken cancellationToken)
    {
        var milliseconds = since.ToUnixTimeMilliseconds();
        return await context.Outbox.Where(row => row.State == OutboxRow.GivenUp && row.SettledMilliseconds >= milliseconds)
            .GroupBy(row => row.Receiver)
            .ToDictionaryAsync(group => group.Key, group => group.Count(), cancellationToken);
    }

    /// <summary>Gives up what waits for a receiver that is configured no longer, and deletes some of what is too old or too much.</summary>
    public async Task PruneAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (old, stale) = ((now - Keep).ToUnixTimeMilliseconds(), (now - Notice.Lifetime - TimeSpan.FromDays(1)).ToUnixTimeMilliseconds());
        await context.Outbox.Where(row => row.State == OutboxRow.Waiting && row.CreatedMilliseconds < stale)
            .ExecuteUpdateAsync(
                row => row.SetProperty(each => each.State, OutboxRow.GivenUp).SetProperty(each => each.Content, "").SetProperty(each => each.SettledMilliseconds, now.ToUnixTimeMilliseconds()),
                cancellationToken);
        await DeleteAsync(Settled().Where(row => row.CreatedMilliseconds < old).OrderBy(row => row.Number), cancellationToken);
        await DeleteAsync(Settled().OrderByDescending(row => row.Number).Skip(MaximumHistory), cancellationToken);
    }

    private IQueryable<OutboxRow> Waiting(string receiver) => context.Outbox.Where(row => row.State == OutboxRow.Waiting && row.Receiver == receiver);

    private IQueryable<OutboxRow> Settled() => context.Outbox.Where(row => row.State != OutboxRow.Waiting);

    private Task<int> DeleteAsync(IQueryable<OutboxRow> rows, CancellationToken cancellationToken)
    {
        var some = rows.Take(MaximumDeleted).Select(row => row.Number);
        return context.Outbox.Where(row => some.Contains(row.Number)).ExecuteDeleteAsync(cancellationToken);
    }

    /// <summary>Of a fact that can occur again, what another process has told just now is the same.</summary>
    private Task<List<string>> FindToldAsync(Notice notice, string origin, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (key, again, since) = (notice.Key, notice.Fact + ":", (now - Together).ToUnixTimeMilliseconds());
        var rows = notice.IsUnique
            ? context.Outbox.Where(row => row.Key == key)
            : context.Outbox.Where(row => row.Key == key || (row.Key.StartsWith(again) && row.Origin != origin && row.CreatedMilliseconds >= since));
        return rows.Select(row => row.Receiver).Distinct().ToListAsync(cancellationToken);
    }

    private static OutboxRow RowOf(Notice notice, string origin, string receiver, DateTimeOffset now) => new()
    {
        Id = notice.Id,
        Key = notice.Key,
        Origin = origin,
        Receiver = receiver,
        Content = Encoding.UTF8.GetString(notice.ToBytes()),
        CreatedMilliseconds = now.ToUnixTimeMilliseconds(),
        NextMilliseconds = now.ToUnixTimeMilliseconds(),
        State = OutboxRow.Waiting,
    };
}
