using System.Net;
using System.Net.Sockets;

namespace ImageAccess.Core.Hosts;

/// <summary>The addresses that are told together where single ones would be too many: a /24, of IPv6 a /64.</summary>
public static class AddressRange
{
    public static IPNetwork Of(IPAddress address)
    {
        address = PublicAddress.Plain(address);
        var (bytes, length) = (address.GetAddressBytes(), address.AddressFamily == AddressFamily.InterNetwork ? 24 : 64);
        bytes.AsSpan(length / 8).Clear();
        return new IPNetwork(new IPAddress(bytes), length);
    }
}
