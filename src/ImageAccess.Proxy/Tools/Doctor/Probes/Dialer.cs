using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Where a connection goes in the place of the host and port of the URL.</summary>
/// <param name="Host">A name or an address.</param>
/// <param name="Port">The port.</param>
internal sealed record Destination(string Host, int Port)
{
    public Destination(IPEndPoint address)
        : this(address.Address.ToString(), address.Port)
    {
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");
}

/// <summary>Connects to a host, directly or through a proxy; for some hosts to another destination.</summary>
internal sealed class Dialer(IHostResolver names, Timeouts timeouts)
{
    /// <summary>Our own name: the proxy has no special answer for it.</summary>
    public const string UserAgent = "imageaccess-doctor";

    private const int MaximumHead = 16 * 1024;

    public ProxyAddress? Proxy { get; init; }

    /// <summary>By host of the URL, whatever its port.</summary>
    public IReadOnlyDictionary<string, Destination> Destinations { get; init; } = new Dictionary<string, Destination>();

    /// <exception cref="RouteClosedException">Nobody is there, or a proxy refuses.</exception>
    public async Task<Stream> ConnectAsync(DnsEndPoint end, CancellationToken cancellationToken)
    {
        var target = Destinations.GetValueOrDefault(end.Host) ?? new Destination(end.Host, end.Port);
        if (Proxy is null)
            return await ConnectAsync(target, cancellationToken);

        var stream = await ConnectAsync(new Destination(Proxy.Host, Proxy.Port), cancellationToken);
        try
        {
            if (Proxy.IsTls)
                stream = await EncryptAsync(stream, Proxy.Host, cancellationToken);
            await OpenTunnelAsync(stream, target.ToString(), Proxy.Authorization, cancellationToken);
            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="RouteClosedException">Nobody is there.</exception>
    private async Task<Stream> ConnectAsync(Destination target, CancellationToken cancellationToken)
    {
        try
        {
            var addresses = IPAddress.TryParse(target.Host, out var address) ? [address] : await timeouts.LimitAsync(
                Timeouts.Lookup, cancel => names.ResolveAsync(target.Host, cancel), cancellationToken);
            var socket = await timeouts.LimitAsync(
                Timeouts.Connection, cancel => UpstreamConnections.ConnectAsync(addresses, target.Port, cancel).AsTask(), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException failure)
        {
            throw RouteClosedException.NotReachable($"{target}: {SocketFailure.Of(failure)}");
        }
        catch (TimeoutException late)
        {
            throw RouteClosedException.NotReachable($"{target}: {late.Message}");
        }
    }

    /// <summary>This system must trust the certificate of a proxy: the proxy gets a user and a password.</summary>
    private static async Task<Stream> EncryptAsync(Stream stream, string host, CancellationToken cancellationToken)
    {
        var encrypted = new SslStream(stream);
        try
        {
            await encrypted.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, cancellationToken);
            return encrypted;
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            throw RouteClosedException.NotReachable("the proxy's own TLS fails, or this system does not trust its certificate");
        }
    }

    /// <summary><c>CONNECT</c> (RFC 9110, section 9.3.6).</summary>
    private static async Task OpenTunnelAsync(Stream stream, string target, string? authorization, CancellationToken cancellationToken)
    {
        var request = new StringBuilder($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {UserAgent}\r\n");
        if (authorization is not null)
            request.Append("Proxy-Authorization: ").Append(authorization).Append("\r\n");
        request.Append("\r\n");
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(request.ToString()), cancellationToken);
            var head = await ReadHeadAsync(stream, cancellationToken);
            var (status, phrase) = ReadStatus(head);
            if (status is >= 200 and < 300)
                return;
            var answer = string.Create(CultureInfo.InvariantCulture, $"{status} {phrase}").TrimEnd();
            throw status switch
            {
                403 => new RouteClosedException(RouteVerdict.Enforced, $"the proxy refuses CONNECT {target}: {answer}"),
                407 => RouteClosedException.NotReachable($"the proxy wants a user and a password: {answer}"),
                _ => RouteClosedException.NotReachable($"the proxy does not open CONNECT {target}: {answer}"),
            };
        }
        catch (IOException)
        {
            throw RouteClosedException.NotReachable($"the proxy closes at CONNECT {target}");
        }
    }

    /// <summary>Reads byte by byte: what follows the head belongs to the tunnel.</summary>
    private static async Task<string> ReadHeadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var head = new byte[MaximumHead];
        for (var length = 0; length < head.Length;)
        {
            if (await stream.ReadAsync(head.AsMemory(length, 1), cancellationToken) == 0)
                throw new IOException();
            if (head.AsSpan(0, ++length).EndsWith("\r\n\r\n"u8) || head.AsSpan(0, length).EndsWith("\n\n"u8))
                return Encoding.Latin1.GetString(head, 0, length);
        }

        throw RouteClosedException.NotReachable("the proxy's answer to CONNECT has no end");
    }

    private static (int Status, string Phrase) ReadStatus(string head)
    {
        var line = head.Split('\n')[0].TrimEnd('\r').Split(' ', 3);
        return line.Length >= 2 && line[0].StartsWith("HTTP/1.", StringComparison.Ordinal)
            && int.TryParse(line[1], NumberStyles.None, CultureInfo.InvariantCulture, out var status)
                ? (status, line.Length > 2 ? Answer.Shorten(line[2]) : "")
                : throw RouteClosedException.NotReachable("what answers CONNECT is no proxy");
    }
}
