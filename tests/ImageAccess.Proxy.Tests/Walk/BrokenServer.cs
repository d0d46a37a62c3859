using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Answers every request with the same bytes, whatever they are, and closes: what no web server can be made to do.</summary>
public sealed class BrokenServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly byte[] _answer;
    private readonly Task _serving;

    public BrokenServer(string answer)
    {
        _answer = Encoding.Latin1.GetBytes(answer);
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Address => $"http://{_listener.LocalEndpoint}";

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stopping.Dispose();
    }

    private async Task ServeAsync()
    {
        var head = new byte[64 * 1024];
        while (true)
        {
            using var client = await _listener.AcceptTcpClientAsync(_stopping.Token);
            try
            {
                var stream = client.GetStream();
                var length = 0;
                while (!head.AsSpan(0, length).EndsWith("\r\n\r\n"u8) && await stream.ReadAsync(head.AsMemory(length), _stopping.Token) is > 0 and var read)
                    length += read;
                await stream.WriteAsync(_answer, _stopping.Token);
            }
            catch (IOException)
            {
                // The other side has seen enough.
            }
        }
    }
}
