using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Tests.Hosts;

public sealed class HostAndPortTests
{
    [Theory]
    [InlineData("ghcr.io", "ghcr.io", null)]
    [InlineData("ghcr.io:443", "ghcr.io", 443)]
    [InlineData("*:65535", "*", 65535)]
    [InlineData("a:b:1", "a:b", 1)]
    [InlineData("", "", null)]
    public void A_host_is_parted_from_its_port(string text, string host, int? port)
    {
        Assert.True(HostAndPort.TrySplit(text, out var name, out var number));
        Assert.Equal((host, port), (name.ToString(), number));
    }

    [Theory]
    [InlineData("ghcr.io:")]
    [InlineData("ghcr.io:0")]
    [InlineData("ghcr.io:65536")]
    [InlineData("ghcr.io:-1")]
    [InlineData("ghcr.io:+1")]
    [InlineData("ghcr.io: 1")]
    [InlineData("ghcr.io:https")]
    public void What_is_no_port_is_refused(string text) => Assert.False(HostAndPort.TrySplit(text, out _, out _));
}
