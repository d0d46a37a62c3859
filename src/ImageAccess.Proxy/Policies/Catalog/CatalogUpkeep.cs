namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// The work beside the requests: reads the records and pins at the start, watches the pins, writes new records,
/// and asks again for namespaces in use before their records are out of date.
/// </summary>
internal sealed class CatalogUpkeep(
    FileCatalogSource pins, NamespaceFile file, NamespaceMemory memory, PublisherCatalog catalog, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan FilePeriod = TimeSpan.FromMilliseconds(500);
    public static readonly TimeSpan RefreshPeriod = TimeSpan.FromMinutes(1);

    /// <summary>Questions of one round of refreshing.</summary>
    private const int MaximumRefreshed = 50;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        pins.Open();
        file.Load(memory);
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        file.Save(memory);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(LookAfterFilesAsync(stoppingToken), RefreshAsync(stoppingToken));

    private async Task LookAfterFilesAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(FilePeriod, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            pins.Refresh();
            file.Save(memory);
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(RefreshPeriod, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
            await catalog.RefreshAsync(MaximumRefreshed, cancellationToken);
    }
}
