using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Callers.Members;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>The room as the host composes it, in front of a token service on loopback, with everything it says written down.</summary>
internal sealed class IdentityRoom : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 5, 4, 12, 0, 0, TimeSpan.Zero);

    private readonly ServiceProvider _provider;
    private readonly MeterListener _listener = new();

    private IdentityRoom(TokenServer server, ServiceProvider provider, ManualTime time, LogLines logs)
    {
        _provider = provider;
        Server = server;
        Time = time;
        Logs = logs;
        Identifier = provider.GetRequiredService<CallerIdentifier>();

        var meters = provider.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Name.StartsWith("imageaccess.token.", StringComparison.Ordinal))
                l.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            var labels = new List<string>();
            foreach (var tag in tags)
                labels.Add($"{tag.Key}={tag.Value}");
            Measurements.AddOrUpdate($"{instrument.Name} {string.Join(' ', labels)}", value, (_, sum) => sum + value);
        });
        _listener.Start();
    }

    public TokenServer Server { get; }

    public ManualTime Time { get; }

    public LogLines Logs { get; }

    public CallerIdentifier Identifier { get; }

    public TokenKeys Keys => _provider.GetRequiredService<TokenKeys>();

    public ConcurrentDictionary<string, long> Measurements { get; } = new(StringComparer.Ordinal);

    public DateTimeOffset Now => Time.GetUtcNow();

    /// <summary>How many tokens were believed without looking at them again.</summary>
    public long Remembered => Measurements.GetValueOrDefault("imageaccess.token.verifications result=remembered");

    public long Verified => Measurements.GetValueOrDefault("imageaccess.token.verifications result=verified");

    public static Task<IdentityRoom> OpenAsync(params (string Key, string Value)[] settings) => OpenAsync(Start, settings);

    public static async Task<IdentityRoom> OpenAsync(DateTimeOffset now, params (string Key, string Value)[] settings)
    {
        var server = await TokenServer.StartAsync();
        var time = new ManualTime(now);
        server.AnswerToken(() => TokenForge.Docker.AnonymousToken(time.GetUtcNow()));

        var logs = new LogLines();
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(time);
        services.AddLogging(l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(logs));
        var configuration = Configure([("Upstream:Auth", server.Address.ToString()), .. settings]);
        services.AddSingleton<IPolicyStore>(new SettablePolicy { Current = Policy.Off });
        services.AddDockerHub(configuration).AddIdentity(configuration);
        var room = new IdentityRoom(server, services.BuildServiceProvider(validateScopes: true), time, logs);
        await room.Keys.StartAsync(CancellationToken.None);
        return room;
    }

    public static IConfiguration Configure(params (string Key, string Value)[] settings)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in settings)
            values[key] = value;
        return new ConfigurationBuilder().AddInMemoryCollection(values).Build();
    }

    public Task<Identification> IdentifyAsync(string token) =>
        Identifier.IdentifyAsync($"Bearer {token}", CancellationToken.None).AsTask();

    /// <summary>A good token of the token service's present key, so that the key is known.</summary>
    public async Task LearnAsync() => Assert.IsType<Identification.Verified>(await IdentifyAsync(TokenForge.Docker.Token(Now)));

    public async Task<HealthReportEntry> CheckHealthAsync()
    {
        var report = await _provider.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Name == "identity");
        return report.Entries["identity"];
    }

    public void StopMeasuring() => _listener.Dispose();

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _provider.DisposeAsync();
        await Server.DisposeAsync();
    }
}
