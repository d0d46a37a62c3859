using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Content.Cache;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Many at once.</summary>
public sealed class LoadTests
{
    private const int Tunnels = 1000;
    private const int Pulls = 200;
    private const long MostMemory = 400L * 1024 * 1024;

    /// <summary>The program in a process of its own, so that its memory is its own.</summary>
    [Fact]
    public async Task A_thousand_tunnels_and_two_hundred_pulls_are_served_in_little_memory_and_leave_nothing_open()
    {
        using var directory = new TemporaryDirectory();
        await using var hub = await FakeHub.StartAsync();
        await using var echo = new TargetServer();
        var layer = RandomNumberGenerator.GetBytes(1024 * 1024);
        hub.Images.PushImage("library/nginx", "latest", [layer]);
        await WriteConfigurationAsync(directory, hub, echo);
        await using (var certificates = new ImageAccessProcess(directory.Path, ["certificates", "create"]))
            Assert.Equal(0, (await certificates.EndAsync()).Code);
        await using var program = new ImageAccessProcess(directory.Path, []);
        var proxy = new Uri((await program.WaitForLineAsync("proxy ")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
        await program.WaitForLineAsync("next ");
        using var authority = X509Certificate2.CreateFromPem(await File.ReadAllTextAsync(directory["data/certificates/ca.crt"]));

        var tunnels = await AllAsync(Tunnels, atOnce: 50, () => OpenTunnelAsync(proxy, echo));
        await Task.WhenAll(tunnels.Select(EchoAsync));
        await AllAsync(Pulls, atOnce: Pulls, () => PullAsync(proxy, authority, hub, layer));
        await Task.WhenAll(tunnels.Select(EchoAsync));
        await Eventually.TrueAsync(() => OpenSockets(local: proxy.Port) == Tunnels && OpenSockets(remote: echo.Port) == Tunnels);
        foreach (var tunnel in tunnels)
            await tunnel.DisposeAsync();

        await Eventually.TrueAsync(() => OpenSockets(local: proxy.Port) == 0 && OpenSockets(remote: echo.Port) == 0);
        Assert.InRange(program.PeakMemory, 1, MostMemory);
        using var client = Surroundings.NewClient(new Uri((await program.WaitForLineAsync("admin ")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        await EventuallySaysAsync(client, "imageaccess_tunnels 0");
    }

    /// <summary>A thousand that say nothing keep nobody else from being served, have no larger heads than others, and are closed in time.</summary>
    [Fact]
    public async Task A_thousand_idle_connections_take_nothing_from_others()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time);
        var idle = await AllAsync(1000, atOnce: 100, () => IngressRoom.OpenAsync(room.ForwardProxy));
        idle = [.. idle, .. await AllAsync(100, atOnce: 100, () => IngressRoom.OpenAsync(room.Gateway))];

        var token = await room.World.PullTokenAsync(null, "library/nginx");
        foreach (var way in new[] { room.AskGatewayAsync, (Func<string, string, Task<RawAnswer>>)room.AskForwardProxyAsync })
        {
            var request = IngressRoom.Request("GET", "registry-1.docker.io", "/v2/library/nginx/manifests/latest", token);
            Assert.Equal(200, (await way("registry-1.docker.io", request)).Status);
            var large = request.Replace("\r\n\r\n", $"\r\nX: {new string('x', 140_000)}\r\n\r\n", StringComparison.Ordinal);
            Assert.Equal(431, (await way("registry-1.docker.io", large)).Status);
        }

        await Eventually.TrueAsync(() => time.PendingTimers >= 1100);
        time.Advance(TimeSpan.FromSeconds(16));
        var said = await Task.WhenAll(idle.Select(IngressRoom.ReadToEndAsync));
        Assert.Equal(1000, said.Count(text => text.StartsWith("HTTP/1.1 408 ", StringComparison.Ordinal)));
        foreach (var stream in idle)
            await stream.DisposeAsync();
    }

    /// <summary>This machine's sockets at a port, or towards one, that are not closed on both sides.</summary>
    private static int OpenSockets(int? local = null, int? remote = null)
    {
        const string Established = "01", CloseWait = "08";
        return File.ReadLines("/proc/net/tcp").Skip(1).Concat(File.ReadLines("/proc/net/tcp6").Skip(1))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Count(cells => cells[3] is Established or CloseWait && (local is null || PortOf(cells[1]) == local) && (remote is null || PortOf(cells[2]) == remote));

        static int PortOf(string address) => int.Parse(address.AsSpan(address.IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    private static Task WriteConfigurationAsync(TemporaryDirectory directory, FakeHub hub, TargetServer echo) =>
        File.WriteAllTextAsync(directory["imageaccess.json"], $$"""
            {
              "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0", "ForwardProxy": "http://127.0.0.1:0" },
              "Upstream": {
                "Registry": "{{hub.Registry}}", "Auth": "{{hub.Auth}}", "Hub": "{{hub.Hub}}", "RedirectHosts": [ "{{hub.Cdn.Authority}}" ],
                "Addresses": { "registry-1.docker.io": "192.0.2.1", "{{IngressRoom.EchoHost}}": "127.0.0.1" }
              },
              "Egress": { "Allow": [ "{{IngressRoom.EchoHost}}:{{echo.Port}} private" ] },
              "Limits": { "Connections": 1900, "ConnectionsPerClient": 1900, "Tunnels": 1100, "TunnelsPerClient": 1100, "Requests": 220, "RequestsPerClient": 220 }
            }
            """);

    private static async Task<SslStream> OpenTunnelAsync(Uri proxy, TargetServer echo)
    {
        var (head, stream) = await IngressRoom.ConnectAsync(proxy, string.Create(CultureInfo.InvariantCulture, $"{IngressRoom.EchoHost}:{echo.Port}"));
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        return await echo.SecureAsync(stream);
    }

    private static async Task EchoAsync(SslStream tunnel)
    {
        var sent = RandomNumberGenerator.GetBytes(1024);
        await tunnel.WriteAsync(sent);
        var received = new byte[sent.Length];
        await tunnel.ReadExactlyAsync(received);
        Assert.Equal(sent, received);
    }

    /// <summary>As a client does it: a token, the manifest, the layer, each over a connection of its own.</summary>
    private static async Task<bool> PullAsync(Uri proxy, X509Certificate2 authority, FakeHub hub, byte[] layer)
    {
        var answer = await AskAsync("auth.docker.io", "/token?service=registry.docker.io&scope=repository:library/nginx:pull", null);
        var token = JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("token").GetString();
        var manifest = await AskAsync("registry-1.docker.io", "/v2/library/nginx/manifests/latest", token);
        var digest = JsonSerializer.Deserialize<JsonElement>(manifest.Body).GetProperty("layers")[0].GetProperty("digest").GetString();
        var blob = await AskAsync("registry-1.docker.io", $"/v2/library/nginx/blobs/{digest}", token);
        Assert.Equal(200, blob.Status);
        Assert.True(layer.AsSpan().SequenceEqual(Encoding.Latin1.GetBytes(blob.Body)));
        return true;

        async Task<RawAnswer> AskAsync(string host, string target, string? bearer)
        {
            var (_, stream) = await IngressRoom.ConnectAsync(proxy, host + ":443");
            await using var tls = await IngressRoom.SecureAsync(stream, host, authority);
            return await IngressRoom.AskAsync(tls, IngressRoom.Request("GET", host, target, bearer));
        }
    }

    private static async Task<IReadOnlyList<T>> AllAsync<T>(int count, int atOnce, Func<Task<T>> start)
    {
        using var turns = new SemaphoreSlim(atOnce);
        return await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
        {
            await turns.WaitAsync();
            try
            {
                return await start();
            }
            finally
            {
                turns.Release();
            }
        }));
    }

    private static async Task EventuallySaysAsync(HttpClient client, string line)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!(await client.GetStringAsync("/metrics", limit.Token)).Split('\n').Contains(line))
            await Task.Delay(20, limit.Token);
    }
}
