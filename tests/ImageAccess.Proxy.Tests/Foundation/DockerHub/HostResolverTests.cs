using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Configuration;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>Where names lead: as written, as a server says, as the system does.</summary>
public sealed class HostResolverTests
{
    [Fact]
    public async Task A_server_is_asked_for_both_kinds_of_addresses()
    {
        await using var server = new TestResolver();
        server.Say("registry-1.docker.io", type => type == TestResolver.Six ? "2001:db8::1" : "192.0.2.1");

        Assert.Equal(["192.0.2.1", "2001:db8::1"], Texts(await new DnsResolver(IPEndPoint.Parse(server.Address)).ResolveAsync("registry-1.docker.io", default)));
    }

    [Fact]
    public async Task A_name_that_it_does_not_know_and_a_server_that_is_silent_are_told()
    {
        await using var server = new TestResolver();
        var unknown = await Assert.ThrowsAsync<SocketException>(() => new DnsResolver(IPEndPoint.Parse(server.Address)).ResolveAsync("docker.io", default));
        Assert.Equal(SocketError.HostNotFound, unknown.SocketErrorCode);

        using var silent = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        var late = await Assert.ThrowsAsync<SocketException>(() => new DnsResolver((IPEndPoint)silent.Client.LocalEndPoint!).ResolveAsync("docker.io", default));
        Assert.Equal(SocketError.TryAgain, late.SocketErrorCode);
    }

    [Fact]
    public async Task What_is_written_comes_first_and_an_address_is_itself()
    {
        var resolver = Read(("Addresses:Registry-1.docker.io:0", "192.0.2.1"), ("Addresses:Registry-1.docker.io:1", "2001:db8::1"), ("Addresses:auth.docker.io", "192.0.2.2"));
        Assert.Equal(["192.0.2.1", "2001:db8::1"], Texts(await resolver.ResolveAsync("registry-1.DOCKER.io", default)));
        Assert.Equal(["192.0.2.2"], Texts(await resolver.ResolveAsync("auth.docker.io.", default)));
        Assert.Equal(["127.0.0.7"], Texts(await resolver.ResolveAsync("127.0.0.7", default)));
        Assert.Contains("127.0.0.1", Texts(await resolver.ResolveAsync("localhost", default)));
    }

    private static HostResolver Read(params (string Key, string Value)[] settings)
    {
        var failures = new List<string>();
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings.Select(pair => KeyValuePair.Create(pair.Key, (string?)pair.Value))).Build();
        var resolver = HostResolver.Read(configuration.GetSection("Addresses"), failures);
        Assert.Empty(failures);
        return resolver;
    }

    private static IEnumerable<string> Texts(IPAddress[] addresses) => addresses.Select(address => address.ToString());
}
