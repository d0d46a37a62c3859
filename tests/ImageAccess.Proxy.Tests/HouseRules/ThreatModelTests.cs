using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Each promise of docs/threat-model.md is held by a test, and the test is there.</summary>
public sealed partial class ThreatModelTests
{
    [Fact]
    public void Each_promise_names_tests_that_exist()
    {
        var page = RepositoryRoot.Read("docs/threat-model.md");
        var promised = page[page.IndexOf("\n## What is promised\n", StringComparison.Ordinal)..page.IndexOf("\n## What is not promised\n", StringComparison.Ordinal)];
        var promises = Promises().Matches(promised).Where(row => row.Groups["tests"].Value.Trim() is not ("test" or "---")).ToList();
        Assert.InRange(promises.Count, 25, 200);

        var known = Directory.GetFiles(RepositoryRoot.Find("tests"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Tests().Matches(File.ReadAllText(file)).Select(test => $"{Path.GetFileNameWithoutExtension(file)}.{test.Groups["name"].Value}"))
            .ToHashSet();
        Assert.All(promises, promise =>
        {
            var named = Code().Matches(promise.Groups["tests"].Value).Select(code => code.Groups["text"].Value).ToList();
            Assert.True(named.Count > 0, $"no test holds: {promise.Groups["promise"].Value}");
            Assert.Empty(named.Except(known));
        });
    }

    /// <summary>Rows of the part that promises: the first column says what, the last one has the tests.</summary>
    [GeneratedRegex(@"^\| ?(?<promise>[^|\n]+)\|([^|\n]*\|)*(?<tests>[^|\n]+)\|$", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Promises();

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    /// <summary>A file has the name of its class.</summary>
    [GeneratedRegex(@"\[\w*(Fact|Theory|Property)\b[^\n]*\n(\s*(\[|//)[^\n]*\n)*\s*public [^\n(]*?\b(?<name>\w+)\(", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Tests();
}
