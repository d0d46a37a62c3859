namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// The work in the background: opens the directory, at the start or as soon as that is possible, finds the content in it, evicts old
/// content, and writes the journal.
/// </summary>
internal sealed class CacheUpkeep(DirectoryStore store, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stopping = new();
    private Task _journal = Task.CompletedTask;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        store.TryOpen();
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Writes what is pending; a failing disk gets a grace period.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        store.CompleteJournal();
        _stopping.CancelAfter(Grace);
        await base.StopAsync(cancellationToken);
        await _journal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        store.Touch(TimeSpan.FromMinutes(1));
    }

    public override void Dispose()
    {
        _stopping.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using var timer = new PeriodicTimer(Period, time);
        while (!store.IsOpen && !store.TryOpen())
            await timer.WaitForNextTickAsync(stoppingToken);

        _journal = store.WriteJournalAsync(_stopping.Token);
        store.Scan(stoppingToken);
        await Task.WhenAll(MakeRoomAsync(stoppingToken), LookAfterAsync(timer, stoppingToken));
    }

    private async Task MakeRoomAsync(CancellationToken cancellationToken)
    {
        while (await store.Budget.RoomWanted.WaitToReadAsync(cancellationToken))
        {
            store.Budget.RoomWanted.TryRead(out _);
            store.MakeRoom();
        }
    }

    private async Task LookAfterAsync(PeriodicTimer timer, CancellationToken cancellationToken)
    {
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            store.Touch(DirectoryStore.TouchAfter);
            store.Budget.WantRoom(0);
        }
    }
}
