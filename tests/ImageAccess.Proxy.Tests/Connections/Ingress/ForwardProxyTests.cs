using System.Globalization;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>CONNECT: what is tunnelled, what is refused with which text, and that nothing of a refused request reaches anybody.</summary>
public sealed class ForwardProxyTests(IngressRoom room) : IClassFixture<IngressRoom>
{
    private string Target => string.Create(CultureInfo.InvariantCulture, $"{IngressRoom.EchoHost}:{room.Echo.Port}");

    [Fact]
    public async Task A_tunnel_carries_bytes_both_ways()
    {
        var (head, stream) = await room.ConnectAsync(Target);
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", head);
        await using var tls = await room.Echo.SecureAsync(stream);

        var sent = new byte[1024 * 1024];
        Random.Shared.NextBytes(sent);
        var sending = tls.WriteAsync(sent).AsTask();
        var received = new byte[sent.Length];
        await tls.ReadExactlyAsync(received);
        await sending;
        Assert.Equal(sent, received);
    }

    /// <summary>The client ends its side; what the target still has to say arrives all the same.</summary>
    [Fact]
    public async Task A_side_may_end_before_the_other()
    {
        var (_, stream) = await room.ConnectAsync(Target);
        await using var tls = await room.Echo.SecureAsync(stream);
        await tls.WriteAsync("hello "u8.ToArray());
        var start = new byte[6];
        await tls.ReadExactlyAsync(start);
        await tls.ShutdownAsync();
        stream.Socket.Shutdown(SocketShutdown.Send);

        Assert.Equal("after its end", await IngressRoom.ReadToEndAsync(tls));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "this is a forward proxy: it takes only CONNECT")]
    [InlineData("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405, "this is a forward proxy: it takes only CONNECT")]
    [InlineData("GET http://ghcr.io/v2/ HTTP/1.1\r\nHost: ghcr.io\r\n\r\n", 403, "plain http is not forwarded: this proxy takes only CONNECT, for https")]
    [InlineData("GET http://registry-1.docker.io/v2/ HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n", 403, "plain http is not forwarded: this proxy takes only CONNECT, for https")]
    [InlineData("connect ECHO HTTP/1.1\r\n\r\n", 405, "this is a forward proxy: it takes only CONNECT")]
    [InlineData("CONNECT ECHO\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT  ECHO HTTP/1.1\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT ECHO HTTP/1.1 \r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT ECHO HTTP/2.0\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT\tECHO\tHTTP/1.1\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT echo.example.com HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com: HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com:0 HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com:00443 HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com:65536 HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com:+443 HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT :443 HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT / HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT https://ECHO/ HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT echo.example.com:443@evil.example.com:443 HTTP/1.1\r\n\r\n", 400, "CONNECT takes a host name and a port, nothing else")]
    [InlineData("CONNECT echo.example.com:443@evil HTTP/1.1\r\n\r\n", 400, "CONNECT takes host:port")]
    [InlineData("CONNECT user:password@ECHO HTTP/1.1\r\n\r\n", 400, "CONNECT takes a host name and a port, nothing else")]
    [InlineData("CONNECT 127.0.0.1:PORT HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT 169.254.169.254:443 HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT 2130706433:PORT HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT 0x7f.1:PORT HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT [::1]:PORT HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT [::ffff:127.0.0.1]:PORT HTTP/1.1\r\n\r\n", 403, "registry access by address is not allowed, name the host")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400, "CONNECT has no body")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400, "CONNECT has no body")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "CONNECT has no body")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nTRANSFER-ENCODING: xchunked\r\n\r\n", 400, "CONNECT has no body")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "CONNECT has no body")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400, "the request has a header that cannot be read")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nX: y\r\n folded\r\n\r\n", 400, "the request has a header that cannot be read")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nX: y\nZ: w\r\n\r\n", 400, "the request has a header that cannot be read")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nX: y\rZ: w\r\n\r\n", 400, "the request has a header that cannot be read")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nno colon\r\n\r\n", 400, "the request has a header that cannot be read")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nHost: ECHO\r\nHost: ECHO\r\n\r\n", 400, "the Host header names another host")]
    [InlineData("CONNECT ECHO HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n", 400, "the Host header names another host")]
    [InlineData("CONNECT ECHO HTTP/1.1\nHost: ECHO\n\n\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("\r\n\r\nCONNECT ECHO HTTP/1.1\r\n\r\n", 400, "this is no request of HTTP/1.1")]
    [InlineData("CONNECT echo.example.com:22 HTTP/1.1\r\n\r\n", 403, "registry access to echo.example.com is not allowed")]
    [InlineData("CONNECT ghcr.io:22 HTTP/1.1\r\n\r\n", 403, "registry access to ghcr.io is not allowed")]
    [InlineData("CONNECT registry-1.docker.io:80 HTTP/1.1\r\n\r\n", 403, "registry access to registry-1.docker.io is not allowed")]
    [InlineData("CONNECT registry-1.docker.io.:8443 HTTP/1.1\r\n\r\n", 403, "registry access to registry-1.docker.io is not allowed")]
    [InlineData("CONNECT registry-2.docker.io:443 HTTP/1.1\r\n\r\n", 403, "registry access to registry-2.docker.io is not allowed")]
    [InlineData("CONNECT Other.DOCKER.io.:443 HTTP/1.1\r\n\r\n", 403, "registry access to other.docker.io is not allowed")]
    [InlineData("CONNECT production.cloudflare.docker.com:443 HTTP/1.1\r\n\r\n", 403, "registry access to production.cloudflare.docker.com is not allowed")]
    [InlineData("CONNECT docker-images-prod.abc.r2.cloudflarestorage.com:443 HTTP/1.1\r\n\r\n", 403, "registry access to docker-images-prod.abc.r2.cloudflarestorage.com is not allowed")]
    [InlineData("CONNECT mirror.gcr.io:443 HTTP/1.1\r\n\r\n", 403, "registry access to mirror.gcr.io is not allowed")]
    public async Task What_cannot_be_tunnelled_is_refused_with_a_text_and_goes_nowhere(string bytes, int status, string phrase)
    {
        var before = room.Echo.Connections;
        room.World.Hub.Requests.Clear();

        var answer = RawAnswer.Parse(await room.ExchangeAsync(bytes
            .Replace("ECHO", Target, StringComparison.Ordinal)
            .Replace("PORT", room.Echo.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)));

        Assert.Equal((status, phrase, "close"), (answer.Status, answer.Phrase, answer.Header("Connection")));
        Assert.Equal(phrase + "\n", answer.Body);
        Assert.Equal(before, room.Echo.Connections);
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Fact]
    public async Task A_head_without_end_is_refused_and_one_of_many_headers_too()
    {
        Assert.StartsWith(
            "HTTP/1.1 431 the request's head is too large\r\n", await room.ExchangeAsync($"CONNECT {Target} HTTP/1.1\r\nX: {new string('x', 20_000)}"), StringComparison.Ordinal);
        var many = string.Concat(Enumerable.Range(0, 200).Select(number => $"X{number}: y\r\n"));
        Assert.StartsWith(
            "HTTP/1.1 400 the request has too many headers\r\n", await room.ExchangeAsync($"CONNECT {Target} HTTP/1.1\r\n{many}\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_head_that_comes_byte_by_byte_is_a_head()
    {
        await using var stream = await IngressRoom.OpenAsync(room.ForwardProxy);
        foreach (var one in Encoding.ASCII.GetBytes($"CONNECT {Target} HTTP/1.1\r\nHost: {Target}\r\n\r\n"))
            await stream.WriteAsync(new[] { one });
        var answer = new byte["HTTP/1.1 200 Connection Established\r\n\r\n".Length];
        await stream.ReadExactlyAsync(answer);
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", Encoding.ASCII.GetString(answer));
    }

    /// <summary>Whatever comes where a ClientHello belongs: the target sees a connection, and not one byte.</summary>
    [Theory]
    [InlineData("GET /v2/ HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n", "not-tls")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", "not-tls")]
    [InlineData("CONNECT registry-1.docker.io:443 HTTP/1.1\r\n\r\n", "not-tls")]
    [InlineData("\u0016\u0003\u0001\u0000\u0005\u0002\u0000\u0000\u0001x", "malformed")]
    [InlineData("\u0016\u0003\u0001\u0000\u0000", "malformed")]
    public async Task What_is_no_ClientHello_closes_the_tunnel(string bytes, string reason)
    {
        var before = room.Echo.Bytes;
        var (_, stream) = await room.ConnectAsync(Target);
        await using (stream)
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(bytes));
            Assert.Empty(await IngressRoom.ReadToEndAsync(stream));
        }

        Assert.Equal(before, room.Echo.Bytes);
        await room.AuditedAsync(IngressRoom.EchoHost, reason);
    }

    /// <summary>A second request hidden behind the first is no ClientHello either.</summary>
    [Fact]
    public async Task A_request_smuggled_after_CONNECT_closes_the_tunnel()
    {
        var before = room.Echo.Bytes;
        room.World.Hub.Requests.Clear();
        var said = await room.ExchangeAsync($"CONNECT {Target} HTTP/1.1\r\nHost: {Target}\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: {Target}\r\n\r\n");
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", said);
        said = await room.ExchangeAsync("CONNECT registry-1.docker.io:443 HTTP/1.1\r\n\r\nGET /v2/library/nginx/manifests/latest HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n");
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", said);
        Assert.Equal(before, room.Echo.Bytes);
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Theory]
    [InlineData("registry-1.docker.io", "other-server-name")]
    [InlineData("sub.echo.example.com", "other-server-name")]
    [InlineData(null, "no-server-name")]
    public async Task A_ClientHello_for_another_name_closes_the_tunnel(string? serverName, string reason)
    {
        var before = room.Echo.Bytes;
        var (_, stream) = await room.ConnectAsync(Target);
        await using (stream)
        {
            await stream.WriteAsync(ClientHelloBytes.Of(serverName));
            Assert.Empty(await IngressRoom.ReadToEndAsync(stream));
        }

        Assert.Equal(before, room.Echo.Bytes);
        await room.AuditedAsync(IngressRoom.EchoHost, reason);
    }

    [Fact]
    public async Task An_encrypted_ClientHello_closes_the_tunnel()
    {
        var before = room.Echo.Bytes;
        var (_, stream) = await room.ConnectAsync(Target);
        await using (stream)
        {
            await stream.WriteAsync(ClientHelloBytes.Of(IngressRoom.EchoHost, (0xfe0d, [0, 1, 2, 3])));
            Assert.Empty(await IngressRoom.ReadToEndAsync(stream));
        }

        Assert.Equal(before, room.Echo.Bytes);
        await room.AuditedAsync(IngressRoom.EchoHost, "encrypted-client-hello");
    }

    [Theory]
    [InlineData("auth.docker.io")]
    [InlineData("echo.example.com")]
    [InlineData(null)]
    public async Task An_intercepted_connection_has_the_name_that_was_asked_for(string? serverName)
    {
        room.World.Hub.Requests.Clear();
        var (_, stream) = await room.ConnectAsync("registry-1.docker.io:443");
        await using (stream)
        {
            await stream.WriteAsync(ClientHelloBytes.Of(serverName));
            Assert.Empty(await IngressRoom.ReadToEndAsync(stream));
        }

        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Fact]
    public async Task With_a_dot_behind_it_Docker_Hub_is_Docker_Hub()
    {
        var (head, stream) = await room.ConnectAsync("registry-1.docker.io.:443");
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        await using var tls = await room.SecureAsync(stream, "registry-1.docker.io");
        await tls.WriteAsync(Encoding.ASCII.GetBytes(IngressRoom.Request("GET", "registry-1.docker.io", "/v2/")));
        Assert.Equal(401, RawAnswer.Parse(await IngressRoom.ReadToEndAsync(tls)).Status);
    }

    [Fact]
    public async Task A_host_that_cannot_be_reached_is_named()
    {
        await using var other = await IngressRoom.StartAsync(settings:
        [
            ("Egress:Allow:2", "closed.example.com:1 private"), ("Upstream:Addresses:closed.example.com", "127.0.0.1"),
        ]);
        var (head, stream) = await other.ConnectAsync("closed.example.com:1");
        await using (stream)
            Assert.StartsWith("HTTP/1.1 502 closed.example.com could not be reached\r\n", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.1 200 Connection Established\r\n")]
    [InlineData("HTTP/1.0 200 OK\r\nX: y\r\n\r\n", "HTTP/1.1 200 Connection Established\r\n")]
    [InlineData("HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 502 ghcr.io could not be reached\r\n")]
    [InlineData("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "HTTP/1.1 502 ghcr.io could not be reached\r\n")]
    [InlineData("SSH-2.0-OpenSSH", "HTTP/1.1 502 ghcr.io could not be reached\r\n")]
    [InlineData("", "HTTP/1.1 502 ghcr.io could not be reached\r\n")]
    public async Task Through_a_parent_proxy_a_tunnel_is_what_the_parent_says(string says, string answer)
    {
        using var parent = new TcpListener(System.Net.IPAddress.Loopback, 0);
        parent.Start();
        await using var led = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Proxy", $"http://{parent.LocalEndpoint}"), ("Upstream:Addresses:ghcr.io", "140.82.112.33"), ("Upstream:Addresses:inside.example.com", "127.0.0.1"),
        ]);
        var asking = led.ConnectAsync("ghcr.io:443", "Proxy-Authorization: Basic c2VjcmV0");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var client = await parent.AcceptTcpClientAsync(limit.Token);
        var asked = new byte["CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n".Length];
        await client.GetStream().ReadExactlyAsync(asked, limit.Token);
        Assert.Equal("CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n", Encoding.ASCII.GetString(asked));
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(says), limit.Token);
        if (!says.EndsWith("\r\n\r\n", StringComparison.Ordinal))
            client.Close();

        var (head, stream) = await asking;
        Assert.StartsWith(answer, head, StringComparison.Ordinal);
        if (client.Connected && head.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal))
        {
            var hello = ClientHelloBytes.Of("ghcr.io");
            await stream.WriteAsync(hello, limit.Token);
            var received = new byte[hello.Length];
            await client.GetStream().ReadExactlyAsync(received, limit.Token);
            Assert.Equal(hello, received);
        }

        await stream.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 403 ", (await led.ConnectAsync("inside.example.com:443")).Head, StringComparison.Ordinal);
        Assert.False(parent.Pending());
    }

    [Fact]
    public async Task A_refusal_is_in_the_audit_and_in_the_metrics()
    {
        await room.ExchangeAsync("CONNECT audited.docker.io:443 HTTP/1.1\r\n\r\n");
        var audit = await room.AuditedAsync("audited.docker.io", "docker-hub");
        Assert.Equal(
            ["id", "time", "event", "wayIn", "face", "client", "user", "host", "port", "reason", "outcome", "seq", "chain"], audit.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("connection", "forward-proxy", "127.0.0.1", 443), (
            audit.GetProperty("event").GetString(), audit.GetProperty("wayIn").GetString(), audit.GetProperty("client").GetString(), audit.GetProperty("port").GetInt32()));
        using var client = Surroundings.NewClient(room.World.Admin);
        Assert.Contains(
            "imageaccess_ingress_refusals_total{face=\"forward-proxy\",reason=\"docker-hub\",way_in=\"forward-proxy\"}", await client.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }
}
