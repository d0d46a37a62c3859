using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using ImageAccess.Proxy.Tools.Scanning;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Tools.Scanning;

/// <summary>
/// Each folder of Fixtures is scanned as it is. What is expected stands below the very line, <c>#^ ROLE: IMAGE</c> or
/// <c>#^ ROLE ? BEGINNING OF THE TROUBLE</c>, or elsewhere with <c>@LINE</c> behind it; where no comment can stand, in FILE.expected, with the line in front.
/// A file without images says so (<c># expects no image</c>): none is there by oversight.
/// </summary>
public sealed partial class FixtureTests
{
    private static readonly string Root = Path.Combine(Here(), "Fixtures");

    public static TheoryData<string> Folders => [.. Directory.GetDirectories(Root).Select(folder => Path.GetFileName(folder)!).Order()];

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_holds_what_its_files_say(string folder)
    {
        var expected = Files(folder).SelectMany(Expectations).ToList();
        var found = Scan(folder).Mentions.Select(mention => Describe(mention, expected));
        Assert.Equal(expected.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void At_least_forty_files_name_images() =>
        Assert.True(Directory.GetDirectories(Root).SelectMany(Files).Count(file => Expectations(file).Count > 0) >= 40);

    [Fact]
    public void A_chart_that_is_passed_over_is_remarked_on() => Assert.Contains("helm template", Assert.Single(Scan("chart").Remarks), StringComparison.Ordinal);

    private static string Here([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;

    private static ScanResult Scan(string folder)
    {
        var settings = new ScanSettings { Environment = name => name == "FROM_SHELL" ? Expansion.Of("shell") : null };
        return new ImageScan(settings, new ProgressLine(TimeProvider.System, TextWriter.Null)).Run([Path.Combine(Root, folder)], default);
    }

    private static IEnumerable<string> Files(string folder) => Directory.GetFiles(Path.Combine(Root, folder), "*", SearchOption.AllDirectories)
        .Where(file => !file.EndsWith(".expected", StringComparison.Ordinal));

    private static List<string> Expectations(string file)
    {
        var name = Path.GetRelativePath(Root, file);
        if (File.Exists(file + ".expected"))
            return [.. File.ReadAllLines(file + ".expected").Where(line => line != "none").Select(line => $"{name}:{line}")];

        var expectations = new List<string>();
        var said = false;
        var place = "0";
        foreach (var (index, text) in File.ReadAllLines(file).Index())
        {
            var marker = Marker().Match(text);
            if (marker.Success)
                expectations.Add($"{name}:{(marker.Groups["line"] is { Success: true } line ? line.Value : place)} {marker.Groups["what"].Value}");
            else
                place = (index + 1).ToString(CultureInfo.InvariantCulture);
            said |= marker.Success || text.Contains("# expects no image", StringComparison.Ordinal);
        }

        Assert.True(said, $"{name} does not say what is expected of it");
        return expectations;
    }

    /// <summary>Of a trouble, as much as is expected of one at this place.</summary>
    private static string Describe(ImageMention mention, List<string> expected)
    {
        var place = string.Create(CultureInfo.InvariantCulture, $"{Path.GetRelativePath(Root, mention.File)}:{mention.Line} {mention.Role}");
        if (mention.Image is { } image)
            return $"{place}: {image}";
        var whole = $"{place} ? {mention.Trouble}";
        return expected.Find(line => whole.StartsWith(line, StringComparison.Ordinal)) ?? whole;
    }

    [GeneratedRegex(@"^\s*#\^ (?<what>.*?)( @(?<line>\d+))?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Marker();
}
