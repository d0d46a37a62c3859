using System.Buffers;
using System.IO.Pipelines;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>What a connection begins with: read within a time and up to a size, and left there for whoever reads on.</summary>
internal sealed class FirstBytes(PipeReader input, TimeProvider time)
{
    /// <summary>For each head and each ClientHello.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    /// <summary>The head of a request, taken; empty when the client has left without one.</summary>
    /// <exception cref="TimeoutException">It did not come in time.</exception>
    /// <exception cref="InvalidDataException">It is too large.</exception>
    public async ValueTask<byte[]> TakeHeadAsync(CancellationToken cancellationToken)
    {
        byte[]? head = null;
        await ReadAsync(
            buffer =>
            {
                var end = ConnectRequest.FindEnd(buffer);
                if (end > ConnectRequest.MaximumLength || (end == 0 && buffer.Length > ConnectRequest.MaximumLength))
                    throw new InvalidDataException();
                head = end == 0 ? null : buffer.Slice(0, end).ToArray();
                return head is null ? null : buffer.GetPosition(end);
            },
            cancellationToken);
        return head ?? [];
    }

    /// <summary>The ClientHello, left where it is.</summary>
    /// <param name="expected">The server name that it must have; null where any will do.</param>
    /// <returns>The server name, or why there is none (<see cref="RefusalReason"/>); neither when the client has left without a byte.</returns>
    public async ValueTask<(HostName? ServerName, string? Fault)> PeekClientHelloAsync(HostName? expected, CancellationToken cancellationToken)
    {
        ClientHello? hello = null;
        try
        {
            await ReadAsync(
                buffer =>
                {
                    hello = buffer.IsEmpty ? null : ClientHello.Read(buffer);
                    return hello is null or { State: ClientHelloState.Incomplete } ? null : buffer.Start;
                },
                cancellationToken);
        }
        catch (TimeoutException)
        {
            return (null, RefusalReason.Late);
        }

        return hello is not { } read ? (null, null)
            : FindFault(read, expected) is { } fault ? (null, fault)
            : (read.ServerName, null);
    }

    private static string? FindFault(in ClientHello hello, HostName? expected) => hello switch
    {
        { State: ClientHelloState.NotTls } => RefusalReason.NotTls,
        { State: not ClientHelloState.Complete } => RefusalReason.Malformed,
        { IsEncrypted: true } => RefusalReason.EncryptedClientHello,
        { ServerName: null } => RefusalReason.NoServerName,
        _ when expected is not null && !expected.Equals(hello.ServerName) => RefusalReason.OtherServerName,
        _ => null,
    };

    /// <summary>Reads until enough is there, and says to the reader how much of it was taken.</summary>
    /// <param name="take">Where what was taken ends; null while it is not enough.</param>
    private async ValueTask ReadAsync(Func<ReadOnlySequence<byte>, SequencePosition?> take, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(either.Token);
                var taken = take(read.Buffer);
                if (taken is { } end)
                    input.AdvanceTo(end);
                else
                    input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (taken is not null || read.IsCompleted)
                    return;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException();
        }
    }
}
