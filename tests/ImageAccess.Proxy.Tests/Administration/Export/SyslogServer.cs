using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace ImageAccess.Proxy.Tests.Administration.Export;

/// <summary>A syslog server over TLS, which takes frames apart as RFC 5425 says, and dies as a test says.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class SyslogServer : IAsyncDisposable
{
    public const string Host = "logs.example.com";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentQueue<string> _messages = new();
    private readonly ConcurrentQueue<string?> _clients = new();
    private readonly CancellationTokenSource _end = new();
    private readonly X509Certificate2 _certificate;
    private readonly Task _accepting;

    public SyslogServer(string host = Host)
    {
        using var made = MakeCertificate(host);
        _certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        Pem = made.ExportCertificatePem();
        _listener.Server.ReceiveBufferSize = 16 * 1024; // it goes over to what it accepts
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public string Pem { get; }

    public SslProtocols Protocols { get; set; } = SslProtocols.Tls12 | SslProtocols.Tls13;

    public bool DemandsCertificate { get; set; }

    /// <summary>What it does with the next connections, once TLS stands: reads to the end and closes where a test says nothing.</summary>
    public Func<SslStream, Socket, Task>? Course { get; set; }

    public IReadOnlyList<string> Messages => [.. _messages];

    public IReadOnlyList<string?> Clients => [.. _clients];

    public int Connections { get; private set; }

    public IReadOnlyList<string> Ids => [.. Messages.Select(message => ExportRoom.IdOf(message[message.IndexOf('{', StringComparison.Ordinal)..]))];

    public static X509Certificate2 MakeCertificate(string host)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    /// <summary>Reads so many messages, or to the end.</summary>
    public async Task ReadAsync(SslStream tls, int messages = int.MaxValue)
    {
        for (var i = 0; i < messages && await ReadFrameAsync(tls) is { } message; i++)
            _messages.Enqueue(message);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _certificate.Dispose();
        _end.Dispose();
    }

    private static async Task<string?> ReadFrameAsync(SslStream tls)
    {
        var (one, length) = (new byte[1], "");
        while (true)
        {
            if (await tls.ReadAsync(one) == 0)
                return length.Length == 0 ? null : throw new InvalidDataException("cut length");
            if (one[0] == ' ')
                break;
            Assert.InRange(one[0], (byte)'0', (byte)'9');
            length += (char)one[0];
        }

        var message = new byte[int.Parse(length, CultureInfo.InvariantCulture)];
        await tls.ReadExactlyAsync(message);
        return Encoding.ASCII.GetString(message);
    }

    private async Task AcceptAsync()
    {
        var running = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_end.Token);
                Connections++;
                running.Add(ServeAsync(socket));
            }
        }
        finally
        {
            await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var ended = _end.Token.Register(socket.Dispose);
        await using var network = new NetworkStream(socket, ownsSocket: true);
        await using var tls = new SslStream(network, leaveInnerStreamOpen: true, (_, certificate, _, _) =>
        {
            _clients.Enqueue(certificate?.Subject);
            return !DemandsCertificate || certificate is not null;
        });
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificate = _certificate,
            EnabledSslProtocols = Protocols,
            ClientCertificateRequired = DemandsCertificate,
        });
        await (Course?.Invoke(tls, socket) ?? ReadAsync(tls));
    }
}
