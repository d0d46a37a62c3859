using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// Exchanges the blocks of this process's file with those of others, through the database: what was blocked or lifted here goes there, and
/// what was blocked or lifted elsewhere comes into the file. The file alone is enforced. A database that is gone, empty, older or spoilt
/// lifts nothing: only a lifting does, and that is of one block.
/// </summary>
internal sealed class BlockExchange : DatabaseReader, IDatabaseWriter, IHealthCheck
{
    private const string Stay = "blocks of other replicas do not come, and those in force here stay";

    private readonly DatabaseState _state;
    private readonly PolicyStore _store;
    private readonly BlocksOnDisk _file;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();

    private volatile BlockDocument? _exchanged = BlockDocument.Empty;
    private volatile string? _unread;
    private volatile string? _incomplete;
    private SequencePoint _seen = SequencePoint.None;
    private HashSet<string> _unusable = [];

    public BlockExchange(
        SqlDatabase database, DatabaseState state, PolicyStore store, IOptions<PolicyStoreOptions> options, TimeProvider time, ILogger<BlockExchange> logger)
        : base(database, state, BlockTable.Sequence, time)
    {
        (_state, _store, _file, _logger) = (state, store, new BlocksOnDisk(options.Value), logger);
        store.WhenBlocksChanged(state.Wake);
    }

    /// <summary>The file says something that the database may not know.</summary>
    public bool IsWaiting => !ReferenceEquals(_store.Blocks, _exchanged);

    protected override SequencePoint? LastRead
    {
        get
        {
            lock (_gate)
                return _seen;
        }
    }

    /// <summary>It asks nobody.</summary>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult((_unread ?? _incomplete) is { } concern ? HealthCheckResult.Degraded(concern) : HealthCheckResult.Healthy());

    /// <summary>Brings there what was blocked and lifted here.</summary>
    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        await database.WriteAsync(
            async context =>
            {
                if (await new BlockTable(context).AddAsync(_store.Blocks, cancellationToken))
                    await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        try
        {
            await TakeAsync(cancellationToken);
        }
        catch (BlocksNotTakenException exception)
        {
            Fail(exception.Message); // other writers are not held up by this file
        }
    }

    /// <summary>Brings here what was blocked and lifted elsewhere.</summary>
    protected override Task ReadAsync(SequencePoint point, CancellationToken cancellationToken) => TakeAsync(cancellationToken);

    private async Task TakeAsync(CancellationToken cancellationToken)
    {
        var reading = await Database.ReadAsync(context => new BlockTable(context).ReadAsync(cancellationToken), cancellationToken);
        if (!ReferenceEquals(_store.Blocks.Join(reading.Blocks, reading.Lifted), _store.Blocks))
        {
            await ChangeAsync(before => before.Join(reading.Blocks, reading.Lifted), cancellationToken);
            _store.Refresh();
        }

        var here = _store.Blocks;
        Tell(reading, here);
        lock (_gate)
            _seen = reading.Point;
        if (reading.Missing(here).Count + reading.Over(here).Count == 0)
        {
            _exchanged = here;
        }
        else
        {
            _exchanged = null; // an older backup, or one that was made anew
            _state.Wake();
        }

        Confirm();
    }

    protected override void Confirm()
    {
        if (_unread is not null)
            _logger.BlocksReadAgain(Database.Name);
        _unread = null;
    }

    protected override void Fail(string cause)
    {
        if (_unread is null)
            _logger.BlocksNotRead(Database.Name, cause, Stay);
        _unread = $"{Database.Name} {cause}; {Stay}";
    }

    private async Task ChangeAsync(Func<BlockDocument, BlockDocument> change, CancellationToken cancellationToken)
    {
        try
        {
            await _file.ChangeAsync(change, cancellationToken);
        }
        catch (OptionsValidationException exception)
        {
            throw new BlocksNotTakenException(exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new BlocksNotTakenException(exception.Message);
        }
    }

    private void Tell(BlockReading reading, BlockDocument here)
    {
        lock (_gate)
        {
            foreach (var row in reading.Unusable.Where(row => !_unusable.Contains(row.Key)))
                _logger.BlockUnusable(PrintableText.Of(row.Key), PrintableText.Of(row.Image));
            _unusable = [.. reading.Unusable.Select(row => row.Key)];
        }

        var inForce = here.Blocks.Select(BlockDocument.KeyOf).ToHashSet();
        var beyond = reading.Blocks.Count(block => !inForce.Contains(BlockDocument.KeyOf(block)));
        _incomplete = reading.Unusable.Count > 0 ? $"{Database.Name} has blocks that are not what was written ({reading.Unusable.Count}): they block and lift nothing"
            : beyond > 0 && here.Blocks.Count >= Blocks.Maximum ? $"blocks of other replicas are not in force here ({beyond}): there can be no more than {Blocks.Maximum}; lift some"
            : null;
    }

    /// <summary>The file cannot be used or written.</summary>
    private sealed class BlocksNotTakenException(string message) : DatabaseException($"has blocks that cannot be taken over: {message}");
}
