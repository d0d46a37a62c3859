using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>What on a page keeps people from it who see, read or move in other ways: WCAG 2.2 AA, and good practice.</summary>
internal static class Axe
{
    private static readonly AxeRunOptions Options = new()
    {
        RunOnly = new RunOnlyOptions { Type = "tag", Values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
    };

    /// <summary>One for each node that breaks a rule.</summary>
    public static async Task<IReadOnlyList<string>> FaultsAsync(Visit visit)
    {
        var result = await visit.Page.RunAxe(Options).WaitAsync(Chromium.Limit);
        Assert.NotEmpty(result.Passes); // else it has looked at nothing
        return [.. result.Violations.SelectMany(violation => violation.Nodes.Select(node => Describe(violation, node)))];
    }

    private static string Describe(AxeResultItem violation, AxeResultNode node) =>
        $"axe: {violation.Id} ({violation.Impact}): {violation.Help}: {node.Target}: {node.Html}"
        + string.Concat(node.Any.Concat(node.All).Concat(node.None).Select(check => $"\n  {check.Message}"));
}
