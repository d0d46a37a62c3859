using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>A process with its data directory, which exchanges its blocks with those of a database while it is connected.</summary>
internal sealed class BlockProcess : IAsyncDisposable
{
    private readonly SqlDatabase _database;
    private readonly PolicyStore _store;
    private readonly BlocksOnDisk _file;
    private BlockExchange? _exchange;
    private DatabaseUpkeep? _upkeep;

    public BlockProcess(SqlDatabase database)
    {
        _database = database;
        File.WriteAllText(Fixture.Document, PolicyFixture.Strict);
        _store = Fixture.Start();
        _file = new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = Fixture.Data });
    }

    public PolicyFixture Fixture { get; } = new();

    public LogLines<BlockExchange> Log { get; } = new();

    public string Path => System.IO.Path.Combine(Fixture.Data, "blocks.json");

    public PolicyStore Store => _store;

    public IEnumerable<string> InForce => _store.Current.Blocks.All.Select(block => $"{block.Pattern} by {block.By}").Order(StringComparer.Ordinal);

    public static ImagePattern Pattern(string text) => ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new ArgumentException(problem, nameof(text));

    /// <summary>As the program does, from when its listeners answer.</summary>
    public async Task ConnectAsync()
    {
        var state = new DatabaseState();
        _exchange = new BlockExchange(
            _database, state, _store, Options.Create(new PolicyStoreOptions { DataDirectory = Fixture.Data }), TimeProvider.System, Log);
        _upkeep = new DatabaseUpkeep(_database, [_exchange], state, new DatabaseUpkeepTests.Lifetime(new CancellationToken(canceled: true)), TimeProvider.System, new LogLines<DatabaseUpkeep>());
        await _exchange.StartAsync(default);
        await _upkeep.StartAsync(default);
    }

    /// <summary>It goes on without the database.</summary>
    public async Task DisconnectAsync()
    {
        if (_exchange is null)
            return;
        await _upkeep!.StopAsync(default);
        await _exchange.StopAsync(default);
        _upkeep.Dispose();
        _exchange.Dispose();
        _exchange = null;
    }

    /// <summary>As the verb does it, and the watcher who sees it.</summary>
    public async Task BlockAsync(string image, string by = "alice")
    {
        await _file.ChangeAsync(before => before.Add(Pattern(image), "CVE-1", by, TimeProvider.System.GetUtcNow()), default);
        _store.Refresh();
    }

    public async Task UnblockAsync(string image, string by = "bob")
    {
        await _file.ChangeAsync(before => before.Lift(before.ToBlocks().Find(Pattern(image))!, "fixed", by, TimeProvider.System.GetUtcNow()), default);
        _store.Refresh();
    }

    public async Task<string?> ConcernAsync() => (await _exchange!.CheckHealthAsync(new HealthCheckContext())).Description;

    /// <summary>What the audit trail was told since the last question.</summary>
    public List<string> Told()
    {
        var told = new List<string>();
        while (Fixture.Audit.Pending.TryTake(out var audit))
        {
            if (audit is BlockEvent block)
                told.Add(string.Create(CultureInfo.InvariantCulture, $"{(block.IsLifted ? "unblock" : "block")} {block.Block.Id} {block.Block.Pattern} by {block.By ?? "nobody"}: {block.Reason}"));
        }

        return told;
    }

    public async ValueTask DisposeAsync()
    {
        await DisconnectAsync();
        Fixture.Dispose();
    }
}
