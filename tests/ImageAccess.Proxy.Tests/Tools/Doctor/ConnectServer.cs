using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>A forward proxy: each CONNECT is refused with a status line, or led to a server, as a test says.</summary>
internal sealed class ConnectServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Func<string, object> _decide;
    private readonly Task _serving;

    /// <param name="decide">From the authority that was asked for: an <see cref="IPEndPoint"/>, or a status line.</param>
    public ConnectServer(Func<string, object> decide)
    {
        _decide = decide;
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Address => $"http://{_listener.LocalEndpoint}";

    public string Authority => $"{_listener.LocalEndpoint}";

    /// <summary>The heads of all requests.</summary>
    public ConcurrentQueue<string> Heads { get; } = [];

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stopping.Dispose();
    }

    private async Task ServeAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true)
                open.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(_stopping.Token)));
        }
        finally
        {
            await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            var stream = client.GetStream();
            var head = new byte[16 * 1024];
            var length = 0;
            while (!head.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            {
                if (await stream.ReadAsync(head.AsMemory(length), _stopping.Token) is not (> 0 and var read))
                    return;
                length += read;
            }

            var text = Encoding.Latin1.GetString(head, 0, length);
            Heads.Enqueue(text);
            if (_decide(text.Split(' ')[1]) is not IPEndPoint target)
            {
                await stream.WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {_decide(text.Split(' ')[1])}\r\nContent-Length: 0\r\n\r\n"), _stopping.Token);
                return;
            }

            using var server = new TcpClient();
            await server.ConnectAsync(target, _stopping.Token);
            await stream.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), _stopping.Token);
            var there = server.GetStream();
            await Task.WhenAny(stream.CopyToAsync(there, _stopping.Token), there.CopyToAsync(stream, _stopping.Token));
        }
    }
}
