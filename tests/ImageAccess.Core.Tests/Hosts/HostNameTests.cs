using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Tests.Hosts;

public sealed class HostNameTests
{
    [Theory]
    [InlineData("registry-1.docker.io", "registry-1.docker.io")]
    [InlineData("Registry-1.DOCKER.io", "registry-1.docker.io")]
    [InlineData("registry-1.docker.io.", "registry-1.docker.io")]
    [InlineData("localhost", "localhost")]
    [InlineData("a_b.example.com", "a_b.example.com")]
    [InlineData("1and1.com", "1and1.com")]
    public void A_name_has_one_form(string text, string value)
    {
        Assert.True(HostName.TryParse(text, out var name));
        Assert.Equal(value, name.Value);
        Assert.Equal(HostName.Parse(value), name);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a..b")]
    [InlineData(".a")]
    [InlineData("a..")]
    [InlineData("registry-1.docker.io..")]
    [InlineData("127.0.0.1")]
    [InlineData("127.1")]
    [InlineData("2130706433")]
    [InlineData("0x7f000001")]
    [InlineData("127.0.0.0x1")]
    [InlineData("[::1]")]
    [InlineData("::1")]
    [InlineData("a b")]
    [InlineData("a@b")]
    [InlineData("a/b")]
    [InlineData("a%2eb")]
    [InlineData("a\0b")]
    [InlineData("bücher.example")]
    [InlineData("ｄocker.io")]
    [InlineData("docker。io")]
    public void What_is_no_name_is_refused(string text)
    {
        Assert.False(HostName.TryParse(text, out _));
        Assert.Throws<FormatException>(() => HostName.Parse(text));
    }

    [Fact]
    public void Lengths_are_those_of_DNS()
    {
        var label = new string('a', 63);
        Assert.True(HostName.TryParse($"{label}.{label}.{label}.{label[..61]}", out _));
        Assert.False(HostName.TryParse($"{label}.{label}.{label}.{label[..62]}", out _));
        Assert.False(HostName.TryParse(label + "a.example", out _));
    }

    [Theory]
    [InlineData("docker.io", "docker.io", true, false)]
    [InlineData("a.docker.io", "docker.io", true, true)]
    [InlineData("a.b.docker.io", "docker.io", true, true)]
    [InlineData("notdocker.io", "docker.io", false, false)]
    [InlineData("docker.io.evil.com", "docker.io", false, false)]
    [InlineData("io", "docker.io", false, false)]
    public void A_name_is_at_or_under_another(string text, string other, bool atOrUnder, bool under)
    {
        var name = HostName.Parse(text);
        Assert.Equal((atOrUnder, under), (name.IsAtOrUnder(other), name.IsUnder(other)));
    }
}
