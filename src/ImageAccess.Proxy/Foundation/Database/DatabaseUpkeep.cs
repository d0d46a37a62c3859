using System.Threading.Channels;
using ImageAccess.Proxy.Foundation.Configuration;
using Polly;
using Polly.Retry;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>What a room has to write, whenever the database can be written.</summary>
internal interface IDatabaseWriter
{
    bool IsWaiting { get; }

    /// <summary>What it has would be lost with the process: it is called once more at the stop.</summary>
    bool LosesAtStop => false;

    /// <summary>Writes it; what it throws is told, and it is called again later.</summary>
    Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken);
}

/// <summary>
/// The one who migrates the database and writes into it, in the background, from when the listeners answer. What fails is tried again until
/// it works: nobody waits for it, and nothing but itself is degraded by it.
/// </summary>
internal sealed class DatabaseUpkeep : BackgroundService
{
    /// <summary>How often it is looked at where nothing is to be written.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);

    /// <summary>By the machine's own clock: a database that does not answer must not hold up the start.</summary>
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(2);

    /// <summary>By the machine's own clock: nor must it hold up the stop.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(5);

    private readonly SqlDatabase _database;
    private readonly IReadOnlyList<IDatabaseWriter> _writers;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time;
    private readonly ILogger<DatabaseUpkeep> _logger;
    private readonly ResiliencePipeline _untilItWorks;
    private readonly DatabaseState _state;

    public DatabaseUpkeep(
        SqlDatabase database, IEnumerable<IDatabaseWriter> writers, DatabaseState state, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<DatabaseUpkeep> logger)
    {
        (_database, _writers, _state, _lifetime, _time, _logger) = (database, [.. writers], state, lifetime, time, logger);
        _untilItWorks = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                // What the stop broke off is no failure: it would keep what waits from being written at the end.
                ShouldHandle = tried => ValueTask.FromResult(tried.Outcome.Exception is not null && !tried.Context.CancellationToken.IsCancellationRequested),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                Delay = FirstRetry,
                MaxDelay = Period,
                OnRetry = retry =>
                {
                    Fail(retry.Outcome.Exception!);
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
    }

    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">A newer program has changed its schema.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Task.Run(() => _database.ReadMigrationAsync(cancellationToken), cancellationToken)
                .WaitAsync(StartLimit, TimeProvider.System, cancellationToken);
        }
        catch (NewerSchemaException exception)
        {
            throw ConfigurationLoading.Failed($"Database: {_database.Name} {exception.Message}");
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            Fail(exception);
        }

        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_state is not { Concern: null, Ready.IsCompleted: true } || !_writers.Any(writer => writer.LosesAtStop))
            return;
        try
        {
            await Task.Run(() => WriteLastAsync(cancellationToken), cancellationToken).WaitAsync(StopLimit, TimeProvider.System, cancellationToken);
        }
        catch (Exception exception)
        {
            _logger.NotWrittenAtStop(_database.Name, _database.Explain(exception));
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await StartedAsync(stoppingToken);
        while (true)
        {
            await _untilItWorks.ExecuteAsync(LookAsync, stoppingToken);
            await _state.WaitAsync(Period, _time, stoppingToken);
        }
    }

    private async ValueTask LookAsync(CancellationToken cancellationToken)
    {
        if (await _database.ReadMigrationAsync(cancellationToken) != SqlDatabase.NewestMigration)
        {
            foreach (var migration in await _database.MigrateAsync(cancellationToken))
                _logger.Migrated(_database.Name, migration);
        }

        _state.BeReady();
        foreach (var writer in _writers.Where(writer => writer.IsWaiting))
            await writer.WriteAsync(_database, cancellationToken);
        if (_state.Concern is not null)
            _logger.WorksAgain(_database.Name);
        _state.Concern = null;
    }

    private async Task WriteLastAsync(CancellationToken cancellationToken)
    {
        foreach (var writer in _writers.Where(writer => writer.LosesAtStop))
            await writer.WriteAsync(_database, cancellationToken);
    }

    private void Fail(Exception exception)
    {
        var cause = _database.Explain(exception);
        var concern = $"{_database.Name} {cause}";
        if (_state.Concern != concern)
            _logger.Unusable(_database.Name, cause);
        _state.Concern = concern;
    }

    private async Task StartedAsync(CancellationToken cancellationToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = _lifetime.ApplicationStarted.Register(() => started.TrySetResult());
        await started.Task.WaitAsync(cancellationToken);
    }
}

/// <summary>How the database is, and that there is something to write.</summary>
internal sealed class DatabaseState
{
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string? _concern;

    /// <summary>Done once the schema has been brought up to date: before that nobody reads.</summary>
    public Task Ready => _ready.Task;

    /// <summary>Why it cannot be used at the moment, in a sentence that says what to do; null when all is well.</summary>
    public string? Concern
    {
        get => _concern;
        set => _concern = value;
    }

    public void BeReady() => _ready.TrySetResult();

    /// <summary>There is something to write.</summary>
    public void Wake() => _wakes.Writer.TryWrite(true);

    /// <summary>Waits until there is, and no longer than this.</summary>
    public async Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(Task.Delay(longest, time, enough.Token), _wakes.Reader.WaitToReadAsync(enough.Token).AsTask());
        await enough.CancelAsync();
        _wakes.Reader.TryRead(out _);
        cancellationToken.ThrowIfCancellationRequested();
    }
}
