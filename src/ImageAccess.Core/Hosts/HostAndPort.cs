using System.Globalization;

namespace ImageAccess.Core.Hosts;

/// <summary>A host with an optional port, as people write it: <c>host</c> or <c>host:port</c>.</summary>
public static class HostAndPort
{
    public const int Https = 443;

    /// <summary>Parts the host from the port, and looks at the port alone.</summary>
    /// <param name="text">Both.</param>
    /// <param name="host">What stands before the last colon.</param>
    /// <param name="port">Null where none is given.</param>
    public static bool TrySplit(ReadOnlySpan<char> text, out ReadOnlySpan<char> host, out int? port)
    {
        host = text;
        port = null;
        var colon = text.LastIndexOf(':');
        if (colon < 0)
            return true;

        host = text[..colon];
        if (!int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is 0 or > 65535)
            return false;
        port = number;
        return true;
    }
}
