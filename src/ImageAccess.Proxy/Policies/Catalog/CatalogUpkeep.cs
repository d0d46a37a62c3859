using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// The work beside the requests: reads the records and pins at the start, watches the pins, writes new records,
/// and asks again for namespaces in use before their records are out of date.
/// </summary>
internal sealed class CatalogUpkeep(
    FileCatalogSource pins, NamespaceFile file, NamespaceMemory memory, PublisherCatalog catalog, TimeProvider time) : BackgroundService, IKept
{
    public static readonly TimeSpan FilePeriod = TimeSpan.FromMilliseconds(500);
    public static readonly TimeSpan RefreshPeriod = TimeSpan.FromMinutes(1);

    /// <summary>Questions of one round of refreshing: with those of callers they stay below the Hub API's limit.</summary>
    private const int MaximumRefreshed = 30;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        pins.Open();
        file.Load(memory);
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        Keep();
    }

    public void Keep() => file.Save(memory);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(LookAfterFilesAsync(stoppingToken), RefreshAsync(stoppingToken));

    private async Task LookAfterFilesAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(FilePeriod, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            pins.Refresh();
            Keep();
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(RefreshPeriod, time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
            await catalog.RefreshAsync(MaximumRefreshed, cancellationToken);
    }
}
