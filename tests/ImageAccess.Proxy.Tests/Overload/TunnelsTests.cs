using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Proxy.Tests.Connections.Ingress;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>Tunnels whose far side does not read, and more of them than a client may have.</summary>
[Collection(OverloadTests.Name)]
public sealed class TunnelsTests
{
    private const int Tunnels = 1000;
    private const long MostGrowth = 200L * 1024 * 1024;
    private const long MostOfTheSystems = 1024L * 1024 * 1024;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_thousand_tunnels_through_which_nothing_comes_take_little_memory(bool clientSends)
    {
        using var target = new SilentTarget(sends: !clientSends);
        await using var room = await OverloadRoom.StartAsync(
            20_000,
            environment: [("IMAGEACCESS_Egress__Allow__0", $"{IngressRoom.EchoHost}:{target.Port} private"), ("IMAGEACCESS_Limits__TunnelsPerClient", "1100"), ("IMAGEACCESS_Limits__ConnectionsPerClient", "1200")]);
        var proxy = await room.ListenerAsync("proxy");
        var (before, systemBefore) = (room.Program.Memory, await TcpMemoryAsync());
        var tunnels = new List<Socket>();
        for (var number = 0; number < Tunnels; number++)
            tunnels.Add(await OpenAsync(proxy, target.Port));
        Assert.Equal(Tunnels, await room.MeterAsync("imageaccess_tunnels"));
        if (clientSends)
        {
            foreach (var tunnel in tunnels)
                await SendUntilItIsFullAsync(tunnel);
        }

        await room.PullModestlyAsync();
        Assert.InRange(room.Program.Memory - before, long.MinValue, MostGrowth);
        Assert.InRange(await TcpMemoryAsync() - systemBefore, long.MinValue, MostOfTheSystems);
        await room.AssertWellAsync();
        target.Dispose(); // what is on its way to a target that does not read hides that its client has left
        foreach (var tunnel in tunnels)
            tunnel.Dispose();
        await room.EventuallySaysAsync("imageaccess_tunnels", open => open == 0);
        await room.EventuallySaysAsync("""imageaccess_limit_used{what="tunnels"}""", used => used == 0);
    }

    [Fact]
    public async Task A_client_with_all_its_tunnels_leaves_others_theirs_and_its_own_pulls()
    {
        await using var room = await OverloadRoom.StartAsync(environment: [("IMAGEACCESS_Limits__TunnelsPerClient", "10")]);
        var proxy = await room.ListenerAsync("proxy");
        var connect = Encoding.ASCII.GetBytes(Connect(room.Echo.Port));
        await using (var attack = OverloadRoom.Hold(proxy, 30, socket => socket.SendAsync(connect)))
        {
            await room.EventuallySaysAsync("""imageaccess_limited_total{what="tunnels"}""", refused => refused >= 20);
            Assert.Equal(10, await room.MeterAsync("""imageaccess_limit_used{what="tunnels"}"""));
            await room.PullModestlyAsync();
            await room.AssertWellAsync();
        }

        await room.EventuallySaysAsync("""imageaccess_limit_used{what="tunnels"}""", used => used == 0);
        Assert.DoesNotContain("too-many", File.Exists(room.AuditFile) ? await File.ReadAllTextAsync(room.AuditFile) : "", StringComparison.Ordinal);
    }

    /// <summary>What the system has queued for all connections, in bytes: when that is used up it resets some.</summary>
    private static async Task<long> TcpMemoryAsync()
    {
        var tcp = (await File.ReadAllLinesAsync("/proc/net/sockstat")).Single(line => line.StartsWith("TCP:", StringComparison.Ordinal));
        return long.Parse(tcp.AsSpan(tcp.LastIndexOf(' ')), CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }

    private static string Connect(int port) =>
        string.Create(CultureInfo.InvariantCulture, $"CONNECT {IngressRoom.EchoHost}:{port} HTTP/1.1\r\nHost: {IngressRoom.EchoHost}:{port}\r\n\r\n");

    private static async Task<Socket> OpenAsync(Uri proxy, int port)
    {
        var socket = await OverloadRoom.OpenGreedilyAsync(proxy) ?? throw new IOException("the connection was refused");
        socket.SendBufferSize = 16 * 1024;
        await socket.SendAsync(Encoding.ASCII.GetBytes(Connect(port)));
        var head = new byte[100];
        var count = await socket.ReceiveAsync(head);
        Assert.Equal("HTTP/1.1 200 Connection Established\r\n\r\n", Encoding.ASCII.GetString(head, 0, count));
        await socket.SendAsync(ClientHelloBytes.Of(IngressRoom.EchoHost));
        return socket;
    }

    /// <summary>Two megabytes, or as much as is taken.</summary>
    private static async Task SendUntilItIsFullAsync(Socket tunnel)
    {
        tunnel.Blocking = false;
        var piece = new byte[64 * 1024];
        for (int sent = 0, stalled = 0; sent < 2 * 1024 * 1024 && stalled < 3;)
        {
            var count = tunnel.Send(piece, 0, piece.Length, SocketFlags.None, out var error);
            sent += count;
            stalled = error == SocketError.WouldBlock ? stalled + 1 : 0;
            if (stalled > 0)
                await Task.Delay(TimeSpan.FromMilliseconds(2));
        }
    }

    /// <summary>Takes connections and reads nothing; with <c>sends</c> it sends what its client does not read.</summary>
    private sealed class SilentTarget : IDisposable
    {
        private readonly Socket _listening = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        private readonly List<Socket> _taken = [];

        public SilentTarget(bool sends)
        {
            _listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listening.Listen(2000);
            _ = AcceptAsync(sends);
        }

        public int Port => ((IPEndPoint)_listening.LocalEndPoint!).Port;

        public void Dispose()
        {
            _listening.Dispose();
            lock (_taken)
                _taken.ForEach(socket => socket.Dispose());
        }

        private async Task AcceptAsync(bool sends)
        {
            try
            {
                while (true)
                {
                    var socket = await _listening.AcceptAsync();
                    socket.SendBufferSize = 16 * 1024; // another machine's memory
                    lock (_taken)
                        _taken.Add(socket);
                    if (sends)
                        _ = SendAsync(socket);
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // The end of the test.
            }
        }

        private static async Task SendAsync(Socket socket)
        {
            try
            {
                var piece = new byte[64 * 1024];
                for (var number = 0; number < 64; number++)
                    await socket.SendAsync(piece);
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // The end of the test.
            }
        }
    }
}
