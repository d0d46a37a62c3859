using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Hosts;

/// <summary>A registry as a policy names it: <c>host</c>, or <c>*.host</c> for everything below it, at any depth; each with an optional port, 443 without one.</summary>
public sealed class RegistryPattern
{
    private readonly string _host;
    private readonly bool _isBelow;

    private RegistryPattern(string host, bool isBelow, int port) => (_host, _isBelow, Port) = (host, isBelow, port);

    public int Port { get; }

    /// <summary>Of two that match the same host the closer one has more.</summary>
    public int Closeness => _host.Length;

    public static bool TryParse(string text, [NotNullWhen(true)] out RegistryPattern? pattern)
    {
        pattern = null;
        if (!HostAndPort.TrySplit(text, out var name, out var port))
            return false;
        var isBelow = name.StartsWith("*.", StringComparison.Ordinal);
        if (HostName.TryParse(isBelow ? name[2..] : name, out var host))
            pattern = new RegistryPattern(host.Value, isBelow, port ?? HostAndPort.Https);
        return pattern is not null;
    }

    public bool Matches(HostName host, int port) => port == Port && (_isBelow ? host.IsUnder(_host) : host.Value == _host);
}
