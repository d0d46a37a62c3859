using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests.Oci;

public sealed partial class ReferenceTests
{
    [Theory]
    [InlineData("latest")]
    [InlineData("1.27.3-alpine")]
    [InlineData("_")]
    [InlineData("0")]
    [InlineData("V1_RC.2-x")]
    [InlineData("a..b")]
    [InlineData("sha256-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")] // the fallback of referrers
    public void A_tag_is_a_reference(string text)
    {
        Assert.True(Tag.TryParse(text, out var tag));
        Assert.True(Reference.TryParse(text, out var reference));
        Assert.Equal((text, text, text), (tag.Value, tag.ToString(), reference.ToString()));
        Assert.Equal((text, true), (reference.Value, reference.IsTag));
        Assert.Null(reference.Digest);
    }

    [Theory]
    [InlineData(Names.Sha256)]
    [InlineData(Names.Sha512)]
    public void A_digest_is_a_reference_and_no_tag(string text)
    {
        Assert.False(Tag.TryParse(text, out _));
        Assert.True(Reference.TryParse(text, out var reference));
        Assert.Equal((text, false, text), (reference.Value, reference.IsTag, reference.Digest?.Value));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData(".latest")]
    [InlineData("-latest")]
    [InlineData("latest:x")]
    [InlineData("sha256:0123")]
    [InlineData("la test")]
    [InlineData("latest\n")]
    [InlineData("latest/x")]
    [InlineData("latest@x")]
    [InlineData("latest%20")]
    [InlineData("lätest")]
    [InlineData("٣")]
    public void Anything_else_is_neither(string? text)
    {
        Assert.False(Tag.TryParse(text, out var tag));
        Assert.False(Reference.TryParse(text, out var reference));
        Assert.Null(tag);
        Assert.Null(reference);
    }

    [Theory]
    [InlineData(128, true)]
    [InlineData(129, false)]
    public void A_tag_has_at_most_128_characters(int length, bool valid) =>
        Assert.Equal(valid, Tag.TryParse(new string('x', length), out _));

    [Fact]
    public void A_text_is_a_tag_exactly_when_the_specification_says_so()
    {
        var texts = Gen.Elements<char>([.. "azAZ09._-:/@ \n"]).ListOf().Select(list => string.Concat(list)).ToArbitrary();

        Prop.ForAll(texts, text => Tag.TryParse(text, out _) == SpecifiedTag().IsMatch(text))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(10_000).WithEndSize(10));
    }

    /// <summary>OCI distribution specification v1.1, "Pulling manifests".</summary>
    [GeneratedRegex(@"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z", RegexOptions.NonBacktracking)]
    private static partial Regex SpecifiedTag();
}
