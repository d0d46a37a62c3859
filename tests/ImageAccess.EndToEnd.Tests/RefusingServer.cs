using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>Remembers what it is asked and refuses it with a reason: as a forward proxy, or, with a certificate, as a mirror.</summary>
internal sealed class RefusingServer : IAsyncDisposable
{
    private const int MaximumHead = 16 * 1024;

    private readonly TcpListener _listener;
    private readonly X509Certificate2? _certificate;
    private readonly string _reason;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _serving;

    public RefusingServer(IPEndPoint address, string reason, X509Certificate2? certificate = null)
    {
        _reason = reason;
        _certificate = certificate;
        _listener = new TcpListener(address);
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The first lines of the requests.</summary>
    public ConcurrentQueue<string> Asked { get; } = [];

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _serving;
        _end.Dispose();
    }

    private async Task ServeAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true) open.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(_end.Token)));
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(open);
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                await using var stream = await SecureAsync(client.GetStream());
                var head = new byte[MaximumHead];
                var length = 0;
                while (!Encoding.ASCII.GetString(head, 0, length).Contains("\r\n\r\n", StringComparison.Ordinal))
                {
                    var read = await stream.ReadAsync(head.AsMemory(length), _end.Token);
                    if (read == 0) return;
                    length += read;
                }

                Asked.Enqueue(Encoding.ASCII.GetString(head, 0, length).Split("\r\n")[0]);
                var body = $$"""{"errors":[{"code":"DENIED","message":"{{_reason}}"}]}""";
                await stream.WriteAsync(
                    Encoding.ASCII.GetBytes($"HTTP/1.1 403 {_reason}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"),
                    _end.Token);
            }
            catch (Exception gone) when (gone is IOException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
            {
                // The client left, or does not trust the certificate.
            }
        }
    }

    private async Task<Stream> SecureAsync(NetworkStream stream)
    {
        if (_certificate is null) return stream;
        var secure = new SslStream(stream);
        await secure.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _end.Token);
        return secure;
    }
}
