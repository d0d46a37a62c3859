using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// Where names lead: as <c>Upstream:Addresses</c> says, else as the system does. Where Docker Hub's names lead clients to this
/// program, the system's answer leads it to itself.
/// </summary>
public sealed class HostResolver : IHostResolver
{
    private const string Key = "Upstream:Addresses";
    private const int DnsPort = 53;

    private readonly FrozenDictionary<string, IPAddress[]> _written;
    private readonly DnsResolver? _resolver;

    private HostResolver(IEnumerable<KeyValuePair<string, IPAddress[]>> written, IPEndPoint? resolver)
    {
        _written = written.ToFrozenDictionary(StringComparer.Ordinal);
        _resolver = resolver is null ? null : new DnsResolver(resolver);
    }

    /// <summary>Reads a resolver's address (<c>10.0.0.53</c>, <c>[fd00::53]:5353</c>) or names with one address or several each.</summary>
    /// <param name="section">The section <c>Upstream:Addresses</c>.</param>
    /// <param name="failures">Takes what is wrong, each a line that begins with the key.</param>
    public static HostResolver Read(IConfigurationSection section, ICollection<string> failures)
    {
        if (section.Value is { } text)
            return new HostResolver([], ReadResolver(text, failures));

        var written = new Dictionary<string, IPAddress[]>(StringComparer.Ordinal);
        foreach (var entry in section.GetChildren())
        {
            if (!HostName.TryParse(entry.Key, out var name))
                failures.Add($"{Key}: '{entry.Key}' is not a host name");
            else
                written[name.Value] = ReadAddresses(entry, failures);
        }

        return new HostResolver(written, null);
    }

    /// <exception cref="SocketException">The name has no address, or nobody answered for it.</exception>
    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out var literal))
            return [literal];
        if (HostName.TryParse(host, out var name) && _written.TryGetValue(name.Value, out var addresses))
            return addresses;
        return _resolver is null
            ? await Dns.GetHostAddressesAsync(host, cancellationToken)
            : await _resolver.ResolveAsync(host, cancellationToken);
    }

    private static IPEndPoint? ReadResolver(string text, ICollection<string> failures)
    {
        if (IPEndPoint.TryParse(text, out var resolver))
        {
            if (resolver.Port == 0)
                resolver.Port = DnsPort;
            return resolver;
        }

        failures.Add($"{Key}: '{text}' is not a resolver's address, as 10.0.0.53 or [fd00::53]:5353");
        return null;
    }

    private static IPAddress[] ReadAddresses(IConfigurationSection entry, ICollection<string> failures)
    {
        var addresses = new List<IPAddress>();
        foreach (var text in entry.Value is { } single ? [single] : entry.GetChildren().Select(child => child.Value ?? ""))
        {
            if (IPAddress.TryParse(text, out var address))
                addresses.Add(address);
            else
                failures.Add(string.Create(CultureInfo.InvariantCulture, $"{Key}: '{text}', of {entry.Key}, is not an address"));
        }

        return [.. addresses];
    }
}
