using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress.Egress;

/// <summary>
/// An entry of <c>Egress:Allow</c> or <c>Egress:Deny</c>: <c>host</c>, <c>*.host</c> (everything below it, at any depth), <c>*</c>, each
/// with an optional port, and after a single host's name the word <c>private</c>.
/// </summary>
internal sealed class EgressRule
{
    private const string PrivateWord = "private";

    private readonly string? _host;
    private readonly bool _isBelow;
    private readonly int? _port;

    private EgressRule(string? host, bool isBelow, int? port, bool isPrivate)
    {
        _host = host;
        _isBelow = isBelow;
        _port = port;
        IsPrivate = isPrivate;
    }

    /// <summary>The host may have an address that is not public.</summary>
    public bool IsPrivate { get; }

    /// <summary>Every host.</summary>
    public bool IsAny => _host is null;

    public static bool TryParse(string text, [NotNullWhen(true)] out EgressRule? rule)
    {
        rule = null;
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is not ([_] or [_, PrivateWord]) || !HostAndPort.TrySplit(words[0], out var name, out var port))
            return false;

        var isPrivate = words.Length == 2;
        if (name is "*")
            rule = new EgressRule(null, isBelow: false, port, isPrivate);
        else if (name.StartsWith("*.") && HostName.TryParse(name[2..], out var below))
            rule = new EgressRule(below.Value, isBelow: true, port, isPrivate);
        else if (HostName.TryParse(name, out var host))
            rule = new EgressRule(host.Value, isBelow: false, port, isPrivate);

        // Only by its full name: a wildcard would let whoever names a host below it reach private addresses.
        if (isPrivate && rule is { IsAny: true } or { IsPrivate: true, _isBelow: true })
            rule = null;
        return rule is not null;
    }

    /// <summary>An allowed host is allowed on its port, 443 where none is given.</summary>
    public bool Allows(HostName host, int port) => (_port ?? HostAndPort.Https) == port && Names(host);

    /// <summary>A denied host is denied on its port, on all of them where none is given.</summary>
    public bool Denies(HostName host, int port) => (_port ?? port) == port && Names(host);

    private bool Names(HostName host) => _host is null || (_isBelow ? host.IsUnder(_host) : host.Value == _host);
}
