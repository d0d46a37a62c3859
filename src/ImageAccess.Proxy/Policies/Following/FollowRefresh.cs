using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>Reads Docker Hub's own switches of every organization that follows them, again and again.</summary>
internal sealed class FollowRefresh(HubSettingsSource source, FollowedStore store, IOptions<FollowOptions> options, TimeProvider time) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
            await WaitAsync(await ReadAllAsync(stoppingToken), stoppingToken);
    }

    /// <summary>Reads each once.</summary>
    /// <returns>When to read again.</returns>
    internal async Task<DateTimeOffset> ReadAllAsync(CancellationToken cancellationToken)
    {
        store.News.TryRead(out _);
        DateTimeOffset? retryAt = null;
        foreach (var organization in store.Organizations)
        {
            var readAt = time.GetUtcNow(); // when reading began: what happened later it does not know
            HubSwitches? switches = null;
            try
            {
                switches = await source.ReadAsync(organization, cancellationToken);
                store.Take(organization, switches with { Registries = await source.ReadRegistriesAsync(organization, cancellationToken) }, readAt);
            }
            catch (FollowException failure)
            {
                store.Fail(organization, switches, readAt, failure.Message);
                retryAt = failure.RetryAt ?? retryAt;
            }
        }

        store.Keep();
        var next = time.GetUtcNow() + options.Value.Interval;
        return retryAt > next ? retryAt.Value : next;
    }

    /// <summary>Until then, or until another organization begins to follow; where none does, until one begins.</summary>
    private async Task WaitAsync(DateTimeOffset next, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var wait = next - time.GetUtcNow();
        var due = store.Organizations.Count == 0 ? Task.Delay(Timeout.InfiniteTimeSpan, time, enough.Token) : wait > TimeSpan.Zero ? Task.Delay(wait, time, enough.Token) : Task.CompletedTask;
        await Task.WhenAny(due, store.News.WaitToReadAsync(enough.Token).AsTask());
        await enough.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }
}
