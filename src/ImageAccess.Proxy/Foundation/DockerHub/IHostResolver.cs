using System.Net;
using System.Net.Sockets;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Names to addresses, as this program reaches them: not always as the system says.</summary>
public interface IHostResolver
{
    /// <exception cref="SocketException">The name has no address, or nobody answered for it.</exception>
    Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken);
}
