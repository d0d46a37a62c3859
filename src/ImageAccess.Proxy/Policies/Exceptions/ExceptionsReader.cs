using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>
/// Reads the exceptions in the background, once the database has been brought up to date: at the start, whenever the database tells of a change, and each
/// half a minute in any case. The sequence that is read decides whether there is anything new.
/// </summary>
internal sealed class ExceptionsReader(SqlDatabase database, DatabaseState state, ExceptionStore store, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

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
                store.Fail(database.Name, database.Explain(exception));
                state.Wake(); // what it lacks may be made
            }

            await Task.Delay(Pause, time, stoppingToken);
        }
    }

    /// <summary>As long as the database can be read.</summary>
    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        await using var watch = await database.WatchAsync(cancellationToken);
        while (true)
        {
            await LookAsync(cancellationToken);
            await watch.WaitAsync(Period, time, cancellationToken);
        }
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        if (!database.Exists)
            throw new DatabaseException("is not there any more: it is made again, or put a backup in its place with imageaccess database restore FILE");
        if (await database.ReadSequenceAsync(ExceptionTable.Sequence, cancellationToken) == store.Read)
            store.Confirm(database.Name);
        else
            store.Accept(database.Name, await ReadAsync(cancellationToken));
    }

    private Task<ExceptionReading> ReadAsync(CancellationToken cancellationToken) =>
        database.ReadAsync(context => new ExceptionTable(context).ReadAsync(store.Told, time.GetUtcNow(), cancellationToken), cancellationToken);
}
