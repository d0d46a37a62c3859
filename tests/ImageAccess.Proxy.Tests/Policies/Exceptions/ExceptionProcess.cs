using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Tests.Policies.Exceptions;

/// <summary>A process with its data directory: the policy's store, and the one who reads the exceptions of a database.</summary>
internal sealed class ExceptionProcess : IAsyncDisposable
{
    public const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private readonly bool _isOwner;
    private readonly PolicyStore _policy;
    private readonly DatabaseState _state = new();
    private ExceptionsReader? _reader;

    public ExceptionProcess(PolicyFixture? fixture = null)
    {
        (_isOwner, Fixture) = (fixture is null, fixture ?? new PolicyFixture());
        if (!File.Exists(Fixture.Document))
            File.WriteAllText(Fixture.Document, PolicyFixture.Strict);
        Store = Fixture.Exceptions();
        _policy = Fixture.NotStarted(Fixture.Document, Store);
        _policy.Open();
    }

    public PolicyFixture Fixture { get; }

    public ExceptionStore Store { get; }

    public Policy Policy => _policy.Current;

    public string CopyPath => Path.Combine(Fixture.Data, "exceptions.accepted.json");

    public IEnumerable<string> InForce => Policy.Exceptions.All.Select(exception => $"{exception.Id} {exception.Pattern} {exception.Organization}");

    public static GrantedException Grant(string image, string organization = "acme", string? digest = null, DateTimeOffset? until = null, string reason = "because")
    {
        var now = new ExceptionChanges(null!, TimeProvider.System).Now;
        Assert.True(GrantedException.TryParsePattern(image, out var pattern, out var problem), problem);
        Core.Oci.Digest? approved = null;
        if (pattern.Asked?.Tag is not null)
            Assert.True(Core.Oci.Digest.TryParse(digest ?? Digest, out approved));
        return new GrantedException(0, organization, pattern, approved, Follow: false, reason, "bob", "alice", now, until);
    }

    /// <summary>As once the database has been brought up to date.</summary>
    public async Task<ExceptionProcess> ReadAsync(SqlDatabase database)
    {
        _state.BeReady();
        _reader = new ExceptionsReader(database, _state, Store, TimeProvider.System);
        await _reader.StartAsync(default);
        return this;
    }

    public async Task<string?> ConcernAsync(string? database = null)
    {
        _state.Concern = database;
        var health = await new ExceptionsHealth(Store, _state).CheckHealthAsync(new HealthCheckContext());
        return health.Description;
    }

    public async Task StopAsync()
    {
        if (_reader is not null)
            await _reader.StopAsync(default);
        _reader?.Dispose();
        _reader = null;
    }

    /// <summary>Stops it, and begins another over the same data directory.</summary>
    public async Task<ExceptionProcess> RestartAsync()
    {
        await StopAsync();
        return new ExceptionProcess(Fixture);
    }

    /// <summary>What the audit trail was told since the last question.</summary>
    public List<string> Told()
    {
        var told = new List<string>();
        while (Fixture.Audit.Pending.TryTake(out var change))
        {
            if (change is ExceptionEvent audit)
                told.Add($"{(audit.IsEnded ? "ended" : "granted")} {audit.Exception.Id} {audit.Exception.Pattern} by {audit.By ?? "?"}: {audit.Reason}");
        }

        return told;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_isOwner)
            Fixture.Dispose();
    }
}
