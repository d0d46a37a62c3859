using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// Whom a share of something belongs to: a user, else the network of an address. An IPv4 address is a network of its own, also where it is
/// written as an IPv6 one; of IPv6 it is the /64, because one machine can have all addresses of it.
/// </summary>
public readonly record struct ClientShare
{
    /// <summary>A name may come from whoever tries to sign in: what is kept of it has a limit.</summary>
    private const int MaximumName = 256;

    private readonly AddressFamily _family;
    private readonly ulong _network;
    private readonly string? _user;

    private ClientShare(AddressFamily family, ulong network, string? user) => (_family, _network, _user) = (family, network, user);

    /// <param name="address">Null for all who have none: together they have one share.</param>
    public static ClientShare Of(IPAddress? address)
    {
        if (address is null)
            return default;
        Span<byte> bytes = stackalloc byte[16];
        PublicAddress.Plain(address).TryWriteBytes(bytes, out var length);
        return length == 4
            ? new ClientShare(AddressFamily.InterNetwork, BinaryPrimitives.ReadUInt32BigEndian(bytes), null)
            : new ClientShare(AddressFamily.InterNetworkV6, BinaryPrimitives.ReadUInt64BigEndian(bytes), null);
    }

    /// <param name="user">Names differ by case: whoever folds it does so before.</param>
    public static ClientShare OfUser(string user) => default(ClientShare).With(user);

    /// <summary>One user's part of this network's share.</summary>
    /// <inheritdoc cref="OfUser"/>
    public ClientShare With(string user) => new(_family, _network, user.Length > MaximumName ? user[..MaximumName] : user);

    /// <summary><c>192.0.2.1</c>, <c>2001:db8::/64</c>, <c>user alice</c>, <c>user alice at 192.0.2.1</c>, or <c>no address</c>.</summary>
    public override string ToString() => (_user, _family) switch
    {
        (null, _) => Network(),
        (_, AddressFamily.Unspecified) => $"user {_user}",
        _ => $"user {_user} at {Network()}",
    };

    private string Network()
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        switch (_family)
        {
            case AddressFamily.InterNetwork:
                BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)_network);
                return new IPAddress(bytes[..4]).ToString();
            case AddressFamily.InterNetworkV6:
                BinaryPrimitives.WriteUInt64BigEndian(bytes, _network);
                return string.Create(CultureInfo.InvariantCulture, $"{new IPAddress(bytes)}/64");
            default:
                return "no address";
        }
    }
}
