using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed partial class RepositoryNameTests
{
    [Theory]
    [InlineData("nginx", "library/nginx", "library", true)]
    [InlineData("library/nginx", "library/nginx", "library", true)]
    [InlineData("library", "library/library", "library", true)]
    [InlineData("library/nginx/extra", "library/nginx/extra", "library", false)]
    [InlineData("acme/app", "acme/app", "acme", false)]
    [InlineData("acme/library", "acme/library", "acme", false)]
    [InlineData("acme/library/nginx", "acme/library/nginx", "acme", false)]
    [InlineData("librarys/nginx", "librarys/nginx", "librarys", false)]
    [InlineData("a/b/c/d", "a/b/c/d", "a", false)]
    [InlineData("0/9", "0/9", "0", false)]
    [InlineData("some.user/a_b", "some.user/a_b", "some.user", false)]
    [InlineData("some-user/a__b", "some-user/a__b", "some-user", false)]
    [InlineData("some---user/a-----b.c", "some---user/a-----b.c", "some---user", false)]
    [InlineData("manifests/blobs/uploads", "manifests/blobs/uploads", "manifests", false)]
    public void Reads_a_name(string text, string value, string @namespace, bool isOfficial)
    {
        Assert.True(RepositoryName.TryParse(text, out var name));
        Assert.Equal((value, @namespace, isOfficial, value), (name.Value, name.Namespace, name.IsOfficial, name.ToString()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/nginx")]
    [InlineData("nginx/")]
    [InlineData("library//nginx")]
    [InlineData("Nginx")]
    [InlineData("library/nginX")]
    [InlineData("-nginx")]
    [InlineData("nginx-")]
    [InlineData("_nginx")]
    [InlineData("nginx_")]
    [InlineData(".nginx")]
    [InlineData("nginx.")]
    [InlineData("a/-b")]
    [InlineData("a-/b")]
    [InlineData("a..b")]
    [InlineData("a___b")]
    [InlineData("a._b")]
    [InlineData("a_.b")]
    [InlineData("a-_b")]
    [InlineData("a_-b")]
    [InlineData("a-.b")]
    [InlineData("a/../b")]
    [InlineData("a/./b")]
    [InlineData("localhost:5000/nginx")]
    [InlineData("nginx:latest")]
    [InlineData("nginx@sha256")]
    [InlineData("nginx ")]
    [InlineData(" nginx")]
    [InlineData("nginx\n")]
    [InlineData("nginx\0")]
    [InlineData("library%2fnginx")]
    [InlineData("library\\nginx")]
    [InlineData("ngіnx")] // a Cyrillic і
    [InlineData("nginx\u0661")] // an Arabic digit
    [InlineData("ｎginx")]
    [InlineData("*")]
    [InlineData("library/*")]
    public void Refuses_what_is_no_name(string? text)
    {
        Assert.False(RepositoryName.TryParse(text, out var name));
        Assert.Null(name);
    }

    [Theory]
    [InlineData("a/", 253, true)]
    [InlineData("a/", 254, false)]
    [InlineData("", 247, true)] // library/ in front makes it 255
    [InlineData("", 248, false)]
    public void A_name_has_at_most_255_characters_in_full(string prefix, int length, bool valid) =>
        Assert.Equal(valid, RepositoryName.TryParse(prefix + new string('x', length), out _));

    [Theory]
    [InlineData("acme", true)]
    [InlineData("acme-labs.2", true)]
    [InlineData("library", true)]
    [InlineData("acme/app", false)]
    [InlineData("acme/", false)]
    [InlineData("Acme", false)]
    [InlineData("*", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void A_namespace_is_one_component(string? text, bool valid) => Assert.Equal(valid, RepositoryName.IsComponent(text));

    [Fact]
    public void A_namespace_has_at_most_255_characters()
    {
        Assert.True(RepositoryName.IsComponent(new string('x', 255)));
        Assert.False(RepositoryName.IsComponent(new string('x', 256)));
    }

    [Fact]
    public void The_short_and_the_full_name_are_the_same_repository()
    {
        Assert.Equal(Names.Repository("library/nginx"), Names.Repository("nginx"));
        Assert.Equal(Names.Repository("library/nginx").GetHashCode(), Names.Repository("nginx").GetHashCode());
        Assert.NotEqual(Names.Repository("acme/nginx"), Names.Repository("nginx"));
        Assert.False(Names.Repository("nginx").Equals(null));
        Assert.False(Names.Repository("nginx").Equals((object)"library/nginx"));
    }

    [Fact]
    public void A_text_is_a_name_exactly_when_the_specification_says_so()
    {
        var texts = Gen.Elements<char>([.. "aaz09///..__--A:%\n"]).ListOf().Select(list => string.Concat(list)).ToArbitrary();

        Prop.ForAll(texts, text => RepositoryName.TryParse(text, out _) == SpecifiedName().IsMatch(text))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(20_000).WithEndSize(14));
    }

    /// <summary>OCI distribution specification v1.1, "Pulling manifests".</summary>
    [GeneratedRegex(
        @"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex SpecifiedName();
}
