using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>An upstream whose every byte a test decides: it gets each connection, and the head of each request on it.</summary>
public sealed class RawServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Func<RawConnection, Task> _serve;
    private readonly X509Certificate2? _certificate;
    private readonly List<Task> _connections = [];
    private readonly Task _accepting;

    /// <param name="serve">What happens on each connection; it is closed behind it.</param>
    /// <param name="certificate">With it, the server speaks TLS.</param>
    public RawServer(Func<RawConnection, Task> serve, X509Certificate2? certificate = null)
    {
        (_serve, _certificate) = (serve, certificate);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Address => $"{(_certificate is null ? "http" : "https")}://{_listener.LocalEndpoint}";

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_connections).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
            _connections.Add(ServeAsync(await _listener.AcceptSocketAsync(_stopping.Token)));
    }

    /// <summary>Closes so that what was sent arrives: nothing that comes is left unread.</summary>
    private async Task EndAsync(Socket socket)
    {
        socket.Shutdown(SocketShutdown.Send);
        var buffer = new byte[16 * 1024];
        while (await socket.ReceiveAsync(buffer, _stopping.Token) > 0)
        {
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        await using Stream stream = _certificate is null ? new NetworkStream(socket) : new SslStream(new NetworkStream(socket));
        if (stream is SslStream tls)
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _stopping.Token);
        await _serve(new RawConnection(socket, stream, _stopping.Token));
        if (socket.Connected)
            await EndAsync(socket);
    }
}

/// <summary>One connection of a <see cref="RawServer"/>; it is closed when the test's own code returns.</summary>
public sealed class RawConnection(Socket socket, Stream stream, CancellationToken stopping)
{
    private readonly List<byte> _received = [];

    /// <summary>The next request's head, or null where the other side has closed.</summary>
    public async Task<string?> ReadHeadAsync()
    {
        var buffer = new byte[1024];
        while (true)
        {
            var text = Encoding.Latin1.GetString([.. _received]);
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0)
            {
                _received.RemoveRange(0, end + 4);
                return text[..end];
            }

            var count = await stream.ReadAsync(buffer, stopping);
            if (count == 0)
                return null;
            _received.AddRange(buffer[..count]);
        }
    }

    /// <summary>Reads this much of a body.</summary>
    public async Task ReadAsync(int bytes)
    {
        var buffer = new byte[16 * 1024];
        for (var left = bytes - _received.Count; left > 0;)
        {
            var count = await stream.ReadAsync(buffer.AsMemory(0, Math.Min(buffer.Length, left)), stopping);
            if (count == 0)
                return;
            left -= count;
        }
    }

    public async Task WriteAsync(string text) => await stream.WriteAsync(Encoding.Latin1.GetBytes(text), stopping);

    /// <summary>Ends the connection with a reset, as a firewall or a server with unread bytes does.</summary>
    public void Reset()
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    /// <summary>Closes at once; over bytes that were not read this is a reset.</summary>
    public void Close() => socket.Close();

    /// <summary>Neither reads nor writes any more, and closes nothing.</summary>
    public Task HangAsync() => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stopping);
}
