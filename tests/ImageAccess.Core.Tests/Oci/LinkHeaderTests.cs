using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed class LinkHeaderTests
{
    [Theory]
    [InlineData("</v2/a/b/tags/list?last=x&n=2>; rel=\"next\"", "/v2/a/b/tags/list?last=x&n=2")]
    [InlineData("<?nextToken=2>; rel=next", "?nextToken=2")]
    [InlineData("<a>;rel=NEXT", "a")]
    [InlineData("<a> ; REL = \"Next\"", "a")]
    [InlineData("<a>; title=\"a, <b>; rel=prev\"; rel=\"next\"", "a")]
    [InlineData("<a>; title=\"\\\"; rel=prev\"; rel=\"next\"", "a")]
    [InlineData("<a>; rel=\"prev start next\"; type=\"text/html\"", "a")]
    [InlineData("<a>; crossorigin; rel=next; rel=prev", "a")]
    [InlineData("<a>; rel=prev; rel=next", "")]
    [InlineData("<a>; rel=\"prev\", <b>; rel=\"next\", <c>; rel=\"last\"", "b")]
    [InlineData("<a,b;c>; rel=next", "a,b;c")]
    [InlineData("<a>; rel=next,<b>;rel=next", "a b")]
    [InlineData(", , <a>; rel=next,", "a")]
    [InlineData("<a>", "a")]
    [InlineData("<a>; title=x", "a")]
    [InlineData("<>; rel=next", "")]
    [InlineData("<a>; rel=nextpage", "")]
    [InlineData("<a>; rel=\"\"", "")]
    [InlineData("<a>; rel=\"next", "a")]
    [InlineData("<a; rel=next", "")]
    [InlineData("a; rel=next", "")]
    [InlineData("/v2/a/b/tags/list?n=1", "")]
    [InlineData("<a>; rel=prev, b; rel=next, <c>; rel=next", "")]
    [InlineData("", "")]
    public void The_links_to_the_next_page(string header, string targets) =>
        Assert.Equal(targets, string.Join(' ', LinkHeader.NextOf([header])));

    [Fact]
    public void Several_headers_are_one_list() =>
        Assert.Equal(["b", "c"], LinkHeader.NextOf(["<a>; rel=first", "<b>; rel=next", "nonsense", "<c>; rel=next"]));

    [Fact]
    public void No_text_makes_it_throw_or_run_on()
    {
        var texts = Gen.Elements<char>([.. "<>;,=\"\\ relnxt\t/?\0\u00e9"]).ListOf().Select(list => string.Concat(list));
        Prop.ForAll(texts.ToArbitrary(), text => LinkHeader.NextOf([text]).All(target => text.Contains($"<{target}>", StringComparison.Ordinal)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));
    }
}
