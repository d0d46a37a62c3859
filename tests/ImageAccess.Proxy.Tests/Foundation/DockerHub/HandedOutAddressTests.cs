using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>What upstream hands out is read as RFC 3986 says and asked byte for byte; what two programs would read in two ways is no address.</summary>
public sealed class HandedOutAddressTests
{
    private static readonly Uri Here = HandedOutAddress.Resolve(new Uri("https://h.example/"), "https://cdn.example:8443/a%7Eb/c/d;p?q=%7E")!;

    [Theory]
    [InlineData("https://other.example/x", "https://other.example:443", "/x")]
    [InlineData("HTTPS://OTHER.example:9/x", "https://other.example:9", "/x")]
    [InlineData("https://other.example/%7Ea%7e/~/%2F%2f/%41/+/;a=b,c/@:!$&'()*?x=%7E+%2B&y=%zz%", "https://other.example:443", "/%7Ea%7e/~/%2F%2f/%41/+/;a=b,c/@:!$&'()*?x=%7E+%2B&y=%zz%")]
    [InlineData("https://other.example/a/./b/../c//d/%2e%2E/", "https://other.example:443", "/a/./b/../c//d/%2e%2E/")]
    [InlineData("https://other.example?x=/../y", "https://other.example:443", "/?x=/../y")]
    [InlineData("https://other.example", "https://other.example:443", "/")]
    [InlineData("https://other.example/a#%7E", "https://other.example:443", "/a")]
    [InlineData("https://other.example/a\\b|c\"<>^`{}", "https://other.example:443", "/a\\b|c\"<>^`{}")]
    [InlineData("https://other.example/\u20ac/%E2%82%AC?\u00e9", "https://other.example:443", "/%E2%82%AC/%E2%82%AC?%C3%A9")]
    [InlineData("//other.example/%7E", "https://other.example:443", "/%7E")]
    [InlineData("/%7E/../x?y=%2f", "https://cdn.example:8443", "/%7E/../x?y=%2f")]
    [InlineData("e%7E", "https://cdn.example:8443", "/a%7Eb/c/e%7E")]
    [InlineData("./e", "https://cdn.example:8443", "/a%7Eb/c/e")]
    [InlineData("../e/", "https://cdn.example:8443", "/a%7Eb/e/")]
    [InlineData("../../../../e", "https://cdn.example:8443", "/e")]
    [InlineData("..", "https://cdn.example:8443", "/a%7Eb/")]
    [InlineData("?x=%7e", "https://cdn.example:8443", "/a%7Eb/c/d;p?x=%7e")]
    public void It_is_asked_byte_for_byte(string reference, string origin, string target)
    {
        var address = HandedOutAddress.Resolve(Here, reference)!;
        Assert.Equal((origin, target), ($"{address.Scheme}://{address.IdnHost}:{address.Port}", address.PathAndQuery));
    }

    [Theory]
    [InlineData("")]
    [InlineData("#x")]
    [InlineData("https:")]
    [InlineData("https:/x")]
    [InlineData("https:other.example/x")]
    [InlineData("https:///x")]
    [InlineData("///x")]
    [InlineData("https:\\\\other.example\\x")]
    [InlineData("https://good.example\\@evil.example/")]
    [InlineData("https://good.example\\.evil.example/")]
    [InlineData("//good.example\\@evil.example/")]
    [InlineData("https://good%2eexample/x")]
    [InlineData("https://good.example%00.evil.example/x")]
    [InlineData("https://good.example%2f@evil.example/x")]
    [InlineData("https://good.example\t.evil.example/x")]
    [InlineData("https://good.example/a b")]
    [InlineData("https://good.example/a\tb")]
    [InlineData("https://good.example/a\r\nX: y")]
    [InlineData("https://good.example/\u00a0")]
    [InlineData(" https://good.example/")]
    [InlineData("https://good.example:port/")]
    [InlineData("https://good.example:99999/")]
    [InlineData("https://[::1/")]
    [InlineData("javascript:alert(1)")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://good.example, https://evil.example/")]
    public void What_is_no_address_is_none(string reference) => Assert.Null(HandedOutAddress.Resolve(Here, reference));

    /// <summary>Whoever is named before an @ is nobody: the host is what follows.</summary>
    [Theory]
    [InlineData("https://good.example@evil.example/", "evil.example")]
    [InlineData("https://good.example:443@evil.example/", "evil.example")]
    [InlineData("https://evil.example/@good.example", "evil.example")]
    [InlineData("https://evil.example?@good.example/", "evil.example")]
    [InlineData("https://evil.example#@good.example/", "evil.example")]
    [InlineData("/\\good.example/", "cdn.example")]
    public void The_host_is_the_one_that_is_connected_to(string reference, string host) =>
        Assert.Equal(host, HandedOutAddress.Resolve(Here, reference)!.IdnHost);
}
