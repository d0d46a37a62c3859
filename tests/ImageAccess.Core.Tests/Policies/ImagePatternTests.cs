using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class ImagePatternTests
{
    [Theory]
    [InlineData("nginx", "nginx")]
    [InlineData("library/nginx", "nginx")]
    [InlineData("docker.io/nginx", "nginx")]
    [InlineData("index.docker.io/library/nginx:1.27", "nginx:1.27")]
    [InlineData("registry-1.docker.io/bitnami/redis:7", "bitnami/redis:7")]
    [InlineData("bitnami/*", "bitnami/*")]
    [InlineData("docker.io/bitnami/*", "bitnami/*")]
    [InlineData("library/*", "library/*")]
    [InlineData("acme/app@" + Names.Sha256, "acme/app@" + Names.Sha256)]
    [InlineData(Names.Sha256, Names.Sha256)]
    [InlineData(Names.Sha512, Names.Sha512)]
    public void It_is_written_as_people_write_images(string text, string pattern)
    {
        Assert.True(ImagePattern.TryParse(text, out var parsed, out var problem), problem);
        Assert.Equal(pattern, parsed.ToString());
    }

    [Theory]
    [InlineData(null, "is empty")]
    [InlineData("", "is empty")]
    [InlineData("*", "is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    [InlineData("/*", "is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    [InlineData("docker.io/*", "names no namespace, as bitnami/* does")]
    [InlineData("acme/app/*", "names no namespace, as bitnami/* does")]
    [InlineData("acme/*:1", "is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    [InlineData("acme/app*", "is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    [InlineData("ghcr.io/acme/*", "is an image of ghcr.io, and not of Docker Hub")]
    [InlineData("localhost:5000/x", "is an image of localhost:5000, and not of Docker Hub")]
    [InlineData("Nginx", "has upper-case letters; a repository's name has none")]
    [InlineData("Bitnami/redis", "has upper-case letters; a repository's name has none")]
    [InlineData("Bitnami/*", "has upper-case letters; a repository's name has none")]
    [InlineData(" nginx", "is not the name of an image, as nginx or docker.io/bitnami/redis:7")]
    [InlineData("nginx:", "has a tag that is none: letters, digits and _ . -, at most 128 of them")]
    [InlineData("nginx:1@" + Names.Sha256, "has a tag and a digest: name the one or the other")]
    [InlineData("nginx@sha256:abc", "has a digest that is none: sha256: and 64 hexadecimal digits in lower case")]
    // Else it would be the tag of an image that is named sha256, and nothing of what was meant would be blocked.
    [InlineData("sha256:0123456789abcdef", "has a digest that is none: sha256: and 64 hexadecimal digits in lower case")]
    [InlineData("sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "has a digest that is none: sha256: and 64 hexadecimal digits in lower case")]
    public void What_is_none_is_refused_with_a_text(string? text, string problem)
    {
        Assert.False(ImagePattern.TryParse(text, out var parsed, out var said));
        Assert.Null(parsed);
        Assert.Equal(problem, said);
    }
}
