using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// Bytes between a client and its target, both ways, until both have ended or nothing moves any more. One side may end before the
/// other. While nothing moves it holds no buffer.
/// </summary>
/// <param name="fromClient">What the client sends, read by the server's transport.</param>
/// <param name="client">The client's socket: the transport's own output cannot end before its input.</param>
/// <param name="target">The target's socket.</param>
internal sealed class Tunnel(PipeReader fromClient, Socket client, Socket target, TimeProvider time)
{
    private const int BufferSize = 64 * 1024;

    private long _lastMove = time.GetTimestamp();

    /// <summary>For how long nothing had moved at this time stamp; less than zero where something has moved since.</summary>
    public TimeSpan IdleAt(long now) => time.GetElapsedTime(Volatile.Read(ref _lastMove), now);

    /// <summary>Returns when both directions have ended, however they did.</summary>
    public async Task RelayAsync(CancellationToken cancellationToken)
    {
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(
            EndAsync(SendToTargetAsync(broken.Token), target, broken),
            EndAsync(SendToClientAsync(broken.Token), client, broken));
    }

    /// <summary>A direction that ends says so to its receiver; one that breaks breaks the other.</summary>
    private static async Task EndAsync(Task direction, Socket receiver, CancellationTokenSource broken)
    {
        try
        {
            await direction;
            receiver.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            await broken.CancelAsync();
        }
    }

    private async Task SendToTargetAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await fromClient.ReadAsync(cancellationToken);
            Moved();
            foreach (var piece in read.Buffer)
                await SendAsync(target, piece, cancellationToken);
            fromClient.AdvanceTo(read.Buffer.End);
            Moved();
            if (read.IsCompleted)
                return;
        }
    }

    private async Task SendToClientAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await target.ReceiveAsync(Memory<byte>.Empty, cancellationToken); // until there is something: a waiting tunnel holds no buffer
            var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
            try
            {
                var count = await target.ReceiveAsync(buffer, cancellationToken);
                if (count == 0)
                    return;
                Moved();
                await SendAsync(client, buffer.AsMemory(0, count), cancellationToken);
                Moved();
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    private static async ValueTask SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellationToken)..];
    }

    private void Moved() => Volatile.Write(ref _lastMove, time.GetTimestamp());
}
