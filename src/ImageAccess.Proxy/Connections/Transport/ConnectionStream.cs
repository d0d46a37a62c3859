using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>
/// A connection's bytes as a stream: read from what was received, written to the socket itself. A client that no longer reads is not the
/// writer's failure: the connection is aborted, and whoever uses it sees that.
/// </summary>
internal sealed class ConnectionStream(SocketConnection connection, PipeReader received) : NetworkStream(connection.Socket, ownsSocket: false)
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await received.ReadAsync(cancellationToken);
        var count = (int)Math.Min(buffer.Length, read.Buffer.Length);
        var taken = read.Buffer.Slice(0, count);
        taken.CopyTo(buffer.Span);
        received.AdvanceTo(taken.End);
        return count;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await base.WriteAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            connection.Abort(new ConnectionAbortedException("the client no longer reads", exception));
        }
    }

    /// <summary>Writes nothing: everything for the client was flushed before. What is left at the end belongs to an abandoned answer.</summary>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
    }

    /// <inheritdoc cref="Write(ReadOnlySpan{byte})"/>
    public override void Write(byte[] buffer, int offset, int count)
    {
    }
}
