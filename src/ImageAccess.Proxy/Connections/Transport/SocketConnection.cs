using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>
/// A client's connection. It is read all the time, into a pipe whose reader continues at once: so we see that a client has left, even while
/// we send its answer.
/// </summary>
internal sealed class SocketConnection : DefaultConnectionContext, IConnectionSocketFeature, IMemoryPoolFeature
{
    /// <summary>Bytes that may wait to be read; beyond them we receive no more. Each tunnel whose far side does not read has them in memory.</summary>
    public const int MaximumUnread = 64 * 1024;

    private const int MinimumReceive = 2048;

    /// <summary>
    /// How long a client that is still sending may take to read its answer. A connection that is closed over unread bytes is reset, and
    /// the client loses what was sent (RFC 9112, section 9.6).
    /// </summary>
    private static readonly TimeSpan Lingering = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _closed = new();
    private readonly DuplexPipe _own;
    private readonly Task _receiving;
    private readonly TimeProvider _time;
    private volatile ConnectionAbortedException? _aborted;
    private volatile bool _isLeftUnread;

    public SocketConnection(Socket socket, MemoryPool<byte> pool, TimeProvider time)
    {
        (Socket, MemoryPool, _time) = (socket, pool, time);
        (LocalEndPoint, RemoteEndPoint, ConnectionClosed) = (socket.LocalEndPoint, socket.RemoteEndPoint, _closed.Token);
        Features.Set<IConnectionSocketFeature>(this);
        Features.Set<IMemoryPoolFeature>(this);
        var received = new Pipe(new PipeOptions(
            pool, PipeScheduler.Inline, PipeScheduler.Inline, MaximumUnread, MaximumUnread / 2, useSynchronizationContext: false));
        Stream = new ConnectionStream(this, received.Reader);
        Transport = _own = new DuplexPipe(received.Reader, PipeWriter.Create(Stream, new StreamPipeWriterOptions(pool, leaveOpen: true)));
        _receiving = ReceiveAsync(received.Writer);
    }

    public Socket Socket { get; }

    public MemoryPool<byte> MemoryPool { get; }

    /// <summary>The same bytes as a stream.</summary>
    public Stream Stream { get; }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        _aborted ??= abortReason;
        Close();
        _ = _closed.CancelAsync(); // the receive itself may wait for a writer that waits in vain
    }

    public override async ValueTask DisposeAsync()
    {
        await _own.Input.CompleteAsync();
        await _own.Output.CompleteAsync();
        if (_aborted is null)
            await LingerAsync();
        Close();
        await _receiving;
        await Stream.DisposeAsync();
        await base.DisposeAsync();
    }

    private void Close()
    {
        try
        {
            Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The other side was faster, or this one was here before.
        }

        Socket.Dispose();
    }

    /// <summary>Ends sending, and drops what still comes.</summary>
    private async Task LingerAsync()
    {
        try
        {
            if (!_isLeftUnread && Socket.Available == 0)
                return;
            Socket.Shutdown(SocketShutdown.Send);
            await _receiving.WaitAsync(Lingering, _time);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or TimeoutException)
        {
            // Its time is over, or it has left.
        }
    }

    private async Task ReceiveAsync(PipeWriter received)
    {
        Exception? failure = null;
        try
        {
            while (true)
            {
                var count = await Socket.ReceiveAsync(received.GetMemory(MinimumReceive), SocketFlags.None);
                if (count == 0)
                    break;
                received.Advance(count);
                _isLeftUnread = (await received.FlushAsync()).IsCompleted;
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            failure = _aborted ?? (Exception)new ConnectionResetException(exception.Message, exception);
        }

        await received.CompleteAsync(failure);
        await _closed.CancelAsync();
    }
}

/// <summary>The two sides of a connection.</summary>
internal sealed record DuplexPipe(PipeReader Input, PipeWriter Output) : IDuplexPipe;
