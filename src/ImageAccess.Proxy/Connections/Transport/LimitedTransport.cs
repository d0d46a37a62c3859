using System.Net;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>Where a listener listens, and which it is: a transport is told nothing else.</summary>
internal sealed class ListenerEndPoint(Listener listener, IPAddress address, int port) : IPEndPoint(address, port)
{
    public Listener Listener => listener;
}

/// <summary>
/// Closes what is beyond the limit of connections, or beyond a client's share of them, as soon as it is accepted: Kestrel's own limit is one
/// for each listener, for all clients together, and writes a warning for each connection that it refuses. A connection counts until its
/// socket is closed.
/// </summary>
internal sealed class LimitedTransport(IConnectionListenerFactory transport, ClientLimits limits) : IConnectionListenerFactory
{
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new LimitedListener(
        await transport.BindAsync(endpoint, cancellationToken),
        limits,
        endpoint is ListenerEndPoint { Listener: Listener.Admin } ? limits.AdminConnections : limits.Connections);

    private sealed class LimitedListener(IConnectionListener listener, ClientLimits limits, SharedSlots slots) : IConnectionListener
    {
        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (await listener.AcceptAsync(cancellationToken) is { } connection)
            {
                if (slots.TryEnter(limits.ShareOf((connection.RemoteEndPoint as IPEndPoint)?.Address), out var slot))
                    return new LimitedConnection(connection, slot);
                connection.Abort();
                await connection.DisposeAsync();
            }

            return null;
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => listener.UnbindAsync(cancellationToken);

        public ValueTask DisposeAsync() => listener.DisposeAsync();
    }

    private sealed class LimitedConnection(ConnectionContext connection, IDisposable slot) : ConnectionContext
    {
        public override string ConnectionId { get => connection.ConnectionId; set => connection.ConnectionId = value; }

        public override IFeatureCollection Features => connection.Features;

        public override IDictionary<object, object?> Items { get => connection.Items; set => connection.Items = value; }

        public override System.IO.Pipelines.IDuplexPipe Transport { get => connection.Transport; set => connection.Transport = value; }

        public override CancellationToken ConnectionClosed { get => connection.ConnectionClosed; set => connection.ConnectionClosed = value; }

        public override EndPoint? LocalEndPoint { get => connection.LocalEndPoint; set => connection.LocalEndPoint = value; }

        public override EndPoint? RemoteEndPoint { get => connection.RemoteEndPoint; set => connection.RemoteEndPoint = value; }

        public override void Abort() => connection.Abort();

        public override void Abort(ConnectionAbortedException abortReason) => connection.Abort(abortReason);

        public override async ValueTask DisposeAsync()
        {
            try
            {
                await connection.DisposeAsync();
            }
            finally
            {
                slot.Dispose();
                await base.DisposeAsync();
            }
        }
    }
}
