using System.Runtime.CompilerServices;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>The one idle limit of all exchanges with upstream: <c>Upstream:IdleTimeout</c>.</summary>
internal sealed class IdleLimits(IOptions<UpstreamOptions> options, UpstreamMetrics metrics, TimeProvider time)
{
    public TimeSpan Timeout { get; } = options.Value.IdleTimeout;

    /// <param name="cancellationToken">What else ends the exchange.</param>
    public IdleLimit Begin(CancellationToken cancellationToken) => new(this, time, cancellationToken);

    /// <summary>Counts an exchange that is given up.</summary>
    public StalledException Stalled(Stall stall, Exception cause)
    {
        var (word, what) = stall switch
        {
            Stall.Answer => ("answer", "upstream did not answer"),
            Stall.Body => ("body", "upstream sent nothing"),
            _ => ("client", "the client read nothing"),
        };
        metrics.Stalled(word);
        return new StalledException($"{what} for {Timeout.TotalSeconds:0} seconds{(cause is UnansweredRequestException ? $" ({cause.Message})" : "")}", cause);
    }
}

/// <summary>What did not come.</summary>
internal enum Stall
{
    /// <summary>The head of upstream's answer.</summary>
    Answer,

    /// <summary>More of its body.</summary>
    Body,

    /// <summary>The client's reading.</summary>
    Client,
}

/// <summary>How long nothing may flow, neither from upstream nor to the client, before one exchange is given up.</summary>
internal sealed class IdleLimit : IDisposable
{
    private readonly IdleLimits _limits;
    private readonly CancellationTokenSource _idle;
    private readonly CancellationTokenSource _either;

    public IdleLimit(IdleLimits limits, TimeProvider time, CancellationToken cancellationToken)
    {
        _limits = limits;
        _idle = new CancellationTokenSource(limits.Timeout, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_idle.Token, cancellationToken);
    }

    public CancellationToken Token => _either.Token;

    public bool IsReached => _idle.IsCancellationRequested;

    /// <summary>Something has flowed.</summary>
    public void Restart() => _idle.CancelAfter(_limits.Timeout);

    /// <summary>Nothing is meant to flow, until <see cref="Restart"/>.</summary>
    public void Pause() => _idle.CancelAfter(Timeout.InfiniteTimeSpan);

    public StalledException Stalled(Stall stall, Exception cause) => _limits.Stalled(stall, cause);

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
            throw Stalled(Stall.Body, exception);
        }
    }

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
