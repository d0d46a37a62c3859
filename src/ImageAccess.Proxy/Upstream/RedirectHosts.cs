using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace ImageAccess.Proxy.Upstream;

/// <summary>The places that a blob's redirect may lead to; every other is refused.</summary>
public sealed class RedirectHosts
{
    /// <summary>Docker Hub's content delivery hosts.</summary>
    private static readonly string[] DockerHub =
    [
        "production.cloudflare.docker.com", "production.cloudfront.docker.com", "docker-images-prod.*.r2.cloudflarestorage.com",
    ];

    private readonly RedirectHost[] _hosts;
    private readonly bool _allowsHttp;

    /// <param name="hosts">Hosts as configured; none for Docker Hub's.</param>
    /// <param name="allowsHttp">Plain http is accepted, because the registry itself is reached by it.</param>
    public RedirectHosts(IList<string> hosts, bool allowsHttp)
    {
        _hosts = [.. (hosts.Count == 0 ? DockerHub : hosts).Select(RedirectHost.Parse)];
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

/// <summary>A host with at most one <c>*</c>, which stands for exactly one label, and a port.</summary>
internal sealed class RedirectHost
{
    private readonly string[] _labels;
    private readonly int _port;

    private RedirectHost(string[] labels, int port)
    {
        _labels = labels;
        _port = port;
    }

    public bool HasWildcard => _labels.Contains("*");

    public static RedirectHost Parse(string text) =>
        TryParse(text, out var host) ? host : throw new FormatException($"'{text}' is not a host that a redirect may lead to.");

    public static bool TryParse(string text, [NotNullWhen(true)] out RedirectHost? host)
    {
        host = null;
        var port = 443;
        var colon = text.LastIndexOf(':');
        if (colon >= 0)
        {
            if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is 0 or > 65535)
                return false;
            text = text[..colon];
        }

        var labels = text.ToLowerInvariant().Split('.');
        var wildcards = labels.Count(label => label == "*");
        if (wildcards > 1 || (wildcards == 1 && labels.Length < 3) || !labels.All(IsLabel))
            return false;

        host = new RedirectHost(labels, port);
        return true;
    }

    public bool Matches(string host, int port)
    {
        if (port != _port)
            return false;

        var labels = host.ToLowerInvariant().Split('.');
        return labels.Length == _labels.Length
            && labels.Zip(_labels).All(pair => pair.First == pair.Second || (pair.Second == "*" && pair.First.Length > 0));
    }

    private static bool IsLabel(string label) =>
        label == "*" || (label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
}
