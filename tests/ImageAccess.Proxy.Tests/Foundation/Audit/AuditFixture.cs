using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>The room put together by hand over a sink that a test looks into.</summary>
public sealed class AuditFixture : IDisposable
{
    private static readonly Policy Policy = Compile("""
        { "organizations": [
            { "name": "acme", "enabled": true, "owners": [ "alice" ], "members": [ "bob" ], "allow": { "official": true } },
            { "name": "beta", "enabled": true, "mode": "observe", "members": [ "olga" ] } ] }
        """);

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public AuditFixture(
        int capacity = PendingEvents.DefaultCapacity, int reserve = PendingEvents.DefaultReserve, long maximumSize = 1024 * 1024 * 1024, object? names = null)
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        Pending = new PendingEvents(capacity, Time, reserve) { Names = names as CallerNames ?? CallerNames.Plain };
        Metrics = new AuditMetrics(meters, Pending);
        Counts = new MeterReadings(meters);
        Trail = new AuditTrail(Pending, Metrics, Options.Create(new AuditOptions { MaximumSize = maximumSize }), Time, TrailLog);
        Writer = new AuditWriter(Pending, Trail, Sink, Metrics, Time, WriterLog);
    }

    public ManualTime Time { get; } = new();

    public MemorySink Sink { get; } = new();

    public PendingEvents Pending { get; }

    public AuditMetrics Metrics { get; }

    public MeterReadings Counts { get; }

    public AuditTrail Trail { get; }

    public AuditWriter Writer { get; }

    public LogLines<AuditTrail> TrailLog { get; } = new();

    public LogLines<AuditWriter> WriterLog { get; } = new();

    public static AccessDecision Decide(string caller, string repository, PublisherFacts? publisher = null)
    {
        Assert.True(RepositoryName.TryParse(repository, out var name));
        return PolicyEngine.Decide(
            Policy, Caller.SignedIn(caller, "sub-of-" + caller), name, publisher ?? PublisherFacts.Unavailable, new DateTimeOffset(2026, 6, 1, 0, 0, 0, TimeSpan.Zero));
    }

    public static RepositoryRequest Parse(string method, string target)
    {
        Assert.True(RegistryRequest.TryParse(method, target, out var request, out var error), error?.ToString());
        return Assert.IsAssignableFrom<RepositoryRequest>(request);
    }

    public static DefaultHttpContext Http(string method = "GET", string? userAgent = "docker/29.0")
    {
        var http = new DefaultHttpContext();
        http.Request.Method = method;
        http.Connection.RemoteIpAddress = IPAddress.Parse("::ffff:192.0.2.7");
        if (userAgent is not null)
            http.Request.Headers.UserAgent = userAgent;
        return http;
    }

    /// <summary>A denial: community images are not allowed to bob.</summary>
    public AuditEntry Denied(
        string repository = "someuser/custom-image",
        string? caller = "bob",
        string client = "::ffff:192.0.2.7",
        string method = "GET",
        string tag = "latest",
        CancellationToken gone = default)
    {
        var http = Http(method);
        http.RequestAborted = gone;
        http.Connection.RemoteIpAddress = IPAddress.Parse(client);
        var entry = Trail.Open(http);
        entry.WayIn = "mirror";
        entry.Caller = caller is null ? Caller.Anonymous : Caller.SignedIn(caller, "sub-of-" + caller);
        entry.Request = Parse(method, $"/v2/{repository}/manifests/{tag}");
        entry.Decision = Decide("bob", repository, PublisherFacts.Known(
            new NamespaceRecord(entry.Request.Repository.Namespace, NamespaceBadge.None, "hub", Time.GetUtcNow() - TimeSpan.FromSeconds(90))));
        entry.PolicyVersion = "0123456789ab";
        return entry;
    }

    /// <summary>An allowed manifest.</summary>
    public AuditEntry Allowed(string tag = "latest")
    {
        var entry = Trail.Open(Http());
        entry.WayIn = "mirror";
        entry.Caller = Caller.SignedIn("bob", "sub-of-bob");
        entry.Request = Parse("GET", $"/v2/library/nginx/manifests/{tag}");
        entry.Decision = Decide("bob", "library/nginx");
        entry.PolicyVersion = "0123456789ab";
        entry.UpstreamStatus = 200;
        return entry;
    }

    /// <summary>Starts the writer, lets it write what is queued, stops it.</summary>
    public async Task<IReadOnlyList<string>> WrittenAsync()
    {
        await Writer.StartAsync(CancellationToken.None);
        await Writer.StopAsync(CancellationToken.None);
        return Sink.Lines;
    }

    public Task<HealthCheckResult> CheckAsync() => new AuditHealthCheck(Writer, Pending, Sink).CheckHealthAsync(new HealthCheckContext());

    public void Dispose()
    {
        Writer.Dispose();
        Trail.Dispose();
        Counts.Dispose();
        _services.Dispose();
    }

    private static Policy Compile(string document)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document), out var policy, out _));
        return policy;
    }
}

/// <summary>Keeps what is written, or fails as long as a test wants it to.</summary>
public sealed class MemorySink : IAuditSink
{
    private readonly Lock _gate = new();
    private readonly List<string> _batches = [];
    private volatile string? _failure;

    public string? Failure
    {
        get => _failure;
        set => _failure = value;
    }

    public string? Concern { get; set; }

    public int Attempts { get; private set; }

    public IReadOnlyList<string> Batches
    {
        get
        {
            lock (_gate)
                return [.. _batches];
        }
    }

    public IReadOnlyList<string> Lines => string.Concat(Batches).Split('\n')[..^1];

    public ValueTask OpenAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Attempts++;
            if (Failure is { } failure)
                throw new IOException(failure);
            _batches.Add(Encoding.UTF8.GetString(lines.Span));
        }

        return ValueTask.CompletedTask;
    }
}

/// <summary>What the counters of this room were told.</summary>
public sealed class MeterReadings : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, long> _sums = [];

    public MeterReadings(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Scope == meters)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Set(instrument, value));
        _listener.Start();
    }

    public long this[string name]
    {
        get
        {
            _listener.RecordObservableInstruments();
            lock (_sums)
                return _sums.GetValueOrDefault(name);
        }
    }

    public void Dispose() => _listener.Dispose();

    private void Add(Instrument instrument, long value)
    {
        lock (_sums)
            _sums[instrument.Name] = _sums.GetValueOrDefault(instrument.Name) + value;
    }

    private void Set(Instrument instrument, long value)
    {
        lock (_sums)
            _sums[instrument.Name] = value;
    }
}
