using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>The places that a blob's redirect may lead to; every other is refused.</summary>
public sealed class RedirectHosts
{
    private readonly HostPattern[] _hosts;
    private readonly bool _allowsHttp;

    /// <param name="hosts">Hosts as configured; none for Docker Hub's.</param>
    /// <param name="allowsHttp">Plain http is accepted, because the registry itself is reached by it.</param>
    public RedirectHosts(IList<string> hosts, bool allowsHttp)
    {
        _hosts = hosts.Count == 0 ? [.. DockerHubHosts.Content] : [.. hosts.Select(HostPattern.Parse)];
        _allowsHttp = allowsHttp;
    }

    public bool Allows(Uri target) =>
        target.IsAbsoluteUri
        && (target.Scheme == Uri.UriSchemeHttps || (_allowsHttp && target.Scheme == Uri.UriSchemeHttp))
        && target.UserInfo.Length == 0
        && _hosts.Any(host => host.Matches(target.IdnHost, target.Port));

    /// <summary>Whether the host is listed without a wildcard: its administrator may mean an address that is not public.</summary>
    public bool ListsByName(string host, int port) => _hosts.Any(listed => !listed.HasWildcard && listed.Matches(host, port));
}
