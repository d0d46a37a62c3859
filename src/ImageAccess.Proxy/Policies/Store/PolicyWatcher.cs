namespace ImageAccess.Proxy.Policies.Store;

/// <summary>Opens the store before the listeners open, and looks at the document twice a second.</summary>
internal sealed class PolicyWatcher(PolicyStore store, PolicyReader reader, PolicyHistory history, ExpiryWarnings expiry, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        history.Follow(store);
        if (store.Source == PolicySource.Database)
            await reader.ReadFirstAsync(cancellationToken);
        store.Open();
        expiry.Look();
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        store.End();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            store.Refresh();
            expiry.Look();
        }
    }
}
