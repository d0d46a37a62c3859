using System.Net;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What the start says of whom the program believes.</summary>
public sealed class TrustReportTests
{
    private static readonly (IPAddress Address, int Bits)[] Own =
    [
        (IPAddress.Loopback, 8), (IPAddress.IPv6Loopback, 128), (IPAddress.Parse("10.1.2.3"), 24), (IPAddress.Parse("2001:db8:1:2::3"), 64),
    ];

    [Theory]
    [InlineData("http://*:5000", "0.0.0.0/0", "covers clients as well as proxies")]
    [InlineData("http://*:5000", "::/0", "covers clients as well as proxies")]
    [InlineData("http://*:5000", "128.0.0.0/1", "covers clients as well as proxies")]
    [InlineData("http://*:5000", "::ffff:0:0/96", "covers clients as well as proxies")]
    [InlineData("http://*:5000", "2000::/3", "covers clients as well as proxies")]
    [InlineData("http://*:5000", "10.0.0.0/8", "covers the whole network of 10.1.2.3, which the mirror listens on")]
    [InlineData("http://10.1.2.3:5000", "10.1.2.0/24", "covers the whole network of 10.1.2.3, which the mirror listens on")]
    [InlineData("http://[::]:5000", "2001:db8:1::/48", "covers the whole network of 2001:db8:1:2::3, which the mirror listens on")]
    [InlineData("http://127.0.0.1:5000", "127.0.0.1", "covers every program on this machine, and the mirror listens on loopback")]
    [InlineData("http://127.0.0.1:5000", "127.0.0.0/8", "covers every program on this machine, and the mirror listens on loopback")]
    [InlineData("http://[::1]:5000", "::1", "covers every program on this machine, and the mirror listens on loopback")]
    public void Trusted_proxies_that_cover_clients_are_told(string mirror, string network, string why) => Assert.Equal(
        [$"Listen:TrustedProxies: {network} {why}: whoever is in it can name any address as the client's. Name the addresses of your reverse proxies alone"],
        TrustReport.OfProxies(Listen(mirror, network), Own));

    [Theory]
    [InlineData("http://*:5000", "10.1.2.7")]
    [InlineData("http://*:5000", "10.1.2.0/28")]
    [InlineData("http://*:5000", "192.168.7.0/24")]
    [InlineData("http://10.1.2.3:5000", "127.0.0.1")]
    [InlineData("http://*:5000", "2001:db8:1:2::7")]
    [InlineData("http://*:5000", "::ffff:10.1.2.7")]
    [InlineData("http://127.0.0.1:5000", "10.0.0.0/8")]
    public void Trusted_proxies_beside_the_clients_are_not(string mirror, string network) =>
        Assert.Empty(TrustReport.OfProxies(Listen(mirror, network), Own));

    [Theory]
    [InlineData("Policy:File", UnixFileMode.OtherWrite, 0, "Policy:File: /x can be changed by others than its owner: chmod go-w /x")]
    [InlineData("Cache:Directory", UnixFileMode.OtherWrite, 0, "Cache:Directory: /x can be changed by others than its owner: chmod go-w /x")]
    [InlineData("Catalog:File", UnixFileMode.None, 4_000_000_000, "Catalog:File: /x belongs to user 4000000000, who is neither root nor the user of this program and can change it")]
    [InlineData("ForwardProxy:Users", UnixFileMode.OtherRead, 0, "ForwardProxy:Users: everybody on this machine can read /x: chmod o-r /x")]
    [InlineData("Identity:Directory:SecretFile", UnixFileMode.OtherRead, 0, "Identity:Directory:SecretFile: everybody on this machine can read /x: chmod o-r /x")]
    [InlineData("Policy:File", UnixFileMode.OtherRead, 0, null)]
    [InlineData("Policy:File", UnixFileMode.GroupWrite, 0, "Policy:File: everybody in the group 0 can change /x: chmod g-w /x, or see who is in it")]
    public void Files_in_other_hands_are_told(string key, UnixFileMode more, uint owner, string? told) =>
        Assert.Equal(told, TrustReport.Concern(key, "/x", new FileRights(OwnerFile.Mode | more, owner, 0)));

    [Fact]
    public void A_file_that_is_not_there_is_no_concern() => Assert.Null(TrustReport.Concern("Policy:File", "/x", null));

    private static ListenOptions Listen(string mirror, string network) => new() { Mirror = mirror, TrustedProxies = { network } };
}
