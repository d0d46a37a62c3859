using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>Whose allowance of questions to the catalog a decision may use up.</summary>
internal readonly record struct CatalogPayer
{
    private string? Subject { get; init; }

    private IPAddress? Address { get; init; }

    private bool IsNamespace { get; init; }

    /// <summary>Each namespace has an allowance of its own: an administrator who checks images may ask for more than a client may.</summary>
    public static CatalogPayer Namespace => new() { IsNamespace = true };

    /// <summary>The user; for an anonymous caller the address, and for IPv6 its network, because one machine can have all addresses of it.</summary>
    public static CatalogPayer Client(Caller caller, IPAddress? address) => new() { Subject = caller.Subject, Address = address };

    /// <summary>The name under which the catalog counts the question about a namespace.</summary>
    public string NameFor(string @namespace) => this switch
    {
        { IsNamespace: true } => $"check of {@namespace}",
        { Subject: { } subject } => $"user {subject}",
        _ => $"address {NetworkOf(Address)}",
    };

    private static string? NetworkOf(IPAddress? address)
    {
        address = address is null ? null : PublicAddress.Plain(address);
        if (address is not { AddressFamily: AddressFamily.InterNetworkV6 })
            return address?.ToString();
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return $"{new IPAddress(bytes)}/64";
    }
}
