using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>The README in Chinese has the sections, commands, tables and links of the English one.</summary>
public sealed partial class TranslationTests
{
    private const string Original = "README.md";
    private const string Translation = "README.zh-CN.md";

    [Fact]
    public void Headings_have_the_same_levels() => AssertSame(page => Prose(page).Where(line => line.StartsWith('#')).Select(line => line.Split(' ')[0]));

    [Fact]
    public void Code_blocks_are_the_same_byte_for_byte() => AssertSame(page => CodeBlocks().Matches(page).Select(block => block.Value));

    [Fact]
    public void Tables_have_the_same_shape_and_the_same_code_in_each_cell() => AssertSame(page => Prose(page)
        .Where(line => line.StartsWith('|'))
        .Select(line => string.Join(" | ", line.Split('|').Select(cell => string.Join(' ', CodeOf(cell))))));

    [Fact]
    public void Sections_have_the_same_code_and_the_same_links() => AssertSame(page => Sections(page)
        .Select(section => string.Join('\n', LinksOf(section).Concat(CodeOf(section)).Order(StringComparer.Ordinal))));

    [Fact]
    public void Each_leads_to_the_other()
    {
        Assert.Contains($"]({Translation})", RepositoryRoot.Read(Original), StringComparison.Ordinal);
        Assert.Contains($"]({Original})", RepositoryRoot.Read(Translation), StringComparison.Ordinal);
    }

    private static void AssertSame(Func<string, IEnumerable<string>> part)
    {
        var original = part(RepositoryRoot.Read(Original)).ToList();
        Assert.NotEmpty(original);
        Assert.Equal(original, part(RepositoryRoot.Read(Translation)));
    }

    private static string[] Prose(string page) => CodeBlocks().Replace(page, "").Split('\n');

    private static string[] Sections(string page) => string.Join('\n', Prose(page)).Split("\n#");

    private static IEnumerable<string> CodeOf(string text) => Code().Matches(text).Select(code => code.Value);

    private static IEnumerable<string> LinksOf(string text) => Links().Matches(text).Select(link => link.Groups["target"].Value)
        .Where(target => target is not (Original or Translation));

    [GeneratedRegex("^```.*?^```$|(^    [^\n]*\n)+", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CodeBlocks();

    [GeneratedRegex("`[^`\n]+`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Links();
}
