using System.Runtime.CompilerServices;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>How long nothing may flow, neither from upstream nor to the client, before an exchange is given up.</summary>
internal sealed class IdleLimit : IDisposable
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(100);

    private readonly CancellationTokenSource _idle;
    private readonly CancellationTokenSource _either;

    /// <param name="cancellationToken">What else ends the exchange.</param>
    public IdleLimit(TimeProvider time, CancellationToken cancellationToken)
    {
        _idle = new CancellationTokenSource(Timeout, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_idle.Token, cancellationToken);
    }

    public CancellationToken Token => _either.Token;

    public bool IsReached => _idle.IsCancellationRequested;

    /// <summary>Something has flowed.</summary>
    public void Restart() => _idle.CancelAfter(Timeout);

    /// <summary>Reads what upstream sends next; 0 at the end.</summary>
    /// <exception cref="StalledException">Upstream sends nothing.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Stream upstream, Memory<byte> buffer)
    {
        try
        {
            var count = await upstream.ReadAsync(buffer, Token);
            Restart();
            return count;
        }
        catch (OperationCanceledException exception) when (IsReached)
        {
            throw Stalled("upstream sent nothing", exception);
        }
    }

    /// <param name="what">Who did not do what: "upstream sent nothing".</param>
    public static StalledException Stalled(string what, Exception cause) => new($"{what} for {Timeout.TotalSeconds:0} seconds", cause);

    public void Dispose()
    {
        _either.Dispose();
        _idle.Dispose();
    }
}

/// <summary>Nothing has flowed for as long as <see cref="IdleLimit"/> allows.</summary>
internal sealed class StalledException(string message, Exception cause) : IOException(message, cause)
{
    /// <summary>The cancellation behind it says nothing.</summary>
    public override Exception GetBaseException() => this;
}
