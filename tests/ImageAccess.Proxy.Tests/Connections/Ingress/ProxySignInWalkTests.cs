using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Wrong passwords at the forward proxy of the whole program, and those who sign in rightly beside them.</summary>
public abstract class ProxySignInWalkTests(string transport) : IAsyncLifetime
{
    private const string Guesser = "127.0.0.1";

    private readonly string _users = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private IngressRoom _room = null!;

    public async Task InitializeAsync()
    {
        await File.WriteAllLinesAsync(_users, new[] { "alice", "bob" }.Select(user => $"{user}:{BCrypt.Net.BCrypt.HashPassword($"password of {user}", 8)}"));
        _room = await IngressRoom.StartAsync(new ManualTime(TimeProvider.System.GetUtcNow()), settings: [("ForwardProxy:Users", _users), ("Listen:Transport", transport)]);
    }

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        File.Delete(_users);
    }

    [Theory]
    [InlineData("alice")]
    [InlineData("nobody")]
    [InlineData(null)]
    public async Task Four_hundred_wrong_passwords_keep_nobody_else_out(string? name)
    {
        Assert.Equal("HTTP/1.1 200 Connection Established", await SignInAsync(Guesser, "alice", "password of alice"));
        var guesses = Enumerable.Range(0, 400).Select(i => SignInAsync(Guesser, name ?? string.Create(CultureInfo.InvariantCulture, $"invented{i}"), $"guess {i}")).ToList();
        Assert.Equal("HTTP/1.1 200 Connection Established", await SignInAsync("127.0.0.2", "bob", "password of bob"));
        Assert.Equal("HTTP/1.1 200 Connection Established", await SignInAsync("127.0.0.3", "alice", "password of alice"));
        Assert.Equal("HTTP/1.1 200 Connection Established", await SignInAsync(Guesser, "alice", "password of alice")); // remembered

        var answers = (await Task.WhenAll(guesses)).GroupBy(line => line.Split(' ')[1]).ToDictionary(group => group.Key, group => group.Count());
        Assert.InRange(answers["407"], 1, 30 + Environment.ProcessorCount);
        Assert.Equal(400, answers["407"] + answers.GetValueOrDefault("429") + answers.GetValueOrDefault("503"));
        Assert.Matches("^HTTP/1.1 429 too many sign-ins have failed, try again in [1-6]?[0-9] s$", await SignInAsync(Guesser, name ?? "another", "guess"));
        Assert.Equal("deny", (await _room.AuditedAsync("registry-1.docker.io", "sign-in-limit")).GetProperty("outcome").GetString());
        Assert.DoesNotContain("guess", await File.ReadAllTextAsync(_room.World.AuditFile), StringComparison.Ordinal);
        using var admin = Surroundings.NewClient(_room.World.Admin);
        Assert.Contains("imageaccess_limited_total{what=\"proxy sign-ins\"} ", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_passwords_through_a_trusted_proxy_keep_nobody_out_behind_it()
    {
        await _room.DisposeAsync();
        _room = await IngressRoom.StartAsync(
            new ManualTime(TimeProvider.System.GetUtcNow()),
            settings: [("ForwardProxy:Users", _users), ("Listen:Transport", transport), ("Listen:TrustedProxies:0", "127.0.0.0/31")]);
        for (var i = 0; i <= 30; i++)
            Assert.Contains(" 407 ", await SignInAsync(Guesser, $"invented{i}", "guess"), StringComparison.Ordinal);
        Assert.Equal("HTTP/1.1 200 Connection Established", await SignInAsync(Guesser, "bob", "password of bob"));
    }

    private async Task<string> SignInAsync(string from, string name, string password)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        await socket.ConnectAsync(IPAddress.Loopback, _room.ForwardProxy.Port, limit.Token);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes(
                "CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: registry-1.docker.io:443\r\n"
                + $"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"))}\r\n\r\n"),
            limit.Token);
        return (await IngressRoom.ReadHeadAsync(stream)).Split("\r\n")[0];
    }
}

public sealed class ProxySignInWalkTests_direct() : ProxySignInWalkTests("direct");

public sealed class ProxySignInWalkTests_kestrel() : ProxySignInWalkTests("kestrel");
