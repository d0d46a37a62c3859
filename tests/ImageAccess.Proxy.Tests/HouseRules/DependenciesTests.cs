using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Each package has its line in <c>docs/dependencies.md</c>, and is used.</summary>
public sealed partial class DependenciesTests
{
    [Fact]
    public void Every_package_is_on_the_page_and_no_other()
    {
        var page = RepositoryRoot.Read("docs/dependencies.md");
        Assert.Equal(Packages(pinned: false), Rows().Matches(page).Select(row => row.Groups["name"].Value).Order(StringComparer.Ordinal));
        Assert.All(Packages(pinned: true), package => Assert.Contains($"`{package}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_package_is_referenced_by_a_project()
    {
        var files = Directory.GetFiles(RepositoryRoot.Find("src"), "*.csproj", SearchOption.AllDirectories)
            .Concat(Directory.GetFiles(RepositoryRoot.Find("tests"), "*.*proj", SearchOption.AllDirectories))
            .Concat(Directory.GetFiles(RepositoryRoot.Find("tests"), "*.props", SearchOption.AllDirectories))
            .Append(RepositoryRoot.Find("Directory.Build.props"))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal));
        var referenced = files.SelectMany(file => XDocument.Load(file).Descendants("PackageReference").Select(reference => (string)reference.Attribute("Include")!));
        Assert.Equal(Packages(pinned: false), referenced.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_package_of_Node_is_on_the_page_and_has_one_version()
    {
        var page = RepositoryRoot.Read("docs/dependencies.md");
        var packages = JsonSerializer.Deserialize<JsonElement>(RepositoryRoot.Read("tests/node/package.json")).GetProperty("dependencies").EnumerateObject().ToList();
        Assert.NotEmpty(packages);
        Assert.All(packages, package => Assert.Contains($"`{package.Name}`", page, StringComparison.Ordinal));
        Assert.All(packages, package => Assert.Matches(@"^[0-9]+\.[0-9]+\.[0-9]+$", package.Value.GetString()!));
    }

    private static List<string> Packages(bool pinned) =>
    [
        .. XDocument.Load(RepositoryRoot.Find("Directory.Packages.props")).Descendants("PackageVersion")
            .Where(package => ((string?)package.Parent!.Attribute("Label") ?? "").StartsWith("Pinned", StringComparison.Ordinal) == pinned)
            .Select(package => (string)package.Attribute("Include")!)
            .Order(StringComparer.Ordinal),
    ];

    [GeneratedRegex(@"^\| `(?<name>[A-Za-z0-9.-]+)` \| (MIT|Apache-2\.0|BSD-[23]-Clause|PostgreSQL) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Rows();
}
