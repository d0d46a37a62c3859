namespace ImageAccess.Portal.Tests;

/// <summary>The page that a denied pull leads to, as whoever follows the link sees it.</summary>
[Collection(nameof(Chromium))]
public sealed class DenialPageTests(Chromium chromium, PortalRoom room) : IClassFixture<PortalRoom>
{
    [Theory]
    [MemberData(nameof(View.Pairwise), MemberType = typeof(View))]
    public async Task It_tells_the_sentence_and_the_image_to_everybody_and_no_more(View view)
    {
        var id = await room.Api.DenyAsync("bob");
        await using var visit = await room.VisitAsync(chromium, view);
        var response = await visit.OpenAsync($"/d/{id}");
        Assert.Equal(200, response.Status);
        await GoodPage.AssertAsync(visit, response, "denial");

        var text = await visit.TextAsync();
        Assert.Contains("image access denied: community images not allowed", text, StringComparison.Ordinal);
        Assert.Contains("someuser/tool:latest", text, StringComparison.Ordinal);
        Assert.DoesNotContain("bob", text, StringComparison.Ordinal);
        Assert.DoesNotContain("192.0.2.7", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_needs_no_script()
    {
        var id = await room.Api.DenyAsync("bob");
        await using var visit = await room.VisitAsync(chromium, new View { Script = false });
        Assert.Equal(200, (await visit.OpenAsync($"/d/{id}")).Status);
        Assert.Contains("someuser/tool:latest", await visit.TextAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_not_known_is_not_found()
    {
        await using var visit = await room.VisitAsync(chromium);
        var response = await visit.OpenAsync("/d/0123456789abcdef0123456789abcdef");
        Assert.Equal(404, response.Status);
        Assert.Contains("0123456789abcdef0123456789abcdef", await visit.TextAsync(), StringComparison.Ordinal);
        Assert.Empty(visit.Elsewhere);
        await Pictures.SaveAsync(visit, "not-found");
    }

    [Fact]
    public async Task Markup_in_what_it_shows_is_text()
    {
        const string Canary = "<img id=\"canary\" src=\"http://elsewhere.example/x.png\"><script>document.title = 'canary'</script>";
        var id = await room.Api.AddAsync(room.Api.NewDenial("bob") with { Message = $"image access denied ({Canary})" });
        await using var visit = await room.VisitAsync(chromium);
        await visit.OpenAsync($"/d/{id}");
        Assert.Contains(Canary, await visit.TextAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await visit.Page.Locator("#canary").CountAsync().WaitAsync(Chromium.Limit));
        Assert.NotEqual("canary", await visit.Page.TitleAsync().WaitAsync(Chromium.Limit));
        Assert.Empty(visit.Elsewhere);
    }
}
