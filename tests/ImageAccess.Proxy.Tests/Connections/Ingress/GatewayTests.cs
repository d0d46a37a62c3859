using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>The gateway before TLS: the server name decides, wherever the connection was meant to go.</summary>
public sealed class GatewayTests(IngressRoom room) : IClassFixture<IngressRoom>
{
    [Theory]
    [InlineData("www.docker.io", 49)]
    [InlineData("production.cloudflare.docker.com", 49)]
    [InlineData("mirror.gcr.io", 49)]
    [InlineData(null, 112)]
    [InlineData("127.0.0.1", 112)]
    public async Task A_name_that_is_not_tunnelled_gets_an_alert(string? serverName, byte description)
    {
        room.World.Hub.Requests.Clear();
        var answer = await IngressRoom.ExchangeAsync(room.Gateway, ClientHelloBytes.Of(serverName));
        Assert.Equal([21, 3, 3, 0, 2, 2, description], Encoding.Latin1.GetBytes(answer));
        Assert.Empty(room.World.Hub.Requests.All);
    }

    [Fact]
    public async Task An_encrypted_ClientHello_gets_an_alert()
    {
        var answer = await IngressRoom.ExchangeAsync(room.Gateway, ClientHelloBytes.Of("registry-1.docker.io", (0xfe0d, [0])));
        Assert.Equal([21, 3, 3, 0, 2, 2, 112], Encoding.Latin1.GetBytes(answer));
    }

    [Fact]
    public async Task A_malformed_one_gets_an_alert()
    {
        var answer = await IngressRoom.ExchangeAsync(room.Gateway, [22, 3, 1, 0, 4, 2, 0, 0, 0]);
        Assert.Equal([21, 3, 3, 0, 2, 2, 50], Encoding.Latin1.GetBytes(answer));
    }

    [Fact]
    public async Task One_without_end_gets_an_alert()
    {
        var answer = await IngressRoom.ExchangeAsync(room.Gateway, ClientHelloBytes.Record([1, 0, 63, 255, .. new byte[16_300]], 100));
        Assert.Equal([21, 3, 3, 0, 2, 2, 50], Encoding.Latin1.GetBytes(answer));
    }

    [Theory]
    [InlineData("GET /v2/ HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n")]
    [InlineData("CONNECT registry-1.docker.io:443 HTTP/1.1\r\n\r\n")]
    [InlineData("\0\0\0\0")]
    public async Task What_is_no_TLS_is_told_so(string bytes)
    {
        room.World.Hub.Requests.Clear();
        var answer = RawAnswer.Parse(await IngressRoom.ExchangeAsync(room.Gateway, Encoding.Latin1.GetBytes(bytes)));
        Assert.Equal((400, "this port speaks TLS"), (answer.Status, answer.Phrase));
        Assert.Empty(room.World.Hub.Requests.All);
    }

    /// <summary>To another host, as to hub.docker.com: tunnelled by the server name, to port 443.</summary>
    [Fact]
    public async Task Another_name_is_tunnelled_as_egress_says()
    {
        var answer = await IngressRoom.ExchangeAsync(room.Gateway, ClientHelloBytes.Of(IngressRoom.EchoHost));
        Assert.Equal([21, 3, 3, 0, 2, 2, 49], Encoding.Latin1.GetBytes(answer)); // allowed to be private on its own port alone

        var (address, port) = (new IPAddress([127, 73, (byte)(Environment.ProcessId >> 8), (byte)Environment.ProcessId]), 443);
        using var target = new TcpListener(address, port);
        target.Start();
        await using var open = await IngressRoom.StartAsync(settings:
        [
            ("Egress:Allow:2", "hub.docker.com private"), ("Upstream:Addresses:hub.docker.com", address.ToString()),
        ]);
        await using var client = await IngressRoom.OpenAsync(open.Gateway);
        var hello = ClientHelloBytes.Of("hub.docker.com");
        await client.WriteAsync(hello);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var accepted = await target.AcceptTcpClientAsync(limit.Token);
        var received = new byte[hello.Length];
        await accepted.GetStream().ReadExactlyAsync(received, limit.Token);
        Assert.Equal(hello, received);
        await accepted.GetStream().WriteAsync("back"u8.ToArray(), limit.Token);
        accepted.Close();
        Assert.Equal("back", await IngressRoom.ReadToEndAsync(client));
    }

    /// <summary>A name under which a tunnel of this program comes back to its own gateway ends at the first turn.</summary>
    [Fact]
    public async Task A_tunnel_that_leads_back_here_goes_round_once()
    {
        await using var looped = await IngressRoom.StartAsync(settings:
        [
            ("Listen:Gateway", $"https://{Own}:443"), ("Egress:Allow:2", "loop.example.com private"), ("Upstream:Addresses:loop.example.com", Own),
        ]);
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Parse(Own), 443);
        await socket.GetStream().WriteAsync(ClientHelloBytes.Of("loop.example.com"));
        Assert.Equal([21, 3, 3, 0, 2, 2, 49], Encoding.Latin1.GetBytes(await IngressRoom.ReadToEndAsync(socket.GetStream())));
        Assert.Single(looped.World.Log.ToString().Split('\n'), line => line.Contains("A tunnel came back to this program: loop.example.com", StringComparison.Ordinal));
    }

    private static string Own { get; } = string.Create(CultureInfo.InvariantCulture, $"127.74.{(Environment.ProcessId >> 8) & 255}.{Environment.ProcessId & 255}");
}
