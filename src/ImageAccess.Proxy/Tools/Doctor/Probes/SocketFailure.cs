using System.Net.Sockets;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Says why a socket failed, in the same words on every system.</summary>
internal static class SocketFailure
{
    public static string Of(SocketException exception) => exception.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "connection refused",
        SocketError.ConnectionReset => "connection reset",
        SocketError.TimedOut => "no answer",
        SocketError.NetworkUnreachable or SocketError.HostUnreachable or SocketError.AddressNotAvailable => "no route",
        SocketError.AddressFamilyNotSupported => "this machine does not speak this version of IP",
        SocketError.AccessDenied => "forbidden on this machine",
        SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain or SocketError.NoRecovery => "the name does not resolve",
        _ => exception.Message,
    };
}
