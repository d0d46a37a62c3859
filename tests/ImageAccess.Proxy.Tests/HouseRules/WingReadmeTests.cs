using System.Text.RegularExpressions;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Each wing says in a few lines what is in it, and names only what is there.</summary>
public sealed partial class WingReadmeTests
{
    private const int MaximumLines = 25;

    public static TheoryData<string> Wings => [.. Directory.GetDirectories(Proxy())
        .Select(folder => Path.GetFileName(folder))
        .Where(wing => wing is not ("bin" or "obj" or "Properties" or "wwwroot"))];

    [Theory]
    [MemberData(nameof(Wings))]
    public void A_wing_has_a_short_README_that_names_what_is_there(string wing)
    {
        var readme = Path.Combine(Proxy(wing), "README.md");
        Assert.True(File.Exists(readme), $"{wing} has no README.md");
        var text = File.ReadAllText(readme);
        Assert.InRange(text.TrimEnd().Split('\n').Length, 3, MaximumLines);

        var names = Code().Matches(text).Select(code => code.Groups["text"].Value).ToList();
        Assert.NotEmpty(names);
        using var types = new CompiledTypes(typeof(ProxyHost));
        var members = types.Members($"ImageAccess.Proxy.{wing}");
        Assert.DoesNotContain(names, name => !Path.Exists(Path.Combine(Proxy(wing), name)) && !members.Contains(name));
    }

    private static string Proxy(string wing = "") => RepositoryRoot.Find(Path.Combine("src/ImageAccess.Proxy", wing));

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();
}
