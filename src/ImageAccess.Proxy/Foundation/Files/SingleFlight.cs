using System.Collections.Concurrent;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>The same question is asked once at a time: who comes while it is under way gets that answer.</summary>
internal sealed class SingleFlight<TKey, TResult>
    where TKey : notnull
    where TResult : class
{
    private readonly ConcurrentDictionary<TKey, TaskCompletionSource<TResult?>> _flights = new();

    /// <summary>The answer, of one's own question or of another's; null where that other's question failed: then ask again.</summary>
    public async Task<TResult?> RunAsync(TKey key, Func<Task<TResult>> ask, CancellationToken cancellationToken)
    {
        var own = new TaskCompletionSource<TResult?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var flight = _flights.GetOrAdd(key, own);
        if (flight != own)
            return await flight.Task.WaitAsync(cancellationToken);

        TResult? answer = null;
        try
        {
            answer = await ask();
            return answer;
        }
        finally
        {
            _flights.TryRemove(KeyValuePair.Create(key, own));
            own.SetResult(answer);
        }
    }
}
