using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.Extensions.Configuration;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>What the pages say is what the program does.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages => [.. MarkdownFiles().Select(file => Path.GetRelativePath(RepositoryRoot.Find(), file))];

    [Fact]
    public void Every_setting_is_documented_and_no_other()
    {
        var documented = SettingRows().Matches(RepositoryRoot.Read("docs/operation.md"))
            .SelectMany(row => Code().Matches(row.Groups["cell"].Value))
            .Select(code => code.Groups["text"].Value);
        Assert.Equal(ConfigurationKey.All.Select(key => key.Name).Order(), documented.Order());
    }

    [Fact]
    public void Every_rule_is_documented()
    {
        var rules = typeof(PolicyRule).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (string)field.GetRawConstantValue()!);
        var page = RepositoryRoot.Read("docs/policy.md");
        Assert.All(rules, rule => Assert.Contains($"`{rule}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_metric_is_documented()
    {
        var metrics = Directory.GetFiles(RepositoryRoot.Find("src/ImageAccess.Proxy"), "*Metrics.cs", SearchOption.AllDirectories)
            .SelectMany(file => Metrics().Matches(File.ReadAllText(file)).Select(name => name.Groups["name"].Value))
            .ToList();
        Assert.InRange(metrics.Count, 20, 200);
        var page = RepositoryRoot.Read("docs/operation.md");
        Assert.All(metrics, metric => Assert.True( // Prometheus has no dots; a span has
            page.Contains($"`{metric.Replace('.', '_')}", StringComparison.Ordinal) || page.Contains($"`{metric}`", StringComparison.Ordinal), metric));
    }

    [Fact]
    public void Every_field_of_the_audit_is_documented()
    {
        var fields = Fields().Matches(RepositoryRoot.Read("src/ImageAccess.Proxy/Foundation/Audit/AuditLine.cs"))
            .Select(name => name.Groups["name"].Value)
            .ToList();
        Assert.InRange(fields.Count, 20, 200);
        var page = RepositoryRoot.Read("docs/operation.md") + RepositoryRoot.Read("docs/cache.md");
        Assert.All(fields, field => Assert.Contains($"`{field}`", page, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/policy.md")]
    public void A_policy_that_a_page_shows_is_one(string page)
    {
        var samples = JsonBlocks().Matches(RepositoryRoot.Read(page)).Select(block => block.Groups["json"].Value).ToList();
        Assert.NotEmpty(samples);
        Assert.All(samples, AssertCompiles);
    }

    [Theory]
    [InlineData("deploy/demo/policy.json")]
    [InlineData("deploy/compose/policy/policy.json")]
    public void A_recipes_policy_is_one(string policy) => AssertCompiles(RepositoryRoot.Read(policy));

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_somewhere(string page)
    {
        var folder = Path.GetDirectoryName(RepositoryRoot.Find(page))!;
        var targets = Links().Matches(RepositoryRoot.Read(page)).Select(link => link.Groups["target"].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith('#'));
        Assert.All(targets, target => Assert.True(Path.Exists(Path.Combine(folder, target.Split('#')[0])), $"{page} links to {target}"));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_to_headings(string page)
    {
        var folder = Path.GetDirectoryName(RepositoryRoot.Find(page))!;
        var targets = Links().Matches(RepositoryRoot.Read(page)).Select(link => link.Groups["target"].Value.Split('#'))
            .Where(target => target.Length == 2 && !target[0].Contains("://", StringComparison.Ordinal));
        Assert.All(targets, target =>
        {
            var file = target[0].Length == 0 ? RepositoryRoot.Find(page) : Path.Combine(folder, target[0]);
            Assert.Contains(target[1], File.ReadLines(file).Where(line => line.StartsWith('#')).Select(AnchorOf));
        });
    }

    [Fact]
    public void The_Dockerfile_copies_what_is_there()
    {
        var sources = RepositoryRoot.Read("Dockerfile").Split('\n')
            .Where(line => line.StartsWith("COPY ", StringComparison.Ordinal) && !line.Contains("--from", StringComparison.Ordinal))
            .SelectMany(line => line.Split(' ')[1..^1])
            .ToList();
        Assert.NotEmpty(sources);
        Assert.All(sources, source => Assert.True(Path.Exists(RepositoryRoot.Find(source)), source));
    }

    /// <summary>A misspelt key would stop the start of whoever follows a recipe.</summary>
    [Fact]
    public void The_recipes_set_what_there_is()
    {
        var service = new ConfigurationBuilder()
            .AddJsonFile(RepositoryRoot.Find("deploy/systemd/imageaccess.json")).Build().AsEnumerable().Where(pair => pair.Value is not null).Select(pair => pair.Key);
        var compose = Variables().Matches(RepositoryRoot.Read("deploy/compose/compose.yaml") + RepositoryRoot.Read("Dockerfile"))
            .Select(match => match.Groups["key"].Value.Replace("__", ":", StringComparison.Ordinal));
        string[] keys = [.. service, .. compose];
        Assert.InRange(keys.Length, 8, 100);
        Assert.All(keys, key => Assert.Contains(ConfigurationKey.All, known => known.Covers(key)));
    }

    /// <summary>As it is made of a heading: small letters, no punctuation, a hyphen for each space.</summary>
    private static string AnchorOf(string heading) =>
        string.Concat(heading.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')).Replace(' ', '-');

    private static void AssertCompiles(string json)
    {
        PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(json), out _, out var problems);
        Assert.Empty(problems);
    }

    private static IEnumerable<string> MarkdownFiles() => new[] { "", "docs", "deploy" }
        .SelectMany(folder => Directory.GetFiles(
            RepositoryRoot.Find(folder), "*.md", folder.Length == 0 ? SearchOption.TopDirectoryOnly : SearchOption.AllDirectories));

    [GeneratedRegex(@"^\| (?<cell>`[A-Z][A-Za-z]+(:[A-Za-z]+)*`[^|]*) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SettingRows();

    [GeneratedRegex(@"""(?<name>imageaccess\.[a-z_.]+)""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Metrics();

    [GeneratedRegex(@"""(?<name>[A-Za-z]+)""u8", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fields();

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    [GeneratedRegex("IMAGEACCESS_(?<key>[A-Za-z_]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variables();

    [GeneratedRegex("```json\n(?<json>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex JsonBlocks();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Links();
}
