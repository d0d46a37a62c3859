using System.Net.Sockets;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// How much a connection may have queued in the system's memory beyond what is on its way to the peer. That memory is shared by all
/// connections, and when it is used up Linux resets those of others (<c>tcp_mem</c> in tcp(7)). Left to itself, a connection whose peer does not
/// read takes up to 4 MiB of it.
/// </summary>
internal static class UnsentBytes
{
    public const int Maximum = 256 * 1024;

    private const int Tcp = 6;
    private const int NotSentLowWaterMark = 25; // TCP_NOTSENT_LOWAT of linux/tcp.h

    /// <summary>A listening socket hands the limit on to the connections that it accepts. Only Linux has it.</summary>
    public static void Limit(Socket socket)
    {
        if (OperatingSystem.IsLinux())
            socket.SetRawSocketOption(Tcp, NotSentLowWaterMark, BitConverter.GetBytes(Maximum));
    }
}
