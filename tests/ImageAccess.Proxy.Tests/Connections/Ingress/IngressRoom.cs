using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>The whole proxy with a gateway and a forward proxy, a server that tunnels may lead to, and clients of real sockets and real TLS.</summary>
public sealed class IngressRoom : IAsyncLifetime, IAsyncDisposable
{
    /// <summary>A host that the settings allow, on an address of this machine.</summary>
    public const string EchoHost = "echo.example.com";

    private IngressRoom(TargetServer echo) => Echo = echo;

    public IngressRoom()
        : this(new TargetServer())
    {
    }

    internal Surroundings World { get; private set; } = null!;

    internal TargetServer Echo { get; }

    internal Uri Gateway => World.Further[0];

    internal Uri ForwardProxy => World.Further[1];

    internal X509Certificate2 Authority { get; private set; } = null!;

    internal static async Task<IngressRoom> StartAsync(TimeProvider? time = null, string policy = Surroundings.Policy, params (string Key, string Value)[] settings)
    {
        var room = new IngressRoom();
        await room.StartWorldAsync(time ?? TimeProvider.System, policy, settings);
        return room;
    }

    public Task InitializeAsync() => StartWorldAsync(TimeProvider.System, Surroundings.Policy, []);

    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await World.DisposeAsync();
        await Echo.DisposeAsync();
        Authority.Dispose();
    }

    /// <summary>A connection to one of the listeners.</summary>
    internal static async Task<NetworkStream> OpenAsync(Uri listener)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, listener.Port, limit.Token);
        return new NetworkStream(socket, ownsSocket: true) { ReadTimeout = 30_000 };
    }

    /// <summary>Through the forward proxy to a host; the answer's head, and the connection behind it.</summary>
    internal Task<(string Head, NetworkStream Stream)> ConnectAsync(string target, params string[] headers) => ConnectAsync(ForwardProxy, target, headers);

    internal static async Task<(string Head, NetworkStream Stream)> ConnectAsync(Uri proxy, string target, params string[] headers)
    {
        var stream = await OpenAsync(proxy);
        await stream.WriteAsync(Encoding.Latin1.GetBytes($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{string.Concat(headers.Select(header => header + "\r\n"))}\r\n"));
        return (await ReadHeadAsync(stream), stream);
    }

    /// <summary>Sends bytes to the forward proxy and reads until it closes.</summary>
    internal Task<string> ExchangeAsync(string bytes) => ExchangeAsync(ForwardProxy, Encoding.Latin1.GetBytes(bytes));

    internal static async Task<string> ExchangeAsync(Uri listener, byte[] bytes)
    {
        await using var stream = await OpenAsync(listener);
        await stream.WriteAsync(bytes);
        return await ReadToEndAsync(stream);
    }

    /// <summary>TLS under a server name, with the proxy's CA trusted and no other.</summary>
    internal Task<SslStream> SecureAsync(Stream stream, string serverName) => SecureAsync(stream, serverName, Authority);

    internal static async Task<SslStream> SecureAsync(Stream stream, string serverName, X509Certificate2 root)
    {
        var tls = new SslStream(stream);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { root },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        });
        return tls;
    }

    /// <summary>One request under Docker Hub's names through the gateway.</summary>
    internal async Task<RawAnswer> AskGatewayAsync(string serverName, string request)
    {
        await using var tls = await SecureAsync(await OpenAsync(Gateway), serverName);
        return await AskAsync(tls, request);
    }

    /// <summary>One request under Docker Hub's names through the forward proxy.</summary>
    internal async Task<RawAnswer> AskForwardProxyAsync(string serverName, string request)
    {
        var (head, stream) = await ConnectAsync($"{serverName}:443");
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", head);
        await using var tls = await SecureAsync(stream, serverName);
        return await AskAsync(tls, request);
    }

    /// <summary>A request's text as a client of Docker Hub writes it.</summary>
    internal static string Request(string method, string host, string target, string? token = null, string? userAgent = null, string? basic = null, string form = "") =>
        $"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        + (token is null ? "" : $"Authorization: Bearer {token}\r\n")
        + (basic is null ? "" : $"Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(basic))}\r\n")
        + (userAgent is null ? "" : $"User-Agent: {userAgent}\r\n")
        + (form.Length == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {form.Length}\r\n"))
        + "\r\n" + form;

    /// <summary>The audit's event of a connection to this host that was refused for this reason, once it is written.</summary>
    internal async Task<JsonElement> AuditedAsync(string host, string reason)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            foreach (var audit in await World.AuditAsync(1))
            {
                if (audit.TryGetProperty("host", out var named) && named.GetString() == host && audit.GetProperty("reason").GetString() == reason)
                    return audit;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), limit.Token);
        }
    }

    internal static async Task<string> ReadToEndAsync(Stream stream)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var answer = new MemoryStream();
        try
        {
            await stream.CopyToAsync(answer, limit.Token);
        }
        catch (IOException)
        {
            // A reset: bytes of the request were left unread.
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    internal static async Task<RawAnswer> AskAsync(SslStream tls, string request)
    {
        Assert.Equal(SslApplicationProtocol.Http11, tls.NegotiatedApplicationProtocol);
        await tls.WriteAsync(Encoding.Latin1.GetBytes(request));
        return RawAnswer.Parse(await ReadToEndAsync(tls));
    }

    internal static async Task<string> ReadHeadAsync(Stream stream)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one, limit.Token) == 1)
            head.Append((char)one[0]);
        return head.ToString();
    }

    private async Task StartWorldAsync(TimeProvider time, string policy, (string Key, string Value)[] settings)
    {
        var all = new Dictionary<string, string>
        {
            ["Listen:Gateway"] = "https://127.0.0.1:0",
            ["Listen:ForwardProxy"] = "http://127.0.0.1:0",
            ["Egress:Allow:0"] = "*",
            ["Egress:Allow:1"] = string.Create(CultureInfo.InvariantCulture, $"{EchoHost}:{Echo.Port} private"),
            ["Upstream:Addresses:registry-1.docker.io"] = "192.0.2.1",
            [$"Upstream:Addresses:{EchoHost}"] = "127.0.0.1",
        };
        foreach (var (key, value) in settings)
            all[key] = value;
        World = await Surroundings.StartAsync(policy, hub: null, time, [.. all.Select(pair => (pair.Key, pair.Value))]);
        Authority = X509Certificate2.CreateFromPem(await File.ReadAllTextAsync(World.AuthorityFile));
    }
}

