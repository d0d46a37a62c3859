using System.Reflection;
using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Hosting;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>docs/architecture.md names what is there.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly string Page = RepositoryRoot.Read("docs/architecture.md");

    [Fact]
    public void Every_file_and_folder_that_it_names_is_there()
    {
        var paths = Code().Matches(Page).Select(code => code.Groups["text"].Value).Where(text => Location().IsMatch(text)).ToList();
        Assert.InRange(paths.Count, 50, 500);
        Assert.All(paths.Distinct(), path => Assert.True(Path.Exists(RepositoryRoot.Find(path)), path));
    }

    [Fact]
    public void Every_method_that_it_names_is_there()
    {
        var methods = Code().Matches(Page).Select(code => Method().Match(code.Groups["text"].Value)).Where(match => match.Success).ToList();
        Assert.InRange(methods.Count, 15, 200);

        var known = new[] { typeof(Permit).Assembly, typeof(ProxyHost).Assembly }
            .SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
                .Select(method => $"{type.Name}.{method.Name}"))
            .ToHashSet();
        Assert.Empty(methods.Select(match => match.Value).Except(known));
    }

    /// <summary>The picture has every wing and every room, and no other.</summary>
    [Fact]
    public void The_picture_shows_the_folders_of_the_sources()
    {
        var picture = Page.Split("```")[1];
        var proxy = RepositoryRoot.Find("src/ImageAccess.Proxy");
        var wings = FoldersOf(proxy).ToList();
        var rooms = wings.SelectMany(wing => FoldersOf(Path.Combine(proxy, wing))).Concat(FoldersOf(RepositoryRoot.Find("src/ImageAccess.Core"))).ToList();
        Assert.All(wings.Concat(rooms), folder => Assert.Matches($@"\b{folder}\b", picture));
    }

    [Fact]
    public void It_says_where_to_begin_with_ten_kinds_of_change() => Assert.Equal(10, Changes().Count(Page));

    private static IEnumerable<string> FoldersOf(string folder) =>
        Directory.GetDirectories(folder).Select(path => Path.GetFileName(path)).Where(name => name is not ("bin" or "obj" or "Properties" or "wwwroot"));

    [GeneratedRegex("`(?<text>[^`\n]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"^(src|tests|docs|deploy)/\S+$|^[A-Za-z-]+(\.[A-Za-z-]+)*\.md$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Location();

    [GeneratedRegex(@"^[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Method();

    [GeneratedRegex("^### ", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Changes();
}
