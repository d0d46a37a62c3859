using System.Diagnostics.Metrics;
using System.Runtime.Versioning;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Export;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Export;

/// <summary>A trail that a real sink writes and rotates, and what sends it to a receiver.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class ExportRoom : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly List<ServiceProvider> _built = [];

    public ExportRoom()
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        Metrics = new ExportMetrics(meters);
        Counts = new MeterReadings(meters);
        Exporter = Restart(Receiver);
    }

    /// <summary>Rotated after 128 KiB.</summary>
    public TrailRoom Trail { get; } = new(maximumSize: 2 * 1024 * 1024);

    public ManualTime Time => Trail.Time;

    public ExportMetrics Metrics { get; }

    public MeterReadings Counts { get; }

    public LogLines Log { get; } = new();

    public FakeReceiver Receiver { get; } = new();

    public TrailExporter Exporter { get; private set; }

    public string Position => Trail["export.json"];

    /// <summary>The ids of all events that the files have, checkpoints included, the oldest first.</summary>
    public IReadOnlyList<string> Kept => [.. Trail.Files.Reverse().SelectMany(TrailRoom.Lines).Select(IdOf)];

    public static string IdOf(string line) => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("id").GetString()!;

    /// <summary>Another process, which knows what is on the disk.</summary>
    public TrailExporter Restart(ITrailReceiver receiver) => Exporter = new TrailExporter(receiver, Trail.Trail, Position, Metrics, Time, Log);

    public async Task LookAsync()
    {
        Time.Advance(TimeSpan.FromMinutes(1)); // past the longest pause of a look that finds nothing new
        await Exporter.LookAsync(default);
    }

    /// <summary>Connections of the program, which trust the certificate of a receiver, and find it under its name.</summary>
    public UpstreamConnections Connections(string? pem = null, string host = SyslogServer.Host)
    {
        var settings = new Dictionary<string, string?> { [$"Upstream:Addresses:{host}"] = "127.0.0.1", ["Upstream:Addresses:metadata.example.com"] = "169.254.169.254" };
        if (pem is not null)
        {
            File.WriteAllText(Trail["ca.pem"], pem);
            settings["Upstream:TrustedCertificates"] = Trail["ca.pem"];
        }

        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        var provider = new ServiceCollection().AddSingleton<TimeProvider>(Time).AddLogging(logging => logging.ClearProviders()).AddDockerHub(configuration).BuildServiceProvider();
        _built.Add(provider);
        return provider.GetRequiredService<UpstreamConnections>();
    }

    public void Dispose()
    {
        foreach (var provider in _built)
            provider.Dispose();
        Counts.Dispose();
        _services.Dispose();
        Trail.Dispose();
    }
}

/// <summary>Takes what it gets, or answers as a test says.</summary>
internal sealed class FakeReceiver : ITrailReceiver
{
    private readonly List<ExportedEvent> _taken = [];

    public string Name => "syslog";

    public string Section => "Audit:Export:Syslog";

    public TimeSpan Pause => TimeSpan.FromSeconds(5);

    /// <summary>Asked with how many events.</summary>
    public Func<int, ExportAnswer> Answer { get; set; } = _ => ExportAnswer.Taken;

    public List<int> Batches { get; } = [];

    /// <summary>Done once, after the next batch was taken.</summary>
    public Action? Then { get; set; }

    public IReadOnlyList<ExportedEvent> Taken => _taken;

    public IReadOnlyList<string> Ids => [.. _taken.Select(audit => audit.Id)];

    public Task<ExportAnswer> SendAsync(IReadOnlyList<ExportedEvent> events, CancellationToken cancellationToken)
    {
        Batches.Add(events.Count);
        var answer = Answer(events.Count);
        if (answer.Cause is null)
            _taken.AddRange(events);
        var then = Then;
        Then = null;
        then?.Invoke();
        return Task.FromResult(answer);
    }
}
