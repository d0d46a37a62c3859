using ImageAccess.Proxy.Tests.HouseRules;
using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>A picture of each page, for people to look at: <c>TestResults/pictures/denial-390-dark-zh-CN.png</c> in this project's folder.</summary>
internal static class Pictures
{
    public static string Folder => RepositoryRoot.Find("tests/ImageAccess.Portal.Tests/TestResults/pictures");

    /// <summary>The whole page, however long, as it looks now; the file.</summary>
    public static async Task<string> SaveAsync(Visit visit, string name)
    {
        var file = Path.Combine(Folder, $"{name}-{visit.View}.png");
        await visit.Page.ScreenshotAsync(new PageScreenshotOptions
        {
            Path = file,
            FullPage = true,
            Animations = ScreenshotAnimations.Disabled,
            Timeout = (float)Chromium.Limit.TotalMilliseconds,
        });
        return file;
    }
}
