using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Resolves a name as programs on this machine do: by hosts file and resolver. It asks for each version of IP separately, since a hosts file may have only one.</summary>
internal sealed class SystemNames : IHostResolver
{
    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(
            AskAsync(host, AddressFamily.InterNetwork, cancellationToken), AskAsync(host, AddressFamily.InterNetworkV6, cancellationToken));
        return Array.TrueForAll(asked, answer => answer.Failure is not null)
            ? throw asked[0].Failure!
            : [.. asked.SelectMany(answer => answer.Addresses)];
    }

    private static async Task<(IPAddress[] Addresses, SocketException? Failure)> AskAsync(string host, AddressFamily family, CancellationToken cancellationToken)
    {
        try
        {
            return (await Dns.GetHostAddressesAsync(host, family, cancellationToken), null);
        }
        catch (SocketException failure)
        {
            return ([], failure);
        }
    }
}
