using System.Text.RegularExpressions;
using System.Xml.Linq;
using ImageAccess.Proxy.Portal.Words;
using ImageAccess.Proxy.Tests.HouseRules;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>Every text is there in each language, is used, and has the same places.</summary>
public sealed partial class LanguageTests
{
    private static readonly string Folder = RepositoryRoot.Find("src/ImageAccess.Proxy/Portal");

    private static readonly Dictionary<string, string> English = Read("Texts.resx");

    private static readonly Dictionary<string, string> Chinese = Read("Texts.zh-CN.resx");

    [Fact]
    public void Both_languages_have_the_same_texts() => Assert.Equal(English.Keys.Order(), Chinese.Keys.Order());

    [Fact]
    public void A_text_has_the_same_places_in_both() =>
        Assert.All(English.Keys, key => Assert.Equal(Places(English[key]), Places(Chinese[key])));

    [Fact]
    public void No_text_is_the_same_in_both_or_empty() => Assert.DoesNotContain(English.Keys, key => English[key] == Chinese[key] || English[key].Trim().Length == 0 || Chinese[key].Trim().Length == 0);

    [Fact]
    public void The_program_has_them_in_both_languages()
    {
        Assert.All(English, text => Assert.Equal(text.Value, Language.English[text.Key]));
        Assert.All(Chinese, text => Assert.Equal(text.Value, Language.Chinese[text.Key]));
    }

    /// <summary>What is built of a name and a value, as <c>Words[$"Mode.{mode}"]</c>, is used by its beginning.</summary>
    [Fact]
    public void Every_text_is_used_and_every_text_that_is_used_is_there()
    {
        var used = Directory.EnumerateFiles(Folder, "*.*", SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".razor", StringComparison.Ordinal) || file.EndsWith(".cs", StringComparison.Ordinal))
            .SelectMany(file => Uses().Matches(File.ReadAllText(file)).Select(match => match.Groups["name"].Value))
            .Append(nameof(Language.Moment))
            .ToHashSet();
        Assert.DoesNotContain(English.Keys, key => !used.Any(name => IsOf(key, name)));
        var subjects = English.Keys.Select(key => key.Split('.')[0]).ToHashSet();
        Assert.DoesNotContain(used, name => name.Contains('.', StringComparison.Ordinal) && subjects.Contains(name.Split('.')[0]) && !English.Keys.Any(key => IsOf(key, name)));
    }

    [Theory]
    [InlineData(null, "en")]
    [InlineData("", "en")]
    [InlineData("de-DE,de;q=0.9", "en")]
    [InlineData("zh", "zh-CN")]
    [InlineData("zh-Hans", "zh-CN")]
    [InlineData("ZH-hans-sg", "zh-CN")]
    [InlineData("zh-SG;q=0.3, de", "zh-CN")]
    [InlineData("zh-TW, en;q=0.5", "en")]
    [InlineData("zh-Hant, zh;q=0.5", "zh-CN")]
    [InlineData("en;q=0.5, zh-CN;q=0.6", "zh-CN")]
    [InlineData("en-US,zh-CN", "en")]
    [InlineData("zh-CN;q=0", "en")]
    [InlineData("zh-CN;q=x, ;;, =", "en")]
    [InlineData("zhx", "en")]
    public void The_language_is_what_the_browser_prefers(string? accepts, string tag) => Assert.Equal(tag, Language.Preferred(accepts).Tag);

    [Theory]
    [InlineData("en", 1, "1 day")]
    [InlineData("en", 0, "0 days")]
    [InlineData("en", 12345, "12,345 days")]
    [InlineData("zh-CN", 1, "1 天")]
    [InlineData("zh-CN", 12345, "12,345 天")]
    public void A_number_has_the_form_of_its_language(string tag, long number, string text) => Assert.Equal(text, Language.Find(tag)!.Count("Request.Days", number));

    [Theory]
    [InlineData("en", "7 March 2026, 05:09 UTC")]
    [InlineData("zh-CN", "2026年3月7日 05:09 UTC")]
    public void A_moment_has_the_form_of_its_language(string tag, string text) =>
        Assert.Equal(text, Language.Find(tag)!.Moment(new DateTimeOffset(2026, 3, 7, 13, 9, 59, TimeSpan.FromHours(8))));

    private static bool IsOf(string key, string name) =>
        key == name || key == $"{name}.one" || key == $"{name}.other" || (name.EndsWith('.') && key.StartsWith(name, StringComparison.Ordinal));

    private static IEnumerable<string> Places(string text) => Place().Matches(text).Select(match => match.Value).Distinct().Order(StringComparer.Ordinal);

    private static Dictionary<string, string> Read(string name) => XDocument.Load(Path.Combine(Folder, "Words", name)).Root!.Elements("data")
        .ToDictionary(data => data.Attribute("name")!.Value, data => data.Element("value")!.Value);

    [GeneratedRegex("""\{[0-9]+\}""", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Place();

    /// <summary>The text's name in quotation marks, up to what is put in.</summary>
    [GeneratedRegex("\"(?<name>[A-Z][A-Za-z]*(\\.[A-Za-z]*)*)(?=[\"{])", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Uses();
}
