using System.Net;
using System.Net.Sockets;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;
using ImageAccess.Proxy.Tools.Doctor;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>What is made of the answers of those that a way leads to.</summary>
public sealed class DirectRouteTests : IDisposable
{
    private static readonly string[] Registries = ["registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "docker.io"];

    private readonly ExaminedMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public async Task Docker_Hub_itself_is_open()
    {
        await using var hub = await HubAsync();
        _machine.Leading(hub.TlsEndPoint!, [.. Registries, "auth.docker.io"]);

        var report = await _machine.ExamineAsync();

        foreach (var host in Registries)
        {
            var row = report.Row("direct IPv4", host);
            Assert.Equal(RouteVerdict.Open, row.Verdict);
            Assert.Equal($"127.0.0.1: Docker Hub hands out {ExaminedMachine.Denied}; certificate of Fake Docker Hub CA, not trusted by this system", row.Outcome.Detail);
            Assert.Equal("no IPv6 address", report.Row("direct IPv6", host).Outcome.Detail);
        }

        var token = report.Row("direct IPv4", "auth.docker.io");
        Assert.Equal(RouteVerdict.Open, token.Verdict);
        Assert.Equal($"127.0.0.1: it gives a token for {ExaminedMachine.Denied}; certificate of Fake Docker Hub CA, not trusted by this system", token.Outcome.Detail);
        Assert.All(hub.Requests.All, request => Assert.True(request.ViaDockerHubNames));
        await report.AssertShownAsync();
    }

    [Fact]
    public async Task A_gateway_that_denies_enforces()
    {
        await using var gateway = await TlsServer.StartAsync(TlsServer.AnswerAsGatewayAsync);
        _machine.Leading(gateway.EndPoint, [.. Registries, "auth.docker.io"]);

        var report = await _machine.ExamineAsync();

        foreach (var host in (IEnumerable<string>)[.. Registries, "auth.docker.io"])
        {
            var row = report.Row("direct IPv4", host);
            Assert.Equal("127.0.0.1: denied: image access denied: community images not allowed (403)", row.Outcome.Detail);
            Assert.Equal(RouteVerdict.Enforced, row.Verdict);
        }

        Assert.False(report.HasOpenRoute);
        Assert.Contains("registry-1.docker.io/v2/ imageaccess-doctor", Trimmed(gateway));
    }

    [Fact]
    public async Task A_gateway_that_hands_out_the_repository_is_asked_for_its_policy()
    {
        await using var gateway = await TlsServer.StartAsync(http =>
        {
            http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
            return http.Response.WriteAsync("{}");
        });
        _machine.Leading(gateway.EndPoint, "registry-1.docker.io");

        var row = (await _machine.ExamineAsync()).Row("direct IPv4", "registry-1.docker.io");

        Assert.Equal(RouteVerdict.Open, row.Verdict);
        Assert.Equal(
            $"127.0.0.1: the proxy hands it out: is image access on, and is {ExaminedMachine.Denied} denied?; certificate of Company CA, not trusted by this system",
            row.Outcome.Detail);
    }

    [Theory]
    [InlineData(404, """{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}""", "404 Not Found")]
    [InlineData(429, """{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}""", "429 Too Many Requests")]
    public async Task A_registry_that_does_not_hand_out_is_open_all_the_same(int status, string body, string shown)
    {
        await using var server = await TlsServer.StartAsync(http =>
        {
            http.Response.StatusCode = status;
            return http.Response.WriteAsync(body);
        });
        _machine.Leading(server.EndPoint, "registry-1.docker.io");

        var row = (await _machine.ExamineAsync()).Row("direct IPv4", "registry-1.docker.io");

        Assert.Equal(RouteVerdict.Open, row.Verdict);
        Assert.StartsWith($"127.0.0.1: it answers as a registry and denied nothing; {ExaminedMachine.Denied} was not handed out ({shown})", row.Outcome.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_that_says_no_is_no_registry()
    {
        await using var server = await TlsServer.StartAsync(http =>
        {
            http.Response.StatusCode = 403;
            return http.Response.WriteAsync("<html>blocked</html>");
        });
        _machine.Leading(server.EndPoint, "registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com");

        var report = await _machine.ExamineAsync();

        Assert.Equal("127.0.0.1: what answers is no registry (403 Forbidden)", report.Row("direct IPv4", "registry-1.docker.io").Outcome.Detail);
        Assert.Equal("127.0.0.1: it answers without a token (403 Forbidden)", report.Row("direct IPv4", "auth.docker.io").Outcome.Detail);
        Assert.Equal("127.0.0.1: somebody else answers: certificate of Company CA, not trusted by this system", report.Row("direct IPv4", "production.cloudflare.docker.com").Outcome.Detail);
        Assert.False(report.HasOpenRoute);
    }

    [Fact]
    public async Task Whoever_answers_at_an_address_that_is_given_is_taken_for_it()
    {
        await using var hub = await HubAsync();
        _machine.Port = hub.TlsEndPoint!.Port;
        _machine.Given["production.cloudflare.docker.com"] = [IPAddress.Loopback];
        _machine.Given["registry-1.docker.io"] = [IPAddress.Loopback];

        var report = await _machine.ExamineAsync();

        Assert.Equal(RouteVerdict.Open, report.Row("given IPv4", "production.cloudflare.docker.com").Verdict);
        Assert.StartsWith($"127.0.0.1: it answers as a registry and denied nothing; {ExaminedMachine.Denied} was not handed out (401 Unauthorized; no token: auth.docker.io:443: the name does not resolve)", report.Row("given IPv4", "registry-1.docker.io").Outcome.Detail, StringComparison.Ordinal);
        Assert.Equal("the name does not resolve", report.Row("direct IPv4", "registry-1.docker.io").Outcome.Detail);
    }

    [Fact]
    public async Task One_open_address_among_closed_ones_is_found()
    {
        await using var hub = await HubAsync();
        _machine.Port = hub.TlsEndPoint!.Port;
        _machine.Given["registry-1.docker.io"] = [IPAddress.Parse("127.0.0.77"), IPAddress.Parse("127.0.0.78"), IPAddress.Loopback];

        Assert.Equal(RouteVerdict.Open, (await _machine.ExamineAsync()).Row("given IPv4", "registry-1.docker.io").Verdict);
    }

    [Fact]
    public async Task Nobody_there_is_not_reachable()
    {
        _machine.Port = 1;
        _machine.Given["registry-1.docker.io"] = [IPAddress.Parse("127.0.0.77"), IPAddress.Parse("127.0.0.78")];

        Assert.Equal("127.0.0.77:1: connection refused, and 1 further address", (await _machine.ExamineAsync()).Row("given IPv4", "registry-1.docker.io").Outcome.Detail);
    }

    [Theory]
    [InlineData("https://evil.example/token")]
    [InlineData("http://auth.docker.io/token")]
    [InlineData("https://auth.docker.io@evil.example/token")]
    [InlineData("https://auth.docker.io:8443/token")]
    [InlineData("https://auth.docker.io.evil.example/token")]
    public async Task A_strangers_realm_is_not_asked(string realm)
    {
        await using var server = await TlsServer.StartAsync(http =>
        {
            http.Response.StatusCode = 401;
            http.Response.Headers.WWWAuthenticate = $"Bearer realm=\"{realm}\",service=\"x\"";
            return Task.CompletedTask;
        });
        _machine.Leading(server.EndPoint, "registry-1.docker.io", "auth.docker.io", "evil.example", "auth.docker.io.evil.example");

        var row = (await _machine.ExamineAsync()).Row("direct IPv4", "registry-1.docker.io");

        Assert.Contains($"no token was asked for at {realm}", row.Outcome.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("evil.example", _machine.Asked);
        Assert.DoesNotContain(server.Requests, request => request.Contains("/token imageaccess", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Strangers_words_do_not_reach_the_terminal_as_commands()
    {
        await using var server = new BrokenServer("HTTP/1.1 403 \x1b[2J\x9b31m" + new string('x', 5000) + "\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 0\r\n\r\n");
        _machine.With("/etc/docker/daemon.json", $$"""{"registry-mirrors":["{{server.Address}}"]}""");

        var report = await _machine.ExamineAsync();
        var text = await report.TextAsync();

        Assert.Equal(RouteVerdict.Open, report.Row("mirror", server.Address).Verdict);
        Assert.DoesNotContain(text, c => char.IsControl(c) && c != '\n');
        Assert.DoesNotContain(new string('x', 300), text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("garbage that is no HTTP\r\n\r\n", "the connection ends without an answer over HTTP")]
    [InlineData("", "the connection ends without an answer over HTTP")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "the connection ends without an answer over HTTP")]
    public async Task A_broken_answer_is_none(string answer, string shown)
    {
        await using var server = new BrokenServer(answer);
        _machine.With("/etc/docker/daemon.json", $$"""{"registry-mirrors":["{{server.Address}}"]}""");

        var row = (await _machine.ExamineAsync()).Row("mirror", server.Address);

        Assert.Equal($"127.0.0.1: {shown}; from /etc/docker/daemon.json", row.Outcome.Detail);
        Assert.Equal(RouteVerdict.NotReachable, row.Verdict);
    }

    [Fact]
    public async Task A_name_that_is_refused_by_an_alert_is_not_reachable()
    {
        await using var server = new AlertServer();
        _machine.Leading(server.EndPoint, "production.cloudflare.docker.com");

        var row = (await _machine.ExamineAsync()).Row("direct IPv4", "production.cloudflare.docker.com");

        Assert.Equal((RouteVerdict.NotReachable, "127.0.0.1: production.cloudflare.docker.com: the TLS handshake is refused"), (row.Verdict, row.Outcome.Detail));
    }

    [Fact]
    public async Task An_endless_answer_ends()
    {
        await using var endless = await TlsServer.StartAsync(async http =>
        {
            http.Response.StatusCode = 403;
            while (!http.RequestAborted.IsCancellationRequested)
                await http.Response.Body.WriteAsync(new byte[4096], http.RequestAborted);
        });
        _machine.Leading(endless.EndPoint, "registry-1.docker.io");

        Assert.Equal("127.0.0.1: what answers is no registry (403 Forbidden)", (await _machine.ExamineAsync()).Row("direct IPv4", "registry-1.docker.io").Outcome.Detail);
    }

    [Fact]
    public async Task Who_never_answers_is_not_waited_for()
    {
        await using var silent = await TlsServer.StartAsync(http => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted));
        _machine.Leading(silent.EndPoint, "registry-1.docker.io");
        _machine.Time = new HastyTime();

        var row = (await _machine.ExamineAsync()).Row("direct IPv4", "registry-1.docker.io");

        Assert.Equal("127.0.0.1: registry-1.docker.io: no answer in 15 s", row.Outcome.Detail);
        Assert.Equal(RouteVerdict.NotReachable, row.Verdict);
    }

    private static IEnumerable<string> Trimmed(TlsServer server) =>
        server.Requests.Select(request => string.Join(' ', request.Replace($":{server.EndPoint.Port}", "", StringComparison.Ordinal).Split(' ').Take(2)));

    private static async Task<FakeHub> HubAsync()
    {
        var hub = await FakeHub.StartAsync(options => options.TlsEndPoint = new IPEndPoint(IPAddress.Loopback, 0));
        hub.Images.PushImage(ExaminedMachine.Denied, "latest");
        return hub;
    }

    /// <summary>Answers each ClientHello with the alert <c>unrecognized_name</c> (RFC 6066, section 3).</summary>
    private sealed class AlertServer : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Task _serving;

        public AlertServer()
        {
            _listener.Start();
            _serving = ServeAsync();
        }

        public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private async Task ServeAsync()
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync();
                if (await client.GetStream().ReadAsync(new byte[16 * 1024]) > 0)
                    await client.GetStream().WriteAsync(new byte[] { 0x15, 3, 3, 0, 2, 2, 112 });
            }
        }
    }
}
