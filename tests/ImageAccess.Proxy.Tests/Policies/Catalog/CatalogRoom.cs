using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>The room as the host composes it, over a data directory and in front of a Hub API on loopback.</summary>
internal sealed class CatalogRoom : IAsyncDisposable
{
    private const string Prefix = "imageaccess.catalog.";

    private readonly ServiceProvider _provider;
    private readonly IHostedService[] _hosted;
    private readonly MeterListener _listener = new();

    private CatalogRoom(ServiceProvider provider, ManualTime time, LogLines log)
    {
        _provider = provider;
        _hosted = [.. provider.GetServices<IHostedService>()];
        Time = time;
        Log = log;
        var meters = provider.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Name.StartsWith(Prefix, StringComparison.Ordinal))
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            var labels = new List<string>();
            foreach (var tag in tags)
                labels.Add($"{tag.Key}={tag.Value}");
            Measurements.AddOrUpdate($"{instrument.Name[Prefix.Length..]} {string.Join(' ', labels)}", value, (_, sum) => sum + value);
        });
        _listener.Start();
        Catalog = provider.GetRequiredService<PublisherCatalog>();
        Memory = provider.GetRequiredService<NamespaceMemory>();
        Pins = provider.GetRequiredService<FileCatalogSource>();
    }

    public PublisherCatalog Catalog { get; }

    public NamespaceMemory Memory { get; }

    public FileCatalogSource Pins { get; }

    public ManualTime Time { get; }

    public LogLines Log { get; }

    public ConcurrentDictionary<string, long> Measurements { get; } = new(StringComparer.Ordinal);

    /// <summary>The room built and not started.</summary>
    public static CatalogRoom Build(Uri hub, string data, ManualTime time, params (string Key, string Value)[] settings)
    {
        var configuration = new Dictionary<string, string?> { ["Upstream:Hub"] = hub.AbsoluteUri, ["Data:Directory"] = data };
        foreach (var (key, value) in settings)
            configuration[key] = value;

        var log = new LogLines();
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(time);
        services.AddMetrics();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Debug).AddFilter("System.Net.Http", LogLevel.None).AddFilter("Microsoft", LogLevel.None).AddProvider(log));
        var settled = new ConfigurationBuilder().AddInMemoryCollection(configuration).Build();
        services.AddLimits(settled).AddDockerHub(settled).AddCatalog(settled);
        return new CatalogRoom(services.BuildServiceProvider(validateScopes: true), time, log);
    }

    public static async Task<CatalogRoom> OpenAsync(Uri hub, string data, ManualTime time, params (string Key, string Value)[] settings)
    {
        var room = Build(hub, data, time, settings);
        await room.StartAsync();
        return room;
    }

    public async Task StartAsync()
    {
        foreach (var hosted in _hosted)
            await hosted.StartAsync(CancellationToken.None);
    }

    /// <summary>What one caller is told, as text: the badge and its source, or that it is unavailable.</summary>
    public async Task<string> FindAsync(string @namespace, string caller = "user alice") =>
        Text(await Catalog.FindAsync(@namespace, Payer(caller), CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(60)));

    /// <param name="caller"><c>user alice</c>, or an address.</param>
    public static CatalogPayer Payer(string caller) => IPAddress.TryParse(caller, out var address)
        ? CatalogPayer.Client(Caller.Anonymous, address)
        : CatalogPayer.Client(Caller.SignedIn(caller, caller), null);

    /// <summary>The same, while the room's clock runs; and how long it took by that clock.</summary>
    public async Task<(string Answer, TimeSpan Took)> FindInTimeAsync(string @namespace, string caller = "user alice")
    {
        var started = Time.GetUtcNow();
        var finding = FindAsync(@namespace, caller);
        while (!finding.IsCompleted)
        {
            await Task.WhenAny(finding, Task.Delay(4));
            if (!finding.IsCompleted)
                Time.Advance(TimeSpan.FromMilliseconds(10)); // slowly: a busy machine answers late
        }

        return (await finding, Time.GetUtcNow() - started);
    }

    public static string Text(PublisherFacts facts) =>
        facts.Record is { } record ? $"{record.Badge} by {record.Source}" : ReferenceEquals(facts, PublisherFacts.Unavailable) ? "unavailable" : "not asked";

    /// <summary>Why the catalog is degraded; null when it is not.</summary>
    public async Task<string?> ConcernAsync()
    {
        var report = await _provider.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        var entry = report.Entries["catalog"];
        Assert.Equal(entry.Description is null ? HealthStatus.Healthy : HealthStatus.Degraded, entry.Status);
        return entry.Description;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var hosted in _hosted)
            await hosted.StopAsync(CancellationToken.None);
        _listener.Dispose();
        await _provider.DisposeAsync();
    }
}

/// <summary>A fake hub, a clock and a data directory; rooms come and go over them.</summary>
public sealed class CatalogSurroundings : IAsyncDisposable
{
    private CatalogSurroundings(FakeHub hub, ManualTime time) => (Hub, Time) = (hub, time);

    public FakeHub Hub { get; }

    public ManualTime Time { get; }

    public TemporaryDirectory Data { get; } = new();

    /// <summary>How often the Hub API was asked about namespaces.</summary>
    public int Asked => Hub.Requests.Of(Face.Hub).Count;

    public static async Task<CatalogSurroundings> StartAsync()
    {
        var time = new ManualTime();
        var hub = await FakeHub.StartAsync(options => options.Time = time);
        hub.Namespaces.Add("bitnami", "verified_publisher");
        hub.Namespaces.Add("curl", "open_source");
        hub.Namespaces.Add("plain", null);
        hub.Namespaces.Add("someuser", "", NamespaceKind.User);
        return new CatalogSurroundings(hub, time);
    }

    internal Task<CatalogRoom> OpenAsync(params (string Key, string Value)[] settings) => CatalogRoom.OpenAsync(Hub.Hub, Data.Path, Time, settings);

    internal CatalogRoom Build(params (string Key, string Value)[] settings) => CatalogRoom.Build(Hub.Hub, Data.Path, Time, settings);

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        Data.Dispose();
    }
}
