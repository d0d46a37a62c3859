using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;

namespace ImageAccess.Proxy.Connections.Transport;

/// <summary>
/// A connection's bytes as a stream: read from what was received, written to the socket itself. That nobody takes what is written is no
/// failure of the writer's: it ends the connection, which tells everybody.
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
            connection.Abort(new ConnectionAbortedException("the client takes no more", exception));
        }
    }

    /// <summary>Nothing: what is meant for the client was flushed before, and what is left at the end belongs to an answer that was given up.</summary>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
    }

    /// <inheritdoc cref="Write(ReadOnlySpan{byte})"/>
    public override void Write(byte[] buffer, int offset, int count)
    {
    }
}
