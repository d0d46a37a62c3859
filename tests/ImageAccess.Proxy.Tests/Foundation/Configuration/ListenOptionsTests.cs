using ImageAccess.Proxy.Foundation.Configuration;

namespace ImageAccess.Proxy.Tests.Foundation.Configuration;

public sealed class ListenOptionsTests
{
    [Theory]
    [InlineData("http://127.0.0.1:9080", null, null)]
    [InlineData("http://[::1]:9080", null, null)]
    [InlineData("https://*:9443", null, null)]
    [InlineData("http://*:9080", "10.0.0.0/8", null)]
    [InlineData("off", null, null)]
    [InlineData("http://*:9080", null, "Listen:Console: 'http://*:9080' is plain http beyond this machine, where tokens would go in the clear: use https, or name the proxies in front of it in Listen:TrustedProxies")]
    [InlineData("http://10.0.0.1:9080", null, "Listen:Console: 'http://10.0.0.1:9080' is plain http beyond this machine, where tokens would go in the clear: use https, or name the proxies in front of it in Listen:TrustedProxies")]
    [InlineData("on", null, "Listen:Console: 'on' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000")]
    public void A_console_beyond_the_machine_is_https_or_behind_a_trusted_proxy(string address, string? trusted, string? fault)
    {
        var options = new ListenOptions { Mirror = "http://127.0.0.1:5000", Admin = "http://127.0.0.1:9000", Console = address };
        if (trusted is not null)
            options.TrustedProxies.Add(trusted);
        Assert.Equal(fault, new ListenOptionsValidator().Validate(null, options).FailureMessage);
    }

    [Fact]
    public void Off_is_no_listener()
    {
        var options = new ListenOptions { Mirror = "http://127.0.0.1:5000", Admin = "http://127.0.0.1:9000", Console = "off" };
        Assert.Equal(2, options.All().Count());
    }
}
