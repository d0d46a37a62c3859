using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace ImageAccess.Core.Hosts;

/// <summary>A host with at most one <c>*</c>, which stands for exactly one label, and a port, by default 443.</summary>
public sealed class HostPattern
{
    private readonly string[] _labels;

    private HostPattern(string[] labels, int port)
    {
        _labels = labels;
        Port = port;
    }

    public int Port { get; }

    public bool HasWildcard => _labels.Contains("*");

    /// <exception cref="FormatException">The text is no such pattern.</exception>
    public static HostPattern Parse(string text) =>
        TryParse(text, out var host) ? host : throw new FormatException($"'{text}' is not a host with at most one * label.");

    public static bool TryParse(string text, [NotNullWhen(true)] out HostPattern? host)
    {
        host = null;
        if (!HostAndPort.TrySplit(text, out var name, out var port))
            return false;

        var labels = name.ToString().ToLowerInvariant().Split('.');
        var wildcards = labels.Count(label => label == "*");
        if (wildcards > 1 || (wildcards == 1 && labels.Length < 3) || !labels.All(IsLabel))
            return false;

        host = new HostPattern(labels, port ?? HostAndPort.Https);
        return true;
    }

    public bool Matches(string host, int port) => port == Port && MatchesName(host);

    /// <summary>Matches the host whatever its port is.</summary>
    public bool MatchesName(string host)
    {
        var labels = host.ToLowerInvariant().Split('.');
        return labels.Length == _labels.Length
            && labels.Zip(_labels).All(pair => pair.First == pair.Second || (pair.Second == "*" && pair.First.Length > 0));
    }

    public override string ToString()
    {
        var name = string.Join('.', _labels);
        return Port == HostAndPort.Https ? name : string.Create(CultureInfo.InvariantCulture, $"{name}:{Port}");
    }

    private static bool IsLabel(string label) =>
        label == "*" || (label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
}
