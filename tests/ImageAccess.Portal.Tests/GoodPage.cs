using System.Globalization;
using System.Text;
using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>What holds for every page of the console, whoever looks at it and however.</summary>
internal static class GoodPage
{
    public const int MaximumBytes = 100 * 1024;

    /// <summary>Saves its picture, and says all that is wrong with it.</summary>
    /// <param name="visit">Where it is open.</param>
    /// <param name="response">As it came.</param>
    /// <param name="name">The picture's.</param>
    public static async Task AssertAsync(Visit visit, IResponse response, string name)
    {
        await Pictures.SaveAsync(visit, name);
        var faults = await FaultsAsync(visit, response);
        Assert.True(faults.Count == 0, $"{visit.Page.Url} at {visit.View}:\n{string.Join('\n', faults)}");
    }

    public static async Task<IReadOnlyList<string>> FaultsAsync(Visit visit, IResponse response)
    {
        var html = await response.TextAsync().WaitAsync(Chromium.Limit);
        List<string> faults = visit.View.Width == View.Desktop ? [.. await ValidHtml.FaultsAsync(html)] : []; // what is sent depends on no width
        if (visit.View.Script) // axe is a script, and waits in the page
            faults.AddRange(await Axe.FaultsAsync(visit));
        if (Encoding.UTF8.GetByteCount(html) is > MaximumBytes and var bytes)
            faults.Add(string.Create(CultureInfo.InvariantCulture, $"its HTML has {bytes} bytes, more than {MaximumBytes}"));
        if (await visit.AskAsync<string>("document.documentElement.lang") is var language && !visit.View.Language.StartsWith(language, StringComparison.Ordinal))
            faults.Add($"its language is {language}");
        if (await visit.AskAsync<int>("document.documentElement.scrollWidth") is var width && width > visit.View.Width)
            faults.Add(string.Create(CultureInfo.InvariantCulture, $"it is {width} pixels wide: people have to scroll sideways"));
        return [.. faults, .. visit.Elsewhere.Select(request => $"it asks others: {request}"), .. visit.Errors];
    }
}
