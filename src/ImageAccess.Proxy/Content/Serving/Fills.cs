using System.Collections.Concurrent;
using ImageAccess.Core.Oci;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>The downloads under way, one for each digest. The first client begins the download; the others wait until it has begun.</summary>
internal sealed class Fills(ContentMetrics metrics, IOptions<ContentOptions> options, ILogger<Fills> logger) : IHostedService
{
    /// <summary>How many downloads are finished without readers at once: what nobody reads must not take the connection or the cache for itself.</summary>
    public const int MaximumUnread = 4;

    private readonly ConcurrentDictionary<Digest, FillClaim> _coming = new();
    private readonly ConcurrentDictionary<Fill, Task> _running = new();
    private int _unread;

    /// <summary>The claim on the download of this blob: whose it is, and the download as soon as it has begun.</summary>
    /// <param name="request">Who wants the blob.</param>
    /// <param name="isOwn">It is up to the caller to begin the download, by <see cref="Begin"/>, or not to, by <see cref="Release"/>.</param>
    public FillClaim Find(BlobRequest request, out bool isOwn)
    {
        var own = new FillClaim(request.Repository);
        var found = _coming.GetOrAdd(request.Digest, own);
        isOwn = found == own;
        return found;
    }

    /// <summary>The download does not begin: those who wait fetch for themselves.</summary>
    public void Release(Digest digest, FillClaim claim)
    {
        _coming.TryRemove(KeyValuePair.Create(digest, claim));
        claim.TrySetResult(null);
    }

    /// <summary>Begins the download, with its first reader.</summary>
    public void Begin(Fill fill, FillClaim claim, HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        fill.TryJoin();
        _running[fill] = RunAsync(fill, claim, answer, resume);
        claim.SetResult(fill);
    }

    /// <summary>Takes a place among the downloads that are finished whoever reads them; false where none is free.</summary>
    public bool TryTakePlace()
    {
        if (Interlocked.Increment(ref _unread) <= MaximumUnread)
            return true;
        FreePlace();
        return false;
    }

    /// <summary>The place is not needed: the download has not begun.</summary>
    public void FreePlace() => Interlocked.Decrement(ref _unread);

    public async Task LeaveAsync(Fill fill)
    {
        fill.Leave(options.Value.FinishFrom, TryTakePlace);
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
        Fill fill, FillClaim claim, HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        await Task.Yield();
        try
        {
            await fill.RunAsync(answer, resume);
        }
        finally
        {
            if (fill.MustFinish)
                FreePlace();
            metrics.Filled(fill.State);
            if (fill.State == FillState.Failed)
                logger.DownloadFailed(fill.Digest.Value, fill.Repository.Value, fill.Cause);
            _coming.TryRemove(KeyValuePair.Create(fill.Digest, claim));
            _running.TryRemove(fill, out _);
            await fill.DisposeAsync();
        }
    }
}

/// <summary>Somebody's right to begin the download of a blob. It gives the download, or null where that does not begin.</summary>
/// <param name="repository">Where they ask for it: only for others who ask there it says that upstream has it there.</param>
internal sealed class FillClaim(RepositoryName repository) : TaskCompletionSource<Fill?>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public RepositoryName Repository => repository;
}
