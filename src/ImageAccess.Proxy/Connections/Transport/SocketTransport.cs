using System.Buffers;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>
/// Our transport for Kestrel. One thread takes a request from the socket to its answer, and writes the answer straight to the socket;
/// Kestrel's own transport hands both to other threads, which costs a small answer a third of its time.
/// </summary>
internal sealed class SocketTransport(IMemoryPoolFactory<byte> pools, TimeProvider time) : IConnectionListenerFactory
{
    private const int Backlog = 512;

    private static readonly TimeSpan UntilOneIsFree = TimeSpan.FromMilliseconds(100);

    /// <exception cref="AddressInUseException">Another program listens there.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            var socket = Bind(endpoint);
            socket.Listen(Backlog);
            return ValueTask.FromResult<IConnectionListener>(new SocketListener(socket, pools.Create(), time));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(exception.Message, exception);
        }
    }

    /// <summary>A socket that is bound and does not listen yet.</summary>
    public static Socket Bind(EndPoint endpoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        UnsentBytes.Limit(socket);
        return socket;
    }

    private sealed class SocketListener(Socket listening, MemoryPool<byte> pool, TimeProvider time) : IConnectionListener
    {
        public EndPoint EndPoint { get; } = listening.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                Socket? socket = null;
                try
                {
                    socket = await listening.AcceptAsync(cancellationToken);
                    socket.NoDelay = true;
                    return new SocketConnection(socket, pool, time);
                }
                catch (Exception exception) when (exception is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
                {
                    return null;
                }
                catch (SocketException exception) when (exception.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    await Task.Delay(UntilOneIsFree, time, cancellationToken); // the connection waits to be accepted, and to try again at once is to try for ever
                }
                catch (Exception exception) when (exception is SocketException or IOException)
                {
                    socket?.Dispose(); // the client was gone before it was taken
                }
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            listening.Dispose();
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            listening.Dispose();
            pool.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
