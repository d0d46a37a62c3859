using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Connections.Transport;

/// <summary>Kestrel on this program's own transport, by real sockets: what its own does must still be so.</summary>
public sealed class SocketTransportTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_leaves_before_its_answer_ends_the_request(bool isTls)
    {
        var began = new TaskCompletionSource();
        var ended = new TaskCompletionSource();
        await using var app = await ListeningApp.StartAsync(async http =>
        {
            began.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted).ContinueWith(_ => ended.SetResult(), TaskScheduler.Default);
        });
        await using (var client = await app.ConnectAsync(isTls))
        {
            await client.WriteAsync(Encoding.Latin1.GetBytes(Get));
            await began.Task.WaitAsync(TimeSpan.FromSeconds(60));
            Assert.False(ended.Task.IsCompleted);
        }

        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_is_still_sending_reads_why_it_was_refused(bool isTls)
    {
        await using var app = await ListeningApp.StartAsync(http =>
        {
            http.Response.StatusCode = 413;
            http.Response.Headers.Connection = "close";
            return http.Response.WriteAsync("too much");
        });
        var body = new byte[8 * 1024 * 1024];

        for (var time = 0; time < 20; time++)
        {
            await using var client = await app.ConnectAsync(isTls);
            await client.WriteAsync(Encoding.Latin1.GetBytes($"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {body.Length}\r\n\r\n"));
            await client.WriteAsync(body);
            var answer = await ReadToEndAsync(client);

            Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
            Assert.Contains("too much", answer, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_sent_and_answered_arrives_whole_at_a_slow_reader(bool isTls)
    {
        await using var app = await ListeningApp.StartAsync(async http =>
        {
            http.Response.ContentLength = http.Request.ContentLength;
            await http.Request.Body.CopyToAsync(http.Response.Body, http.RequestAborted);
        });
        var sent = RandomNumberGenerator.GetBytes(6 * 1024 * 1024);
        await using var client = await app.ConnectAsync(isTls);
        var writing = WriteAsync();
        var head = await IngressRoom.ReadHeadAsync(client);
        var received = new byte[sent.Length];
        for (var at = 0; at < received.Length;)
        {
            var piece = Math.Min(9999, received.Length - at);
            await client.ReadExactlyAsync(received.AsMemory(at, piece));
            at += piece;
            if (at % 7 == 0)
                await Task.Yield();
        }

        await writing;
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        Assert.Equal(SHA256.HashData(sent), SHA256.HashData(received));

        async Task WriteAsync()
        {
            await client.WriteAsync(Encoding.Latin1.GetBytes($"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {sent.Length}\r\n\r\n"));
            await client.WriteAsync(sent);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Requests_that_come_at_once_are_answered_in_their_order(bool isTls)
    {
        await using var app = await ListeningApp.StartAsync(async http =>
        {
            await Task.Yield();
            await http.Response.WriteAsync($"[{http.Request.Path}]");
        });
        await using var client = await app.ConnectAsync(isTls);
        await client.WriteAsync(Encoding.Latin1.GetBytes(string.Concat(Enumerable.Range(0, 50).Select(number =>
            $"GET /{number} HTTP/1.1\r\nHost: x\r\nConnection: {(number == 49 ? "close" : "keep-alive")}\r\n\r\n"))));

        var answers = await ReadToEndAsync(client);
        var places = Enumerable.Range(0, 50).Select(number => answers.IndexOf($"[/{number}]", StringComparison.Ordinal)).ToList();
        Assert.DoesNotContain(-1, places);
        Assert.Equal(places.Order(), places);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_breaks_off_its_download_is_nothing_to_log(bool isTls)
    {
        var ended = new TaskCompletionSource();
        await using var app = await ListeningApp.StartAsync(async http =>
        {
            http.Response.OnCompleted(() =>
            {
                ended.SetResult();
                return Task.CompletedTask;
            });
            http.Response.ContentLength = 1L << 30;
            while (!http.RequestAborted.IsCancellationRequested)
            {
                http.Response.BodyWriter.GetMemory(65536).Span[..65536].Clear();
                http.Response.BodyWriter.Advance(65536);
                await http.Response.BodyWriter.FlushAsync(CancellationToken.None);
            }
        });
        await using (var client = await app.ConnectAsync(isTls))
        {
            await client.WriteAsync(Encoding.Latin1.GetBytes(Get));
            await client.ReadExactlyAsync(new byte[1_000_000]);
        }

        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("", string.Join('\n', app.Log.All));
    }

    [Fact]
    public async Task A_handshake_that_does_not_come_has_its_time()
    {
        var time = new ManualTime();
        await using var app = await ListeningApp.StartAsync(http => Task.CompletedTask, time);
        using var silent = await app.OpenAsync(isTls: true);
        await silent.SendAsync(new byte[] { 22, 3, 1 });
        await Eventually.TrueAsync(() => time.PendingTimers > 0);

        time.Advance(ListeningApp.HandshakeTimeout - TimeSpan.FromSeconds(1));
        Assert.False(silent.Poll(TimeSpan.FromMilliseconds(100), SelectMode.SelectRead));
        time.Advance(TimeSpan.FromSeconds(1));

        await AssertClosedAsync(silent);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]
    [InlineData("\u0016\u0003\u0001\u0000\u0005hello")]
    public async Task What_is_no_handshake_is_left_without_a_word_in_the_log(string bytes)
    {
        await using var app = await ListeningApp.StartAsync(http => Task.CompletedTask);
        using var client = await app.OpenAsync(isTls: true);
        await client.SendAsync(Encoding.Latin1.GetBytes(bytes));

        await AssertClosedAsync(client);
        Assert.Equal("", string.Join('\n', app.Log.All));
    }

    [Fact]
    public async Task TLS_is_offered_in_its_versions_of_today_with_HTTP_1_alone()
    {
        await using var app = await ListeningApp.StartAsync(http => http.Response.WriteAsync(http.Request.Scheme));
        await using var tls = (SslStream)await app.ConnectAsync(isTls: true, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11);
        await tls.WriteAsync(Encoding.Latin1.GetBytes("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));

        Assert.Equal(SslApplicationProtocol.Http11, tls.NegotiatedApplicationProtocol);
        Assert.Contains("https", await ReadToEndAsync(tls), StringComparison.Ordinal);
    }

    private static async Task AssertClosedAsync(Socket socket)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var buffer = new byte[1024];
        try
        {
            while (await socket.ReceiveAsync(buffer, limit.Token) > 0)
            {
                // An alert says why.
            }
        }
        catch (SocketException)
        {
            // Closed over what it had sent.
        }
    }

    private static async Task<string> ReadToEndAsync(Stream stream)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var all = new MemoryStream();
        await stream.CopyToAsync(all, limit.Token);
        return Encoding.Latin1.GetString(all.ToArray());
    }
}
