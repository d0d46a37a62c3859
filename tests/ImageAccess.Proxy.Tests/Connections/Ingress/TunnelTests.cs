using System.Globalization;
using System.Net.Security;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

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

    [Theory]
    [InlineData("Limits:TunnelsPerClient", "1")]
    [InlineData("Limits:TunnelsPerClient", "3")]
    [InlineData("Limits:Tunnels", "2")]
    public async Task Beyond_its_tunnels_a_client_is_told_to_come_back_and_nobody_is_dialled(string key, string number)
    {
        var most = int.Parse(number, CultureInfo.InvariantCulture);
        await using var room = await IngressRoom.StartAsync(settings: [(key, number), .. key == "Limits:Tunnels" ? [("Limits:TunnelsPerClient", "2")] : Array.Empty<(string, string)>()]);
        var tunnels = new List<SslStream>();
        for (var opened = 0; opened < most; opened++)
            tunnels.Add(await OpenAsync(room));
        var target = string.Create(CultureInfo.InvariantCulture, $"{IngressRoom.EchoHost}:{room.Echo.Port}");
        var refused = await room.ExchangeAsync($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 503 too many tunnels are open at once, try again later\r\nRetry-After: 10\r\n", refused, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\ntoo many tunnels are open at once, try again later\n", refused, StringComparison.Ordinal);
        Assert.Equal("\u0015\u0003\u0003\0\u0002\u0002P", await IngressRoom.ExchangeAsync(room.Gateway, ClientHelloBytes.Of(IngressRoom.EchoHost))); // internal_error
        Assert.Equal(most, room.Echo.Connections);

        foreach (var tunnel in tunnels)
            await EchoAsync(tunnel);
        var token = await room.World.PullTokenAsync(null, "library/nginx");
        var pull = IngressRoom.Request("GET", "registry-1.docker.io", "/v2/library/nginx/manifests/latest", token);
        Assert.Equal(200, (await room.AskForwardProxyAsync("registry-1.docker.io", pull)).Status); // Docker Hub itself needs none
        foreach (var tunnel in tunnels)
            await tunnel.DisposeAsync();
        await Eventually.TrueAsync(() => room.World.Proxy.Services.GetRequiredService<ClientLimits>().Tunnels.InUse == 0);
        Assert.Equal(0, await OpenTunnelsAsync(room));
        await using var again = await OpenAsync(room);
        Assert.DoesNotContain(await room.World.AuditAsync(1), audit => audit.TryGetProperty("reason", out var reason) && reason.GetString() == "too-many");
    }

    [Fact]
    public async Task When_the_program_stops_a_tunnel_goes_on_while_something_moves()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time);
        await using var tls = await OpenAsync(room);
        var stopping = room.World.Proxy.StopAsync();
        for (var seconds = 0; seconds < 28; seconds += 4)
        {
            await EchoAsync(tls);
            time.Advance(TimeSpan.FromSeconds(4));
        }

        await EchoAsync(tls);
        Assert.False(stopping.IsCompleted);
        await EndsAsync(tls, time);
        await stopping;
    }

    [Fact]
    public async Task The_end_of_the_grace_period_ends_a_tunnel_in_which_something_moves()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time, settings: [("Shutdown:GracePeriod", "00:00:04")]);
        await using var tls = await OpenAsync(room);
        var stopping = room.World.Proxy.StopAsync();
        await EchoAsync(tls);
        await EndsAsync(tls, time);
        await stopping;
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

    private static async Task EndsAsync(SslStream tls, ManualTime time)
    {
        var end = Assert.ThrowsAnyAsync<IOException>(() => tls.ReadExactlyAsync(new byte[1]).AsTask());
        while (!end.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(5);
        }

        await end;
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
