using System.Buffers;
using System.Net;
using System.Net.Sockets;
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

    /// <exception cref="AddressInUseException">Another program listens there.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            socket.Listen(Backlog);
            return ValueTask.FromResult<IConnectionListener>(new SocketListener(socket, pools.Create(), time));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(exception.Message, exception);
        }
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
