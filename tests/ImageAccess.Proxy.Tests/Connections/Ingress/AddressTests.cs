using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Names that lead into the house, to the cloud's metadata or to Docker Hub itself: looked at once resolved, and not resolved again.</summary>
public sealed class AddressTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("fd00:ec2::254")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("192.168.1.1")]
    public async Task A_name_that_leads_to_no_public_address_is_refused(string address)
    {
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Egress:Allow:2", "inside.example.com"), ("Upstream:Addresses:inside.example.com", address),
        ]);
        await RefusedAsync(room, "inside.example.com:443", "private-address");
    }

    [Fact]
    public async Task One_address_that_is_not_public_refuses_them_all()
    {
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Addresses:mixed.example.com:0", "1.1.1.1"), ("Upstream:Addresses:mixed.example.com:1", "127.0.0.1"),
        ]);
        await RefusedAsync(room, "mixed.example.com:443", "private-address");
    }

    [Theory]
    [InlineData("192.0.2.1", "private-address")] // documentation's, as the room says that registry-1.docker.io has
    [InlineData("52.0.0.7", "docker-hub-address")]
    [InlineData("::ffff:52.0.0.7", "docker-hub-address")]
    public async Task A_name_that_leads_to_Docker_Hub_is_refused(string address, string reason)
    {
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Addresses:auth.docker.io", "52.0.0.7"), ("Upstream:Addresses:fronting.example.com", address),
        ]);
        await RefusedAsync(room, "fronting.example.com:443", reason);
    }

    [Fact]
    public async Task A_host_listed_as_private_is_not_Docker_Hub_all_the_same()
    {
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Egress:Allow:2", "fronting.example.com private"), ("Upstream:Addresses:registry-1.docker.io", "127.0.0.9"), ("Upstream:Addresses:fronting.example.com", "127.0.0.9"),
        ]);
        await RefusedAsync(room, "fronting.example.com:443", "docker-hub-address");
    }

    /// <summary>
    /// A resolver that says one thing to who looks and another to who connects: the answer that was looked at is the one that is
    /// connected to, and no other is asked for.
    /// </summary>
    [Fact]
    public async Task A_name_that_leads_elsewhere_the_next_time_leads_where_it_was_looked_at()
    {
        await using var dns = new TestResolver();
        using var dockerHub = new TcpListener(IPAddress.Parse("127.0.0.9"), 0);
        dockerHub.Start();
        var port = ((IPEndPoint)dockerHub.LocalEndpoint).Port;
        using var harmless = new TcpListener(IPAddress.Parse("127.0.0.2"), port);
        harmless.Start();
        var asked = 0;
        dns.Say("registry-1.docker.io", () => "127.0.0.9");
        dns.Say("rebinding.example.com", () => Interlocked.Increment(ref asked) == 1 ? "127.0.0.2" : "127.0.0.9");
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Addresses", dns.Address), ("Egress:Allow:2", $"rebinding.example.com:{port} private"),
        ]);

        var (head, stream) = await room.ConnectAsync($"rebinding.example.com:{port}");
        await stream.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        Assert.Equal((1, true, false), (Volatile.Read(ref asked), harmless.Pending(), dockerHub.Pending()));

        await RefusedAsync(room, $"rebinding.example.com:{port}", "docker-hub-address");
        Assert.False(dockerHub.Pending());
    }

    /// <summary>The address of the first answer is public and nobody's, so that no packet leaves; that of the second is this machine's.</summary>
    [Fact]
    public async Task A_name_that_leads_into_the_house_the_next_time_leads_nowhere()
    {
        var inside = $"127.76.{(Environment.ProcessId >> 8) & 255}.{Environment.ProcessId & 255}";
        using var house = new TcpListener(IPAddress.Parse(inside), 443);
        house.Start();
        await using var dns = new TestResolver();
        var (six, four) = (0, 0);
        dns.Say("registry-1.docker.io", () => "52.0.0.7");
        dns.Say("rebinding.example.com", type => type == TestResolver.Six
            ? (Interlocked.Increment(ref six) == 1 ? "3ffe::1" : null)
            : (Interlocked.Increment(ref four) == 1 ? null : inside));
        await using var room = await IngressRoom.StartAsync(settings: ("Upstream:Addresses", dns.Address));

        var (head, stream) = await room.ConnectAsync("rebinding.example.com:443");
        await stream.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 502 rebinding.example.com could not be reached\r\n", head, StringComparison.Ordinal);
        Assert.Equal((1, 1), (Volatile.Read(ref six), Volatile.Read(ref four)));

        await RefusedAsync(room, "rebinding.example.com:443", "private-address");
        Assert.False(house.Pending());
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("::1")]
    public async Task A_resolver_that_was_asked_instead_of_the_systems_is_believed_no_more(string address)
    {
        await using var dns = new TestResolver();
        dns.Say("registry-1.docker.io", () => "52.0.0.7");
        dns.Say("inside.example.com", () => address, isIPv6: address.Contains(':', StringComparison.Ordinal));
        await using var room = await IngressRoom.StartAsync(settings: ("Upstream:Addresses", dns.Address));
        await RefusedAsync(room, "inside.example.com:443", "private-address");
    }

    [Fact]
    public async Task While_nobody_knows_where_Docker_Hub_is_nothing_is_tunnelled()
    {
        await using var dns = new TestResolver();
        dns.Say("elsewhere.example.com", () => "1.1.1.1");
        await using var room = await IngressRoom.StartAsync(settings: ("Upstream:Addresses", dns.Address));
        var (head, stream) = await room.ConnectAsync("elsewhere.example.com:443");
        await stream.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 502 ", head, StringComparison.Ordinal);
    }

    /// <summary>A redirect of a blob to a listed wildcard whose name leads into the house, by a resolver that changes its mind.</summary>
    [Fact]
    public async Task A_redirect_that_leads_into_the_house_is_not_followed()
    {
        await using var dns = new TestResolver();
        dns.Say("cdn.evil.example.com", () => "127.0.0.1");
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Addresses", dns.Address), ("Upstream:RedirectHosts:0", "cdn.*.example.com:CDNPORT"),
        ]);
        var world = room.World;
        var token = await world.PullTokenAsync("bob", "acme/app");
        var manifest = JsonSerializer.Deserialize<JsonElement>((await world.AskAsync("GET", "/v2/acme/app/manifests/latest", token)).Body);
        var layer = manifest.GetProperty("layers")[0].GetProperty("digest").GetString();
        world.Hub.Faults.Add(Face.Registry, Fault.Redirect(
            string.Create(CultureInfo.InvariantCulture, $"http://cdn.evil.example.com:{world.Hub.Cdn.Port}/secret")));

        Assert.Equal(502, (await world.AskAsync("GET", $"/v2/acme/app/blobs/{layer}", token)).Status);
        Assert.Empty(world.Hub.Requests.Of(Face.Cdn));
    }

    [Fact]
    public async Task Configured_upstreams_may_be_anywhere()
    {
        await using var dns = new TestResolver();
        dns.Say("upstream.example.com", () => "127.0.0.1");
        await using var hub = await FakeHub.StartAsync();
        hub.Images.PushImage("library/nginx", "latest");
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Upstream:Addresses", dns.Address),
            ("Upstream:Registry", string.Create(CultureInfo.InvariantCulture, $"http://upstream.example.com:{hub.Registry.Port}")),
        ]);
        Assert.Equal(200, (await room.World.AskAsync("GET", "/v2/library/nginx/manifests/latest", await room.World.PullTokenAsync(null, "library/nginx"))).Status);
    }

    private static async Task RefusedAsync(IngressRoom room, string target, string reason)
    {
        var (head, stream) = await room.ConnectAsync(target);
        await stream.DisposeAsync();
        Assert.StartsWith($"HTTP/1.1 403 registry access to {target.Split(':')[0]} is not allowed\r\n", head, StringComparison.Ordinal);
        await room.AuditedAsync(target.Split(':')[0], reason);
    }
}
