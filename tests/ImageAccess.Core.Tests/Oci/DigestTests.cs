using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed class DigestTests
{
    private const string Hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData(Names.Sha256)]
    [InlineData(Names.Sha512)]
    public void Reads_the_registered_algorithms(string text)
    {
        Assert.True(Digest.TryParse(text, out var digest));
        Assert.Equal((text, text), (digest.Value, digest.ToString()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("sha256:")]
    [InlineData(Hex64)]
    [InlineData("sha256:" + Hex64 + "0")]
    [InlineData("sha256:" + Hex64 + "\n")]
    [InlineData("sha256:" + Hex64 + Hex64)]
    [InlineData(" sha256:" + Hex64)]
    [InlineData("sha512:" + Hex64)]
    [InlineData("sha384:" + Hex64)]
    [InlineData("SHA256:" + Hex64)]
    [InlineData("sha256-" + Hex64)]
    [InlineData("sha256::123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("sha256:0123456789abcdeg0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("sha256:../3456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde٣")]
    [InlineData("md5:d41d8cd98f00b204e9800998ecf8427e")]
    public void Refuses_anything_else(string? text)
    {
        Assert.False(Digest.TryParse(text, out var digest));
        Assert.Null(digest);
    }

    [Fact]
    public void Digests_are_compared_by_value()
    {
        Assert.True(Digest.TryParse("sha256:" + Hex64, out var one));
        Assert.True(Digest.TryParse(string.Concat("sha256:", Hex64), out var same));
        Assert.True(Digest.TryParse(Names.Sha512, out var other));
        Assert.Equal(one, same);
        Assert.Equal(one.GetHashCode(), same.GetHashCode());
        Assert.NotEqual(one, other);
        Assert.False(one.Equals(null));
    }
}