/// <summary>A TLS server that sends back what it is sent, whatever name it is called, and keeps what came before TLS failed.</summary>
internal sealed class TargetServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CertificateAuthority _authority = new("The target's CA");
    private readonly X509Certificate2 _leaf;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _accepting;
    private X509Certificate2 Root { get; }

    private int _connections;
    private long _bytes;

    public TargetServer()
    {
        using var issued = _authority.Issue(IngressRoom.EchoHost);
        _leaf = X509CertificateLoader.LoadPkcs12(issued.Export(X509ContentType.Pkcs12), null);
        Root = X509Certificate2.CreateFromPem(_authority.CertificatePem);
        _listener.Start(4096);
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Connections that were accepted.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Bytes received, TLS records as they are.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stopping.Dispose();
        _leaf.Dispose();
        Root.Dispose();
        _authority.Dispose();
    }

    /// <summary>A client's TLS to this server over a stream that leads to it.</summary>
    public Task<SslStream> SecureAsync(Stream stream) => IngressRoom.SecureAsync(stream, IngressRoom.EchoHost, Root);

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_stopping.Token);
                Interlocked.Increment(ref _connections);
                serving.Add(ServeAsync(socket));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var counted = new CountingStream(new NetworkStream(socket, ownsSocket: true), count => Interlocked.Add(ref _bytes, count));
        try
        {
            using var tls = new SslStream(counted);
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _leaf }, _stopping.Token);
            var buffer = new byte[16 * 1024];
            int count;
            while ((count = await tls.ReadAsync(buffer, _stopping.Token)) > 0)
                await tls.WriteAsync(buffer.AsMemory(0, count), _stopping.Token);
            await tls.WriteAsync("after its end"u8.ToArray(), _stopping.Token);
            await tls.ShutdownAsync();
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException or OperationCanceledException or ObjectDisposedException)
        {
            // The client has gone, or never spoke TLS.
        }
    }

    private sealed class CountingStream(Stream inner, Action<int> read) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            read(count);
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
