using System.Net.Sockets;
using System.Text;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Connections.Ingress;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>No line of the log is in a client's hand, whatever it sends and whenever it leaves.</summary>
[Collection(OverloadTests.Name)]
public sealed class LeavingClientsTests
{
    private const int Times = 40;

    private static readonly (string What, byte[] Bytes)[] Beginnings =
    [
        ("nothing", []),
        ("half a head", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Half"u8.ToArray()),
        ("half a CONNECT", "CONNECT registry-1.docker.io:443 HTTP/1.1\r\n"u8.ToArray()),
        ("half a handshake", [22, 3, 1, 2]),
        ("a record's head", [22, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
        ("garbage", [0, 255, 13, 10, 13, 10, 1, 2, 3]),
        ("garbage as text", "\r\n\r\n\u0001 / nonsense\r\n\r\n"u8.ToArray()),
        ("a request", "GET /v2/library/nginx/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray()),
        ("half a body", "PUT /v2/library/nginx/manifests/latest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"u8.ToArray()),
        ("a bad chunk", "POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nzz\r\n"u8.ToArray()),
        ("half a form", "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\ngrant"u8.ToArray()),
        ("the metrics", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray()),
        ("a ClientHello for Docker Hub", ClientHelloBytes.Of("registry-1.docker.io")),
        ("a ClientHello for a host that leads nowhere", ClientHelloBytes.Of("nowhere.invalid")),
        ("a CONNECT to Docker Hub", "CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: registry-1.docker.io:443\r\n\r\n"u8.ToArray()),
        ("a CONNECT and a ClientHello", [.. "CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: registry-1.docker.io:443\r\n\r\n"u8, .. ClientHelloBytes.Of("registry-1.docker.io")]),
        ("a CONNECT to nowhere", "CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: nowhere.invalid:443\r\n\r\n"u8.ToArray()),
    ];

    [Theory]
    [InlineData("direct", "http")]
    [InlineData("direct", "https")]
    [InlineData("kestrel", "http")]
    [InlineData("kestrel", "https")]
    public async Task A_client_that_leaves_is_nothing_to_log(string transport, string mirror)
    {
        await using var room = await OverloadRoom.StartAsync(
            environment: [("IMAGEACCESS_Listen__Transport", transport), ("IMAGEACCESS_Listen__Mirror", $"{mirror}://127.0.0.1:0"), ("IMAGEACCESS_PublicUrl", $"{mirror}://mirror.example.com")]);
        var before = room.Program.Output;
        foreach (var listener in new[] { "mirror", "gateway", "proxy", "admin" })
        {
            var address = await room.ListenerAsync(listener);
            foreach (var (_, bytes) in Beginnings)
            {
                for (var time = 0; time < Times; time++)
                    await LeaveAsync(address, bytes, isReset: time % 2 == 0);
            }
        }

        await room.EventuallySaysAsync("""imageaccess_limit_used{what="connections"}""", used => used == 0);
        await room.EventuallySaysAsync("""imageaccess_limit_used{what="admin connections"}""", used => used <= 1);
        var said = room.Program.Output[before.Length..];
        Assert.True(said.Length == 0, said);
    }

    [Theory]
    [InlineData("direct")]
    [InlineData("kestrel")]
    public async Task A_client_that_leaves_in_the_middle_of_its_pull_or_push_writes_no_line_without_end(string transport)
    {
        await using var room = await OverloadRoom.StartAsync(environment: [("IMAGEACCESS_Listen__Transport", transport)]);
        var mirror = await room.ListenerAsync("mirror");
        var pull = await room.Hub.TokenForAsync(null, ["repository:library/large:pull"]);
        var push = await room.Hub.TokenForAsync("bob", ["repository:acme/app:pull,push"]);
        var before = room.Program.Output;
        foreach (var request in new[]
        {
            $"GET /v2/library/large/blobs/{room.LargeDigest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {pull}\r\n\r\n",
            $"GET /v2/library/large/blobs/{room.LargeDigest} HTTP/1.1\r\nHost: x\r\nRange: bytes=5-\r\nAuthorization: Bearer {pull}\r\n\r\n",
            $"PUT /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nAuthorization: Bearer {push}\r\n\r\nhalf",
            $"POST /v2/acme/app/blobs/uploads/?digest={room.LargeDigest} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nAuthorization: Bearer {push}\r\n\r\nhalf",
        })
        {
            for (var time = 0; time < Times; time++)
            {
                using var socket = await OverloadRoom.OpenGreedilyAsync(mirror);
                Assert.NotNull(socket);
                await socket.SendAsync(Encoding.ASCII.GetBytes(request));
                if (request.StartsWith("GET", StringComparison.Ordinal))
                    await socket.ReceiveAsync(new byte[1000]);
                else
                    await room.EventuallySaysAsync("""imageaccess_limit_used{what="requests"}""", used => used >= 1);
                socket.LingerState = new LingerOption(true, 0);
            }
        }

        await room.EventuallySaysAsync("""imageaccess_limit_used{what="connections"}""", used => used == 0);
        Assert.InRange(room.Program.Output[before.Length..].Split('\n').Length, 1, (2 * RepeatedLines.Most) + 5); // of a push Docker Hub's failure, and Kestrel's own of what it did not read
    }

    [Fact]
    public async Task What_fails_for_every_request_is_summed_up()
    {
        await using var room = await OverloadRoom.StartAsync();
        var mirror = await room.ListenerAsync("mirror");
        await room.StopHubAsync();
        var before = room.Program.Output;
        for (var time = 0; time < 300; time++)
            await OverloadRoom.AskGreedilyAsync(mirror, $"GET /token?service=registry.docker.io&scope=repository:library/x{time}:pull HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Assert.InRange(room.Program.Output[before.Length..].Split('\n').Length, 1, 60);
    }

    private static async Task LeaveAsync(Uri listener, byte[] bytes, bool isReset)
    {
        using var socket = await OverloadRoom.OpenGreedilyAsync(listener);
        try
        {
            if (socket is not null && bytes.Length > 0)
                await socket.SendAsync(bytes);
            if (isReset)
                socket?.LingerState = new LingerOption(true, 0);
        }
        catch (SocketException)
        {
            // It was closed first.
        }
    }
}
