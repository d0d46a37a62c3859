using System.Collections.Concurrent;
using ImageAccess.Core.Oci;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>The downloads under way, one for each digest. The first client begins the download; the others wait until it has begun.</summary>
internal sealed class Fills(ContentMetrics metrics, IOptions<ContentOptions> options, ILogger<Fills> logger) : IHostedService
{
    private readonly ConcurrentDictionary<Digest, TaskCompletionSource<Fill?>> _coming = new();
    private readonly ConcurrentDictionary<Fill, Task> _running = new();

    /// <summary>The download of this digest, as soon as it has begun; null where it does not begin.</summary>
    /// <param name="claim">Not null where it is up to the caller to begin the download, by <see cref="Begin"/>, or not to, by <see cref="Release"/>.</param>
    public Task<Fill?> Find(Digest digest, out TaskCompletionSource<Fill?>? claim)
    {
        var own = new TaskCompletionSource<Fill?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var found = _coming.GetOrAdd(digest, own);
        claim = found == own ? own : null;
        return found.Task;
    }

    /// <summary>The download does not begin: those who wait fetch for themselves.</summary>
    public void Release(Digest digest, TaskCompletionSource<Fill?> claim)
    {
        _coming.TryRemove(KeyValuePair.Create(digest, claim));
        claim.TrySetResult(null);
    }

    /// <summary>Begins the download, with its first reader.</summary>
    public void Begin(Fill fill, TaskCompletionSource<Fill?> claim, HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        fill.TryJoin();
        _running[fill] = RunAsync(fill, claim, answer, resume);
        claim.SetResult(fill);
    }

    public async Task LeaveAsync(Fill fill)
    {
        fill.Leave(options.Value.FinishFrom);
        await fill.DisposeAsync();
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Stops the downloads that go on without readers: all requests have ended by now.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var fill in _running.Keys)
            fill.Abandon();
        await Task.WhenAll(_running.Values).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync(
        Fill fill, TaskCompletionSource<Fill?> claim, HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        await Task.Yield();
        await fill.RunAsync(answer, resume);
        metrics.Filled(fill.State);
        if (fill.State == FillState.Failed)
            logger.DownloadFailed(fill.Digest.Value, fill.Cause);
        _coming.TryRemove(KeyValuePair.Create(fill.Digest, claim));
        _running.TryRemove(fill, out _);
        await fill.DisposeAsync();
    }
}
