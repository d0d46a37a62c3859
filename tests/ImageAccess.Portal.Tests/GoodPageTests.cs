using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>What looks at every page finds what is wrong with one.</summary>
[Collection(nameof(Chromium))]
public sealed class GoodPageTests(Chromium chromium)
{
    private const string Good =
        """
        <!DOCTYPE html>
        <html lang="en">
        <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A page</title>
        <style>p { color: #333 } @media (prefers-color-scheme: dark) { body { background: #111 } h1, p, label { color: #eee } }</style></head>
        <body><main><h1>A page</h1><p>with a text</p><label for="reason">Reason</label> <input id="reason"></main></body>
        </html>

        """;

    private static readonly Uri Site = new("http://site.example/");

    [Fact]
    public async Task Nothing_is_said_of_a_page_without_a_fault() => Assert.Empty(await FaultsAsync(Good, new View()));

    [Fact]
    public async Task Every_fault_is_found()
    {
        (string Former, string Present, string Fault)[] all =
        [
            ("<h1>A page", "<h1 id=\"reason\">A page", ": error [no-dup-id] Duplicate ID \"reason\""),
            ("<p>with a text</p>", "<ul><p>with a text</p></ul>", "[element-permitted-content] <p> element is not permitted as content under <ul>"),
            ("<label for=\"reason\">Reason</label>", "", "axe: label (critical): Form elements must have labels: input: <input id=\"reason\">"),
            ("color: #333", "color: #bbb", "axe: color-contrast (serious)"),
            ("</main>", $"</main>{string.Concat(Enumerable.Repeat("word ", GoodPage.MaximumBytes / 5))}", "its HTML has 102"),
            ("lang=\"en\"", "lang=\"zh-CN\"", "its language is zh-CN"),
            ("#bbb", "#bbb; width: 1400px", "it is 1448 pixels wide: people have to scroll sideways"),
            ("a text", "a text<img src=\"http://elsewhere.example/x.png\" alt=\"x\">", "it asks others: GET http://elsewhere.example/x.png"),
            ("</main>", "</main><script>throw new Error(\"the canary\")</script>", "http://site.example/: Error: the canary"),
        ];
        var html = all.Aggregate(Good, (page, each) => page.Replace(each.Former, each.Present, StringComparison.Ordinal));
        var faults = await FaultsAsync(html, new View());
        Assert.All(all, each => Assert.True(faults.Any(fault => fault.Contains(each.Fault, StringComparison.Ordinal)), $"{each.Fault} is not among\n{string.Join('\n', faults)}"));
    }

    [Fact]
    public async Task What_is_seen_in_the_dark_alone_is_found_there()
    {
        var html = Good.Replace("#eee", "#333", StringComparison.Ordinal);
        Assert.Empty(await FaultsAsync(html, new View()));
        Assert.Contains(await FaultsAsync(html, new View { Colours = ColorScheme.Dark }), fault => fault.StartsWith("axe: color-contrast", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_script_none_of_the_page_runs()
    {
        var html = Good.Replace("</main>", "</main><script>throw new Error(\"the canary\")</script>", StringComparison.Ordinal);
        Assert.Empty(await FaultsAsync(html, new View { Script = false }));
        var faults = await FaultsAsync(html.Replace("<p>", "<p id=\"reason\">", StringComparison.Ordinal), new View { Script = false });
        Assert.Contains(faults, fault => fault.Contains("no-dup-id", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(View.Pairwise), MemberType = typeof(View))]
    public async Task A_page_is_seen_as_its_view_says(View view)
    {
        await using var visit = await StartAsync(Good, view);
        var response = await visit.OpenAsync("/");
        Assert.StartsWith(view.Language, await response.Request.HeaderValueAsync("Accept-Language").WaitAsync(Chromium.Limit), StringComparison.Ordinal);
        Assert.Equal(view.Width, await visit.AskAsync<int>("innerWidth"));
        Assert.Equal(view.Colours == ColorScheme.Dark, await visit.AskAsync<bool>("matchMedia('(prefers-color-scheme: dark)').matches"));
    }

    [Fact]
    public async Task A_picture_is_the_whole_page_under_the_name_of_its_view()
    {
        await using var visit = await StartAsync(Good.Replace("#333", "#333; height: 2000px", StringComparison.Ordinal), new View { Width = View.Phone });
        await visit.OpenAsync("/");
        var file = await Pictures.SaveAsync(visit, "made-up");
        Assert.EndsWith("/TestResults/pictures/made-up-390-light-en-US.png", file, StringComparison.Ordinal);
        var head = new byte[24];
        using (var picture = File.OpenRead(file))
            await picture.ReadExactlyAsync(head);
        Assert.Equal(View.Phone, System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(16)));
        Assert.InRange(System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(20)), 2000, 2500);
        File.Delete(file);
    }

    private async Task<IReadOnlyList<string>> FaultsAsync(string html, View view)
    {
        await using var visit = await StartAsync(html, view);
        return await GoodPage.FaultsAsync(visit, await visit.OpenAsync("/"));
    }

    /// <summary>Every address of the site is this page.</summary>
    private async Task<Visit> StartAsync(string html, View view)
    {
        var visit = await Visit.StartAsync(chromium.Browser, Site, view);
        await visit.Page.RouteAsync(
            address => address.StartsWith(Site.AbsoluteUri, StringComparison.Ordinal),
            route => route.FulfillAsync(new RouteFulfillOptions { Body = html, ContentType = "text/html; charset=utf-8" })).WaitAsync(Chromium.Limit);
        return visit;
    }
}
