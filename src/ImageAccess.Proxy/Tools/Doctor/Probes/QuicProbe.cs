using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>
/// Finds out whether a server speaks QUIC at an address: every server answers a packet of an unknown version with the versions that
/// it speaks (RFC 9000, section 6; versions <c>0x?a?a?a?a</c> are reserved for this, section 15).
/// </summary>
internal sealed class QuicProbe(Timeouts timeouts)
{
    /// <summary>The smallest first packet that a server accepts.</summary>
    private const int PacketSize = 1200;

    private const int IdentifierSize = 8;
    private static readonly TimeSpan Again = TimeSpan.FromMilliseconds(600);

    public async Task<bool> IsSpokenAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        var packet = NewPacket();
        try
        {
            await socket.ConnectAsync(address, cancellationToken);
            return await timeouts.LimitAsync(Timeouts.Datagram, cancel => AskAsync(socket, packet, cancel), cancellationToken);
        }
        catch (Exception exception) when (exception is SocketException or TimeoutException)
        {
            return false;
        }
    }

    /// <summary>A long header: form and fixed bit, version, the server's identifier, ours; the rest is padding.</summary>
    private static byte[] NewPacket()
    {
        var packet = RandomNumberGenerator.GetBytes(PacketSize);
        packet[0] |= 0xc0;
        for (var i = 1; i <= 4; i++)
            packet[i] = (byte)((packet[i] & 0xf0) | 0x0a);
        packet[5] = IdentifierSize;
        packet[6 + IdentifierSize] = IdentifierSize;
        return packet;
    }

    private async Task<bool> AskAsync(Socket socket, byte[] packet, CancellationToken cancellationToken)
    {
        var answer = new byte[2048];
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sending = SendAsync(socket, packet, ended.Token);
        try
        {
            while (true)
            {
                var length = await socket.ReceiveAsync(answer, SocketFlags.None, cancellationToken);
                if (IsVersionNegotiation(answer.AsSpan(0, length), packet))
                    return true;
            }
        }
        finally
        {
            await ended.CancelAsync();
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Sends the packet again and again: datagrams get lost.</summary>
    private async Task SendAsync(Socket socket, byte[] packet, CancellationToken cancellationToken)
    {
        while (true)
        {
            await socket.SendAsync(packet, SocketFlags.None, cancellationToken);
            await Task.Delay(Again, timeouts.Time, cancellationToken);
        }
    }

    /// <summary>Version 0, and our identifiers exchanged: only a server that has read the packet answers this.</summary>
    private static bool IsVersionNegotiation(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> packet)
    {
        const int End = 7 + (2 * IdentifierSize);
        var server = packet.Slice(6, IdentifierSize);
        var client = packet.Slice(7 + IdentifierSize, IdentifierSize);
        return answer.Length >= End && (answer[0] & 0x80) != 0 && answer[1..5].SequenceEqual("\0\0\0\0"u8)
            && answer[5] == IdentifierSize && answer.Slice(6, IdentifierSize).SequenceEqual(client)
            && answer[6 + IdentifierSize] == IdentifierSize && answer[(7 + IdentifierSize)..End].SequenceEqual(server);
    }
}
