using System.Net;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What the admin listener tells or does only for the machine that the proxy runs on.</summary>
internal static class OwnMachine
{
    /// <summary>What proxies add to a request that they pass on.</summary>
    private static readonly string[] SignsOfAProxy = ["Forwarded", "X-Forwarded-For", "Via"];

    /// <summary>
    /// The connection comes from this machine and addresses it by number or as localhost: a web page whose own host name leads to
    /// loopback would send that name. What a reverse proxy on this machine passes on may come from anywhere.
    /// </summary>
    public static bool Asks(HttpContext http)
    {
        var (remote, local) = (http.Connection.RemoteIpAddress, http.Connection.LocalIpAddress);
        var host = http.Request.Host.Host.Trim('[', ']');
        return remote is not null
            && (IPAddress.IsLoopback(remote) || remote.Equals(local))
            && (host == "localhost" || IPAddress.TryParse(host, out _))
            && !SignsOfAProxy.Any(http.Request.Headers.ContainsKey);
    }
}
