namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>
/// How long each step may take. A firewall is told by the connection, in some seconds; who has accepted one may be busy, and is waited for longer:
/// a way that is slow must not look closed.
/// </summary>
internal sealed class Timeouts(TimeProvider time)
{
    public static readonly TimeSpan Lookup = TimeSpan.FromSeconds(5);

    /// <summary>The system sends a lost first packet again after a second.</summary>
    public static readonly TimeSpan Connection = TimeSpan.FromSeconds(3);

    /// <summary>A connection and everything before the answer: TLS, a proxy, the request.</summary>
    public static readonly TimeSpan Answer = TimeSpan.FromSeconds(15);

    /// <summary>One route from end to end.</summary>
    public static readonly TimeSpan Route = TimeSpan.FromSeconds(40);

    /// <summary>The answer to a datagram.</summary>
    public static readonly TimeSpan Datagram = TimeSpan.FromSeconds(2);

    public TimeProvider Time => time;

    /// <exception cref="TimeoutException">It took longer.</exception>
    public async Task<T> LimitAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await work(either.Token).WaitAsync(either.Token);
        }
        catch (Exception exception) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested && IsFromTimer(exception))
        {
            throw new TimeoutException($"no answer in {limit.TotalSeconds:0} s", exception);
        }
    }

    private static bool IsFromTimer(Exception exception) => exception is OperationCanceledException || exception.GetBaseException() is OperationCanceledException;
}
