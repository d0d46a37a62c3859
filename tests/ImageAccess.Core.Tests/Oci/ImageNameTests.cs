using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed class ImageNameTests
{
    private const string Sha256 = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("nginx", "library/nginx", null, "nginx")]
    [InlineData("nginx:1.27", "library/nginx", "1.27", "nginx:1.27")]
    [InlineData("nginx:Latest_1", "library/nginx", "Latest_1", "nginx:Latest_1")]
    [InlineData("library/nginx", "library/nginx", null, "nginx")]
    [InlineData("docker.io/nginx", "library/nginx", null, "nginx")]
    [InlineData("docker.io/library/nginx:1", "library/nginx", "1", "nginx:1")]
    [InlineData("index.docker.io/nginx", "library/nginx", null, "nginx")]
    [InlineData("index.docker.io/someuser/x:tag", "someuser/x", "tag", "someuser/x:tag")]
    [InlineData("registry-1.docker.io/bitnami/redis", "bitnami/redis", null, "bitnami/redis")]
    [InlineData("registry.hub.docker.com/bitnami/redis", "bitnami/redis", null, "bitnami/redis")]
    [InlineData("Docker.IO/nginx", "library/nginx", null, "nginx")]
    [InlineData("docker.io:443/nginx", "library/nginx", null, "nginx")]
    [InlineData("docker.io/bitnami/redis", "bitnami/redis", null, "bitnami/redis")]
    [InlineData("someuser/x", "someuser/x", null, "someuser/x")]
    [InlineData("someuser/deep/er", "someuser/deep/er", null, "someuser/deep/er")]
    [InlineData("library/nginx/more", "library/nginx/more", null, "library/nginx/more")]
    [InlineData("localhost", "library/localhost", null, "localhost")]
    [InlineData("localhost:5000", "library/localhost", "5000", "localhost:5000")]
    [InlineData("docker.io", "library/docker.io", null, "docker.io")]
    [InlineData("my_user/my__tool", "my_user/my__tool", null, "my_user/my__tool")]
    public void Images_of_Docker_Hub(string text, string repository, string? tag, string familiar)
    {
        Assert.True(ImageName.TryParse(text, out var name, out var problem), problem);

        Assert.Equal(repository, name.Repository?.Value);
        Assert.Equal(repository, name.Path);
        Assert.Equal("docker.io", name.Registry);
        Assert.Equal(tag, name.Tag?.Value);
        Assert.Null(name.Digest);
        Assert.Equal(familiar, name.ToString());
        Assert.Empty(problem);
    }

    [Theory]
    [InlineData("localhost/x", "localhost", "x")]
    [InlineData("localhost:5000/x", "localhost:5000", "x")]
    [InlineData("ghcr.io/owner/name", "ghcr.io", "owner/name")]
    [InlineData("ghcr.io/owner/name:1", "ghcr.io", "owner/name")]
    [InlineData("mirror.example.com:5000/library/nginx", "mirror.example.com:5000", "library/nginx")]
    [InlineData("[2001:db8::1]:5000/x", "[2001:db8::1]:5000", "x")]
    [InlineData("[::1]/x", "[::1]", "x")]
    [InlineData("HOST/x", "HOST", "x")]
    [InlineData("docker.io.example.com/nginx", "docker.io.example.com", "nginx")]
    [InlineData("docker.io:5000/nginx", "docker.io:5000", "nginx")]
    [InlineData("quay.io/library/nginx", "quay.io", "library/nginx")]
    public void Images_of_other_registries(string text, string registry, string path)
    {
        Assert.True(ImageName.TryParse(text, out var name, out var problem), problem);

        Assert.Null(name.Repository);
        Assert.Equal((registry, path), (name.Registry, name.Path));
        Assert.Equal(text, name.ToString());
    }

    [Fact]
    public void A_digest_stands_alone_or_behind_a_tag()
    {
        Assert.True(ImageName.TryParse($"nginx:1.27@{Sha256}", out var both, out _));
        Assert.Equal(("1.27", Sha256), (both.Tag?.Value, both.Digest?.Value));
        Assert.Equal($"nginx:1.27@{Sha256}", both.ToString());

        Assert.True(ImageName.TryParse($"localhost:5000/x@{Sha256}", out var alone, out _));
        Assert.Null(alone.Tag);
        Assert.Equal(Sha256, alone.Digest?.Value);
    }

    [Theory]
    [InlineData(null, "is empty")]
    [InlineData("", "is empty")]
    [InlineData("Nginx", "upper-case")]
    [InlineData("docker.io/Library/nginx", "upper-case")]
    [InlineData("nginx:", "tag")]
    [InlineData("nginx:-x", "tag")]
    [InlineData("nginx:a b", "tag")]
    [InlineData("nginx:1:2", "is not the name")]
    [InlineData("nginx@sha256:123", "digest")]
    [InlineData("nginx@md5:0123456789abcdef0123456789abcdef", "digest")]
    [InlineData("nginx@" + Sha256 + "@" + Sha256, "digest")]
    [InlineData("@" + Sha256, "is not the name")]
    [InlineData("/nginx", "is not the name")]
    [InlineData("nginx/", "is not the name")]
    [InlineData("a//b", "is not the name")]
    [InlineData("../x", "registry that is none")]
    [InlineData("docker.io/", "is not the name")]
    [InlineData("docker.io/../nginx", "is not the name")]
    [InlineData("docker://nginx", "registry that is none")]
    [InlineData("https://docker.io/nginx", "registry that is none")]
    [InlineData("host:port/x", "registry that is none")]
    [InlineData("-host.example.com/x", "registry that is none")]
    [InlineData("[::1/x", "registry that is none")]
    [InlineData("[127.0.0.1]/x", "registry that is none")]
    [InlineData("a b", "is not the name")]
    [InlineData("$IMAGE", "upper-case")]
    [InlineData("${image}", "is not the name")]
    [InlineData("nginx\n", "is not the name")]
    [InlineData("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "id and not its name")]
    public void What_is_no_image_says_why(string? text, string why)
    {
        Assert.False(ImageName.TryParse(text, out var name, out var problem));
        Assert.Null(name);
        Assert.Contains(why, problem, StringComparison.Ordinal);
    }

    [Fact]
    public void The_length_counts_with_what_a_short_name_stands_for()
    {
        Assert.True(ImageName.TryParse(new string('a', 247), out _, out _));
        Assert.False(ImageName.TryParse(new string('a', 248), out _, out var problem));
        Assert.Contains("longer than 255", problem, StringComparison.Ordinal);
    }
}
