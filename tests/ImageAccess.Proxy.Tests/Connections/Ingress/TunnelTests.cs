using System.Globalization;
using System.Net.Security;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>How long tunnels and beginnings last.</summary>
public sealed class TunnelTests
{
    [Fact]
    public async Task A_tunnel_in_which_nothing_moves_ends()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time);
        await using var tls = await OpenAsync(room);

        time.Advance(TimeSpan.FromMinutes(9));
        await EchoAsync(tls);
        time.Advance(TimeSpan.FromMinutes(9));
        await EchoAsync(tls);
        Assert.Equal(1, await OpenTunnelsAsync(room));

        time.Advance(TimeSpan.FromMinutes(11));
        await Assert.ThrowsAnyAsync<Exception>(() => tls.ReadExactlyAsync(new byte[1]).AsTask());
        Assert.Equal(0, await OpenTunnelsAsync(room));
    }

    [Fact]
    public async Task A_tunnel_that_lasts_too_long_ends_however_much_moves()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time, settings: [("Egress:Lifetime", "00:20:00")]);
        await using var tls = await OpenAsync(room);
        for (var minutes = 0; minutes < 20; minutes += 5)
        {
            await EchoAsync(tls);
            time.Advance(TimeSpan.FromMinutes(5));
        }

        time.Advance(TimeSpan.FromSeconds(20));
        await Assert.ThrowsAnyAsync<Exception>(() => tls.ReadExactlyAsync(new byte[1]).AsTask());
    }

    [Fact]
    public async Task The_end_of_the_program_ends_its_tunnels()
    {
        await using var room = await IngressRoom.StartAsync();
        await using var tls = await OpenAsync(room);
        await room.World.Proxy.StopAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => tls.ReadExactlyAsync(new byte[1]).AsTask());
    }

    /// <summary>A head that does not end, and a ClientHello that does not: 15 seconds each.</summary>
    [Fact]
    public async Task A_beginning_that_takes_too_long_is_given_up()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time);
        await using var head = await IngressRoom.OpenAsync(room.ForwardProxy);
        await head.WriteAsync("CONNECT registry-1.docker.io:443 HTTP/1.1\r\n"u8.ToArray());
        await using var gateway = await IngressRoom.OpenAsync(room.Gateway);
        await gateway.WriteAsync(ClientHelloBytes.Of("registry-1.docker.io").AsMemory(0, 40));
        var (_, hello) = await room.ConnectAsync("auth.docker.io:443");

        // Each has its own timer, once its connection was accepted.
        await Eventually.TrueAsync(() => time.PendingTimers >= 3);
        using var advancing = new CancellationTokenSource();
        var ticking = Task.Run(async () =>
        {
            while (!advancing.IsCancellationRequested)
            {
                time.Advance(TimeSpan.FromSeconds(5));
                await Task.Delay(20);
            }
        });
        Assert.StartsWith("HTTP/1.1 408 the request did not come in time\r\n", await IngressRoom.ReadToEndAsync(head), StringComparison.Ordinal);
        Assert.Equal("\u0015\u0003\u0003\u0000\u0002\u0002\u0031", await IngressRoom.ReadToEndAsync(gateway));
        Assert.Empty(await IngressRoom.ReadToEndAsync(hello));
        await advancing.CancelAsync();
        await ticking;
    }

    private static async Task<SslStream> OpenAsync(IngressRoom room)
    {
        var (_, stream) = await room.ConnectAsync(string.Create(CultureInfo.InvariantCulture, $"{IngressRoom.EchoHost}:{room.Echo.Port}"));
        var tls = await room.Echo.SecureAsync(stream);
        await EchoAsync(tls);
        return tls;
    }

    private static async Task EchoAsync(SslStream tls)
    {
        await tls.WriteAsync("x"u8.ToArray());
        await tls.ReadExactlyAsync(new byte[1]);
    }

    private static async Task<int> OpenTunnelsAsync(IngressRoom room)
    {
        using var client = Surroundings.NewClient(room.World.Admin);
        var line = (await client.GetStringAsync("/metrics")).Split('\n').Single(text => text.StartsWith("imageaccess_tunnels ", StringComparison.Ordinal));
        return int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }
}
