using System.Net;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Limits;

public sealed class LimitOptionsTests
{
    private const long GiB = 1024L * 1024 * 1024;

    [Theory]
    [InlineData(448, 16 * GiB, 16, 16, 8)]
    [InlineData(1024, 16 * GiB, 160, 160, 80)]
    [InlineData(20_000, 16 * GiB, 4904, 4904, 2452)]
    [InlineData(524_288, 64 * GiB, 20_000, 20_000, 16_384 + 3616)]
    [InlineData(524_288, GiB / 2, 4096, 682, 512)] // a small container
    [InlineData(524_288, GiB / 8, 1024, 170, 128)]
    [InlineData(int.MaxValue, 16 * GiB, 20_000, 20_000, 16_384)]
    public void What_is_not_set_comes_from_the_machine(int descriptors, long memory, int connections, int tunnels, int requests)
    {
        var options = new LimitOptions();
        options.Complete(new Machine(descriptors, memory));
        Assert.Equal((connections, tunnels, requests), (options.Connections, options.Tunnels, options.Requests));
        Assert.Equal((connections / 4, tunnels / 4, requests / 4), (options.ConnectionsPerClient, options.TunnelsPerClient, options.RequestsPerClient));
        Assert.Empty(options.Faults());
    }

    [Theory]
    [InlineData(100, 0, 0, 100, 100, 100)]
    [InlineData(300, 0, 0, 300, 20, 10)]
    [InlineData(0, 10, 0, 160, 10, 155)]
    [InlineData(0, 0, 7, 160, 160, 7)]
    public void What_is_set_leaves_the_rest_to_the_others(int connections, int tunnels, int requests, int wholly, int inTunnels, int inRequests)
    {
        var options = new LimitOptions { Connections = connections, Tunnels = tunnels, Requests = requests };
        options.Complete(new Machine(1024, 16 * GiB));
        Assert.Equal((wholly, inTunnels, inRequests), (options.Connections, options.Tunnels, options.Requests));
        Assert.Empty(options.Faults());
    }

    [Theory]
    [InlineData(1024, 400, 0, 0, "Limits: 400 connections, 1 tunnels and 1 requests need 1187 descriptors, and the process may open 1024: raise LimitNOFILE of the unit, or ulimit -n, or set less")]
    [InlineData(1024, 10, 11, 0, "Limits:ConnectionsPerClient: from 1 to 10, which Limits:Connections allows in all")]
    [InlineData(1024, 0, 0, 5000, "Limits: 160 connections, 160 tunnels and 5000 requests need 10864 descriptors, and the process may open 1024: raise LimitNOFILE of the unit, or ulimit -n, or set less")]
    [InlineData(100, 0, 0, 0, "Limits: the process may open 100 files and connections and needs at least 448: raise LimitNOFILE of the unit, or ulimit -n")]
    public void What_the_machine_has_not_is_refused(int descriptors, int connections, int perClient, int requests, string fault)
    {
        var options = new LimitOptions { Connections = connections, ConnectionsPerClient = perClient, Requests = requests };
        options.Complete(new Machine(descriptors, 16 * GiB));
        Assert.Equal([fault], options.Faults());
    }

    [Fact]
    public void This_machine_says_what_it_has()
    {
        var machine = Machine.Read();
        Assert.InRange(machine.Descriptors, 64, int.MaxValue);
        Assert.InRange(machine.Memory, 64 * 1024 * 1024, long.MaxValue);
    }

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("192.0.2.7", true)]
    [InlineData("192.0.2.8", false)]
    [InlineData("2001:db8::5", true)]
    [InlineData("2001:db9::5", false)]
    public void What_comes_from_a_trusted_proxy_is_no_one_clients(string address, bool isTrusted)
    {
        using var room = new LimitRoom();
        var limits = new ClientLimits(Complete(new LimitOptions { TrustedProxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"] }), room.Metrics);
        Assert.Equal(isTrusted, limits.ShareOf(IPAddress.Parse(address)) is null);
        Assert.Equal(ClientShare.Of(null), limits.ShareOf(null));
    }

    [Fact]
    public async Task Readiness_tells_what_is_used_up_in_all()
    {
        using var room = new LimitRoom();
        var limits = new ClientLimits(Complete(new LimitOptions { Connections = 3, Tunnels = 1 }), room.Metrics);
        var health = new LimitsHealth(limits);
        Assert.True(limits.Connections.TryEnter(null, out _) && limits.Connections.TryEnter(null, out _));
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync(new())).Status);

        Assert.True(limits.Connections.TryEnter(null, out var third) && limits.Tunnels.TryEnter(null, out _));
        var met = await health.CheckHealthAsync(new());
        Assert.Equal((HealthStatus.Degraded, "all 3 connections are in use, all 1 tunnels are in use"), (met.Status, met.Description));
        third.Dispose();
        Assert.Equal("all 1 tunnels are in use", (await health.CheckHealthAsync(new())).Description);
    }

    private static IOptions<LimitOptions> Complete(LimitOptions options)
    {
        options.Complete(new Machine(20_000, 16 * GiB));
        return Options.Create(options);
    }
}
