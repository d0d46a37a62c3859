using System.Reflection;
using System.Text.RegularExpressions;
using ImageAccess.Proxy.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>Who reads a warning or an error in the log finds in docs/troubleshooting.md what to do.</summary>
public sealed partial class LogLineTests
{
    private const BindingFlags Declared =
        BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Lines that say themselves what to do; the values of the first three are whole sentences that do.</summary>
    private static readonly string[] Complete =
    [
        "{Problem}",
        "{Problem}; trying again every minute",
        "{Ending}",
        "A request of this proxy came back to it, because a name of Docker Hub leads to the proxy; set Upstream:Addresses to Docker Hub's own addresses",
    ];

    [Fact]
    public void Each_warning_and_error_is_in_the_page_or_says_itself_what_to_do()
    {
        var missing = Written().Except(Explained()).Except(Complete).ToList();
        Assert.True(missing.Count == 0, $"docs/troubleshooting.md has no row for:\n{string.Join('\n', missing.Select(line => $"| `{line}` | | |"))}");
    }

    [Fact]
    public void The_page_explains_no_line_that_nobody_writes()
    {
        var gone = Explained().Concat(Complete).Except(Written()).ToList();
        Assert.True(gone.Count == 0, $"no code writes:\n{string.Join('\n', gone)}");
    }

    private static List<string> Written()
    {
        var lines = typeof(ProxyHost).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(Declared))
            .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>())
            .Where(line => line is { Level: >= LogLevel.Warning })
            .Select(line => line!.Message)
            .ToList();
        Assert.InRange(lines.Count, 30, 300);
        return lines;
    }

    /// <summary>The first cell of each row below the heading "Log lines".</summary>
    private static List<string> Explained()
    {
        var page = RepositoryRoot.Read("docs/troubleshooting.md");
        var rows = Rows().Matches(page[page.IndexOf("\n## Log lines\n", StringComparison.Ordinal)..]).Select(row => row.Groups["line"].Value).ToList();
        Assert.NotEmpty(rows);
        return rows;
    }

    [GeneratedRegex(@"^\| `(?<line>[^`]+)` \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Rows();
}
