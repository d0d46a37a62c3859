using System.Net;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Tests.Foundation.Limits;

public sealed class ClientShareTests
{
    [Theory]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1")]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff")]
    [InlineData("fe80::1%3", "fe80::2")]
    public void Addresses_of_one_client_have_one_share(string one, string other) => Assert.Equal(Of(one), Of(other));

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.2")]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1")]
    [InlineData("0.0.0.1", "::1")] // an IPv4 address is not the IPv6 one with the same bytes
    [InlineData("0.0.0.0", "::")]
    public void Addresses_of_two_clients_have_two(string one, string other) => Assert.NotEqual(Of(one), Of(other));

    [Fact]
    public void Who_has_no_address_is_nobody_else()
    {
        Assert.Equal(ClientShare.Of(null), default);
        Assert.All(new[] { Of("0.0.0.0"), Of("::"), ClientShare.OfUser("") }, share => Assert.NotEqual(default, share));
    }

    [Fact]
    public void A_user_has_a_share_under_each_address_and_a_name_is_no_address()
    {
        Assert.Equal(ClientShare.OfUser("alice"), ClientShare.OfUser("alice"));
        Assert.NotEqual(ClientShare.OfUser("alice"), ClientShare.OfUser("Alice"));
        Assert.NotEqual(ClientShare.OfUser("192.0.2.1"), Of("192.0.2.1"));
    }

    [Fact]
    public void What_is_kept_of_a_name_has_a_limit() => Assert.Equal($"user {new string('a', 256)}", ClientShare.OfUser(new string('a', 60_000)).ToString());

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1")]
    [InlineData("::ffff:10.1.2.3", "10.1.2.3")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    [InlineData("::1", "::/64")]
    public void It_is_written_as_its_network(string address, string written) => Assert.Equal(written, Of(address).ToString());

    [Theory]
    [InlineData("192.0.2.1", "alice", "::ffff:192.0.2.1", "alice", true)]
    [InlineData("2001:db8:1:2::1", "alice", "2001:db8:1:2::2", "alice", true)]
    [InlineData("192.0.2.1", "alice", "192.0.2.1", "bob", false)]
    [InlineData("192.0.2.1", "alice", "192.0.2.2", "alice", false)]
    public void A_user_at_an_address_is_one_part_of_its_share(string address, string user, string otherAddress, string otherUser, bool same)
    {
        Assert.Equal(same, Of(address).With(user) == Of(otherAddress).With(otherUser));
        Assert.Equal($"user {user} at {Of(address)}", Of(address).With(user).ToString());
        Assert.NotEqual(Of(address), Of(address).With(user));
        Assert.NotEqual(ClientShare.OfUser(user), Of(address).With(user));
    }

    [Fact]
    public void It_is_written_as_its_user_or_as_nobodys() =>
        Assert.Equal(("user alice", "no address"), (ClientShare.OfUser("alice").ToString(), ClientShare.Of(null).ToString()));

    private static ClientShare Of(string address) => ClientShare.Of(IPAddress.Parse(address));
}
