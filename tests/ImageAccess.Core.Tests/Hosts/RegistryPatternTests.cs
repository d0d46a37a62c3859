using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Tests.Hosts;

public sealed class RegistryPatternTests
{
    [Theory]
    [InlineData("ghcr.io", "ghcr.io", 443, true)]
    [InlineData("GHCR.io", "ghcr.io", 443, true)]
    [InlineData("ghcr.io", "ghcr.io", 5000, false)]
    [InlineData("ghcr.io", "pkg.ghcr.io", 443, false)]
    [InlineData("ghcr.io", "evilghcr.io", 443, false)]
    [InlineData("ghcr.io:5000", "ghcr.io", 5000, true)]
    [InlineData("ghcr.io:5000", "ghcr.io", 443, false)]
    [InlineData("*.example.com", "a.example.com", 443, true)]
    [InlineData("*.example.com", "a.b.example.com", 443, true)]
    [InlineData("*.example.com", "example.com", 443, false)]
    [InlineData("*.example.com", "evilexample.com", 443, false)]
    [InlineData("*.example.com", "example.com.evil.org", 443, false)]
    [InlineData("*.example.com:8443", "a.example.com", 8443, true)]
    public void It_names_a_host_or_what_is_below_it_on_one_port(string text, string host, int port, bool matches)
    {
        Assert.True(RegistryPattern.TryParse(text, out var pattern));
        Assert.Equal(matches, pattern.Matches(HostName.Parse(host), port));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("*.")]
    [InlineData("a.*.b")]
    [InlineData("https://ghcr.io")]
    [InlineData("ghcr.io/acme")]
    [InlineData("ghcr.io:0")]
    [InlineData("ghcr.io:99999")]
    [InlineData("10.0.0.1")]
    [InlineData("[::1]")]
    [InlineData("ghcr io")]
    public void What_is_none_is_refused(string text) => Assert.False(RegistryPattern.TryParse(text, out _));
}
