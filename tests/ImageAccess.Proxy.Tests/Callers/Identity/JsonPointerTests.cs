using System.Text.Json;
using ImageAccess.Proxy.Callers.Identity;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class JsonPointerTests
{
    /// <summary>The document of RFC 6901, section 5, and a little more.</summary>
    private const string Document = """
        {"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,
         "https://auth.docker.io":{"organizations":["acme"]},"~1":9,"01":{"-":10},"null":null}
        """;

    [Theory]
    [InlineData("/foo", """["bar","baz"]""")]
    [InlineData("/foo/0", "\"bar\"")]
    [InlineData("/foo/1", "\"baz\"")]
    [InlineData("/", "0")]
    [InlineData("/a~1b", "1")]
    [InlineData("/c%d", "2")]
    [InlineData("/e^f", "3")]
    [InlineData("/g|h", "4")]
    [InlineData("/i\\j", "5")]
    [InlineData("/k\"l", "6")]
    [InlineData("/ ", "7")]
    [InlineData("/m~0n", "8")]
    [InlineData("/~01", "9")]
    [InlineData("/01/-", "10")]
    [InlineData("/null", "null")]
    [InlineData("/https:~1~1auth.docker.io/organizations/0", "\"acme\"")]
    public void A_pointer_finds(string text, string expected)
    {
        Assert.True(Find(text, out var found));
        Assert.Equal(expected, found);
    }

    [Fact]
    public void The_empty_pointer_is_the_document()
    {
        Assert.True(Find("", out var found));
        Assert.StartsWith("{\"foo\"", found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/bar")]
    [InlineData("/foo/2")]
    [InlineData("/foo/-")]
    [InlineData("/foo/-1")]
    [InlineData("/foo/+1")]
    [InlineData("/foo/00")]
    [InlineData("/foo/01")]
    [InlineData("/foo/1e0")]
    [InlineData("/foo/ 1")]
    [InlineData("/foo/99999999999")]
    [InlineData("/foo/")]
    [InlineData("/foo/0/")]
    [InlineData("/foo/0/0")]
    [InlineData("/Foo")]
    [InlineData("/null/x")]
    [InlineData("/a/b")]
    public void A_pointer_finds_nothing(string text) => Assert.False(Find(text, out _));

    [Theory]
    [InlineData(null)]
    [InlineData("foo")]
    [InlineData("#/foo")]
    [InlineData(" /foo")]
    [InlineData("/~")]
    [InlineData("/~2")]
    [InlineData("/foo~/0")]
    [InlineData("/~0~")]
    public void What_is_no_pointer_is_refused(string? text) => Assert.False(JsonPointer.TryParse(text, out _));

    private static bool Find(string text, out string found)
    {
        Assert.True(JsonPointer.TryParse(text, out var pointer));
        using var document = JsonDocument.Parse(Document);
        var finds = pointer.TryFind(document.RootElement, out var element);
        found = finds ? element.GetRawText() : "";
        return finds;
    }
}
