using System.Buffers;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Text;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>
/// A syslog server: messages of RFC 5424, framed as RFC 5425 says, over TLS. That protocol confirms nothing, so each batch has a connection of its own, and
/// its end is the confirmation: we say that there is no more (close_notify), and the server closes. It has read all of it then, if all that we sent
/// was acknowledged: a connection that is closed while anything is unread is reset, and what comes after the close is never acknowledged. Our own FIN
/// waits for the server's: a connection that both sides have shut down is over, and closing it resets nothing.
/// </summary>
internal sealed class SyslogReceiver(SyslogOptions options, UpstreamConnections connections, TimeProvider time) : ITrailReceiver
{
    /// <summary>From the connection to its end.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(60);

    private const string Application = "imageaccess";

    /// <summary>The number that RFC 5612 keeps for those who have none of their own.</summary>
    private const string Structure = "imageaccess@32473";

    private const int Warning = 4, Informational = 6;

    private const int Facilities = 8;

    /// <summary>A server that heeds no close_notify is told by FIN.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>By the machine's own clock: the acknowledgement is a round trip away, and the reset of a server that shuts down first follows at once.</summary>
    private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(100);

    private readonly string _host = HostName();

    public string Name => "syslog";

    public string Section => SyslogOptions.Section;

    /// <summary>Each batch costs a handshake.</summary>
    public TimeSpan Pause => TimeSpan.FromSeconds(5);

    public async Task<ExportAnswer> SendAsync(IReadOnlyList<ExportedEvent> events, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await ExchangeAsync(Frames(events), either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new ExportAnswer($"did not take a batch and close the connection within {Timeout.TotalSeconds} s");
        }
        catch (Exception exception) when (CauseOf(exception) is { } cause)
        {
            return new ExportAnswer(cause);
        }
    }

    /// <summary>Each message with its length before it, however long it is.</summary>
    internal ReadOnlyMemory<byte> Frames(IReadOnlyList<ExportedEvent> events)
    {
        var frames = new ArrayBufferWriter<byte>();
        foreach (var audit in events)
        {
            var header = Encoding.ASCII.GetBytes(HeaderOf(audit));
            frames.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{header.Length + audit.Line.Length} ")));
            frames.Write(header);
            frames.Write(audit.Line);
        }

        return frames.WrittenMemory;
    }

    private string HeaderOf(ExportedEvent audit) => string.Create(
        CultureInfo.InvariantCulture,
        $"<{options.FacilityNumber * Facilities + (audit.IsDenied ? Warning : Informational)}>1 {audit.Time.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} {_host} {Application} - {audit.Kind} [{Structure} id=\"{audit.Id}\" kind=\"{audit.Kind}\"] ");

    private async Task<ExportAnswer> ExchangeAsync(ReadOnlyMemory<byte> frames, CancellationToken cancellationToken)
    {
        var (host, port) = options.Address!.Value;
        var settings = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            AllowTlsResume = false,
            RemoteCertificateValidationCallback = connections.IsTrusted,
        };
        if (options.Pair?.Read() is { } pair)
        {
            if (pair.Found is not { } keyed)
                return new ExportAnswer($"is not asked: {pair.Problem}");
            settings.ClientCertificateContext = SslStreamCertificateContext.Create(keyed.Certificate, keyed.Chain, offline: true);
        }

        await using var network = await connections.ConnectPastProxyAsync(host, port, demandLoopback: false, cancellationToken);
        await using var tls = new SslStream(network, leaveInnerStreamOpen: true);
        await tls.AuthenticateAsClientAsync(settings, cancellationToken);
        var end = ReadToEndAsync(tls, cancellationToken);
        try
        {
            await tls.WriteAsync(frames, cancellationToken);
            if (end.IsCompleted)
            {
                await end; // where it was broken off, or failed, that is the cause
                throw new IOException("the server has ended it before us");
            }

            var isShutDown = await EndAsync(tls, network, end, cancellationToken);
            do
                await Task.Delay(RoundTrip, TimeProvider.System, cancellationToken);
            while (!IsAcknowledged(network.Socket, isShutDown));
            return ExportAnswer.Taken;
        }
        finally
        {
            await network.DisposeAsync();
            await end.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Says that there is no more, and waits for the server's end. True: that came only after our FIN.</summary>
    private async Task<bool> EndAsync(SslStream tls, NetworkStream network, Task end, CancellationToken cancellationToken)
    {
        var (isSaid, isShutDown) = (false, false);
        await using (time.CreateTimer(_ => isShutDown |= Volatile.Read(ref isSaid) && TryShutdown(network.Socket), null, Patience, Patience))
        {
            await tls.ShutdownAsync().WaitAsync(cancellationToken);
            Volatile.Write(ref isSaid, true);
            await end;
            await ReadToEndAsync(network, cancellationToken); // a close_notify alone says nothing of what is unread
        }

        return isShutDown;
    }

    private static bool TryShutdown(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
            return true;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return false; // it has ended, and whoever reads from it knows
        }
    }

    private static async Task ReadToEndAsync(Stream stream, CancellationToken cancellationToken)
    {
        var buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, cancellationToken) > 0)
        {
            // A syslog server has nothing to say.
        }
    }

    /// <summary>Whether the other side's system has all bytes of ours. Only Linux tells; elsewhere the end of the connection is all there is.</summary>
    /// <exception cref="IOException">The connection was reset.</exception>
    private static bool IsAcknowledged(Socket socket, bool isShutDown)
    {
        if (!OperatingSystem.IsLinux())
            return true;
        Span<byte> info = stackalloc byte[TcpInfo.Length];
        var length = socket.GetRawSocketOption(TcpInfo.Level, TcpInfo.Name, info);
        if (length < info.Length || (info[0] == TcpInfo.Closed && !isShutDown) || socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error) is not 0)
            throw new IOException("reset");
        return MemoryMarshal.Read<int>(info[TcpInfo.Unacknowledged..]) == 0 && MemoryMarshal.Read<int>(info[TcpInfo.NotSent..]) == 0;
    }

    private string? CauseOf(Exception exception) => exception switch
    {
        AddressRefusedException => "is not asked: its name leads to a link-local address",
        SocketException socket => $"cannot be reached: {socket.Message}",
        AuthenticationException => $"refuses TLS, or shows a certificate that is not trusted or of another name: look at {Section} and Upstream:TrustedCertificates",
        IOException => "broke off the connection before it had taken a batch",
        _ => null,
    };

    private static string HostName() =>
        Environment.MachineName is { Length: > 0 and <= 255 } name && name.All(c => c is > ' ' and < '\x7f') ? name : "-";

    /// <summary>Of <c>struct tcp_info</c> in linux/tcp.h: places of what is read, in bytes.</summary>
    private static class TcpInfo
    {
        public const int Level = 6, Name = 11, Closed = 7, Unacknowledged = 24, NotSent = 144, Length = 148;
    }
}
