using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Text;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>What a client of the forward proxy asks for: <c>CONNECT host:port HTTP/1.1</c> (RFC 9110, section 9.3.6) and nothing else.</summary>
/// <param name="Host">The host that it asks for.</param>
/// <param name="Port">The port there.</param>
/// <param name="Authorization">The value of <c>Proxy-Authorization</c>; it goes no further.</param>
internal sealed record ConnectRequest(HostName Host, int Port, string? Authorization)
{
    /// <summary>Bytes of the whole head.</summary>
    public const int MaximumLength = 16 * 1024;

    private const int MaximumHeaders = 100;

    private static readonly SearchValues<char> TokenCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    /// <summary>The length of the head, its empty line included; 0 while the end is still missing.</summary>
    public static int FindEnd(in ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        return reader.TryReadTo(out ReadOnlySequence<byte> head, "\r\n\r\n"u8) ? (int)head.Length + 4 : 0;
    }

    /// <summary>The request, or the answer to what is not one.</summary>
    /// <param name="head">The head with its empty line.</param>
    public static (ConnectRequest? Request, ProxyRefusal? Refusal) Read(ReadOnlySpan<byte> head)
    {
        var lines = Encoding.Latin1.GetString(head)[..^4].Split("\r\n");
        var parts = lines[0].Split(' ');
        if (parts.Length != 3 || parts[0].Length == 0 || parts[0].AsSpan().ContainsAnyExcept(TokenCharacters) || parts[2] is not ("HTTP/1.1" or "HTTP/1.0"))
            return (null, ProxyRefusal.Malformed("this is no request of HTTP/1.1"));
        if (parts[0] != "CONNECT")
            return (null, ProxyRefusal.NotConnect(isAbsolute: parts[1].Contains("://", StringComparison.Ordinal)));
        return TryReadTarget(parts[1], out var host, out var port, out var refusal) && TryReadHeaders(lines.AsSpan(1), host, out var authorization, out refusal)
            ? (new ConnectRequest(host, port, authorization), null)
            : (null, refusal);
    }

    private static bool TryReadTarget(string target, [NotNullWhen(true)] out HostName? host, out int port, out ProxyRefusal? refusal)
    {
        (host, port, refusal) = (null, 0, null);
        var colon = target.LastIndexOf(':');
        if (colon <= 0
            || !int.TryParse(target.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
            || port is 0 or > 65535
            || target[colon + 1] == '0')
        {
            refusal = ProxyRefusal.Malformed("CONNECT takes host:port");
        }
        else if (!HostName.TryParse(target.AsSpan(0, colon), out host))
        {
            refusal = IPAddress.TryParse(target.AsSpan(0, colon), out _) ? ProxyRefusal.Address : ProxyRefusal.Malformed("CONNECT takes a host name and a port, nothing else");
        }

        return host is not null;
    }

    /// <summary>Only what cannot be read in two ways: no folded lines, no bare line ends, no body.</summary>
    private static bool TryReadHeaders(ReadOnlySpan<string> lines, HostName host, out string? authorization, out ProxyRefusal? refusal)
    {
        authorization = null;
        refusal = lines.Length > MaximumHeaders ? ProxyRefusal.Malformed("the request has too many headers") : null;
        var hasHost = false;
        foreach (var line in lines)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || line.AsSpan(0, colon).ContainsAnyExcept(TokenCharacters) || line.AsSpan(colon).ContainsAny('\r', '\n', '\0'))
            {
                refusal ??= ProxyRefusal.Malformed("the request has a header that cannot be read");
                continue;
            }

            var value = line.AsSpan(colon + 1).Trim(" \t");
            switch (line[..colon].ToLowerInvariant())
            {
                case "content-length" or "transfer-encoding":
                    refusal ??= ProxyRefusal.Malformed("CONNECT has no body");
                    break;
                case "host" when hasHost || !IsSame(value, host):
                    refusal ??= ProxyRefusal.Malformed("the Host header names another host");
                    break;
                case "host":
                    hasHost = true;
                    break;
                case "proxy-authorization" when authorization is not null:
                    refusal ??= ProxyRefusal.Malformed("Proxy-Authorization comes twice");
                    break;
                case "proxy-authorization":
                    authorization = value.ToString();
                    break;
            }
        }

        return refusal is null;
    }

    private static bool IsSame(ReadOnlySpan<char> value, HostName host)
    {
        var colon = value.LastIndexOf(':');
        return HostName.TryParse(colon < 0 ? value : value[..colon], out var named) && named.Equals(host);
    }
}

/// <summary>What the forward proxy answers when it refuses. Clients show the phrase and nothing else of it.</summary>
internal sealed record ProxyRefusal(int Status, string Phrase, string? Header = null)
{
    public static ProxyRefusal SignIn { get; } =
        new(407, "Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"imageaccess\", charset=\"UTF-8\"");

    /// <summary>Never a 407: the client would take its password for wrong.</summary>
    public static ProxyRefusal Busy { get; } = new(503, "too many passwords are being checked, try again in 5 s", "Retry-After: 5");

    public static ProxyRefusal Late { get; } = new(408, "the request did not come in time");

    public static ProxyRefusal TooLarge { get; } = new(431, "the request's head is too large");

    public static ProxyRefusal TooMany { get; } = new(503, "too many tunnels are open at once, try again later", "Retry-After: 10");

    /// <summary>An address says nothing of the host that is meant.</summary>
    public static ProxyRefusal Address { get; } = new(403, "registry access by address is not allowed, name the host");

    public static ProxyRefusal Malformed(string reason) => new(400, reason);

    public static ProxyRefusal Forbidden(HostName host) => new(403, $"registry access to {host} is not allowed");

    public static ProxyRefusal TooManyFailures(TimeSpan retryAfter) => new(
        429,
        string.Create(CultureInfo.InvariantCulture, $"too many sign-ins have failed, try again in {retryAfter.TotalSeconds} s"),
        string.Create(CultureInfo.InvariantCulture, $"Retry-After: {retryAfter.TotalSeconds}"));

    public static ProxyRefusal Unreachable(HostName host) => new(502, $"{host} could not be reached");

    public static ProxyRefusal NotConnect(bool isAbsolute) => isAbsolute
        ? new(403, "plain http is not forwarded: this proxy takes only CONNECT, for https")
        : new(405, "this is a forward proxy: it takes only CONNECT", "Allow: CONNECT");

    /// <summary>The answer as bytes. The connection ends after it.</summary>
    public byte[] ToBytes()
    {
        var header = Header is null ? "" : Header + "\r\n";
        return Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"HTTP/1.1 {Status} {Phrase}\r\n{header}Content-Type: text/plain\r\nContent-Length: {Phrase.Length + 1}\r\nConnection: close\r\n\r\n{Phrase}\n"));
    }
}
