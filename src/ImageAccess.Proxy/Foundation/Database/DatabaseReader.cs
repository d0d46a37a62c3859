namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>
/// Reads what a room keeps in the database, in the background, once the database has been brought up to date: at the start, whenever the database tells of
/// a change, and each half a minute in any case. The sequence that is read decides whether there is anything new.
/// </summary>
internal abstract class DatabaseReader(SqlDatabase database, DatabaseState state, string sequence, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _looking = new(1);

    protected SqlDatabase Database { get; } = database;

    protected TimeProvider Time { get; } = time;

    /// <summary>Where the sequence was when it was read last; null until it has been read.</summary>
    protected abstract SequencePoint? LastRead { get; }

    /// <summary>Reads what is new now: whoever has just changed something finds it. That it cannot be read is told as ever.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        try
        {
            await LookAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            Fail(Database.Explain(exception));
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _looking.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await state.Ready.WaitAsync(stoppingToken);
        while (true)
        {
            try
            {
                await FollowAsync(stoppingToken);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return; // whatever the stop broke off is no failure
            }
            catch (Exception exception)
            {
                Fail(Database.Explain(exception));
                state.Wake(); // what it lacks may be made
            }

            await Task.Delay(Pause, Time, stoppingToken);
        }
    }

    /// <summary>Reads what is new.</summary>
    /// <param name="point">Where the sequence is now, or a little later.</param>
    /// <param name="cancellationToken">The stop.</param>
    protected abstract Task ReadAsync(SequencePoint point, CancellationToken cancellationToken);

    /// <summary>The database has been looked at, and has nothing new.</summary>
    protected abstract void Confirm();

    /// <summary>It cannot be read.</summary>
    /// <param name="cause">What follows its name in a sentence.</param>
    protected abstract void Fail(string cause);

    protected async Task LookAsync(CancellationToken cancellationToken)
    {
        if (!Database.Exists)
            throw new DatabaseException("is not there any more: it is made again, or put a backup in its place with imageaccess database restore FILE");
        await _looking.WaitAsync(cancellationToken); // what was read earlier must not be taken later
        try
        {
            var point = await Database.ReadSequenceAsync(sequence, cancellationToken);
            if (point == LastRead)
                Confirm();
            else
                await ReadAsync(point, cancellationToken);
        }
        finally
        {
            _looking.Release();
        }
    }

    /// <summary>As long as the database can be read.</summary>
    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        await using var watch = await Database.WatchAsync(cancellationToken);
        while (true)
        {
            await LookAsync(cancellationToken);
            await watch.WaitAsync(Period, Time, cancellationToken);
        }
    }
}
