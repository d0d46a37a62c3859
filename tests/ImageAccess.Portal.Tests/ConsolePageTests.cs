using System.Text.Json;
using Microsoft.Playwright;

namespace ImageAccess.Portal.Tests;

/// <summary>The console as members and owners use it: they sign in, look, ask and answer.</summary>
[Collection(nameof(Chromium))]
public sealed class ConsolePageTests(Chromium chromium, ConsolePageTests.Room room) : IClassFixture<ConsolePageTests.Room>
{
    /// <summary>The longest name that Docker Hub could have, which no page may break at.</summary>
    private static readonly string LongRepository = $"{new string('n', 30)}/{string.Join('-', Enumerable.Repeat("component", 22))}";

    [Theory]
    [MemberData(nameof(View.Pairwise), MemberType = typeof(View))]
    public async Task Signing_in_is_good_in_every_view_also_when_it_is_refused(View view)
    {
        await using var visit = await room.VisitAsync(chromium, view);
        await GoodPage.AssertAsync(visit, await visit.OpenAsync("/sign-in"), "sign-in");
        await SignInAsync(visit, "alice", "wrong");
        Assert.Equal(1, await visit.Page.GetByRole(AriaRole.Alert).CountAsync().WaitAsync(Chromium.Limit));
        await Pictures.SaveAsync(visit, "sign-in-refused");
    }

    [Theory]
    [MemberData(nameof(View.Pairwise), MemberType = typeof(View))]
    public async Task The_pages_of_an_owner_are_good_in_every_view(View view)
    {
        var request = await room.AskAsync(LongRepository, "我们的构建需要这个镜像，因为上游没有提供其他版本。 We need it for the nightly build, and there is no other version upstream.");
        await using var visit = await room.VisitAsync(chromium, view);
        await visit.OpenAsync("/sign-in");
        await SignInAsync(visit, "alice");
        foreach (var (path, name) in new[] { ("/", "overview"), ("/o/acme/image-access", "image-access"), ("/o/acme/image-access/draft?mode=observe&until=2999-01-31&official=on&community=on", "draft"), ("/requests", "requests"), ($"/requests/{request}", "request"), ($"/d/{await room.Api.DenyAsync("bob")}", "denial-owner") })
            await GoodPage.AssertAsync(visit, await visit.OpenAsync(path), name);
    }

    /// <summary>The same with the browser's script switched off.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_denial_leads_in_two_clicks_to_a_request_and_an_owner_approves_it(bool script)
    {
        var id = await room.Api.AddAsync(room.Api.NewDenial("bob") with { Repository = $"someuser/tool-{(script ? "a" : "b")}" });
        await using var member = await room.VisitAsync(chromium, new View { Script = script });
        await member.OpenAsync($"/d/{id}");
        await member.Page.GetByRole(AriaRole.Link, new() { Name = "Sign in and ask for access" }).ClickAsync();
        await SignInAsync(member, "bob");
        Assert.EndsWith($"/d/{id}", member.Page.Url, StringComparison.Ordinal);
        await member.Page.GetByLabel("What do you need it for?").FillAsync("for the nightly build");
        await member.Page.GetByRole(AriaRole.Button, new() { Name = "Ask for access" }).ClickAsync();
        Assert.Contains("/requests/", member.Page.Url, StringComparison.Ordinal);

        await using var owner = await room.VisitAsync(chromium, new View { Script = script });
        await owner.OpenAsync(new Uri(member.Page.Url).AbsolutePath);
        await SignInAsync(owner, "alice");
        await owner.Page.GetByLabel("Comment").FillAsync("fine");
        await owner.Page.GetByRole(AriaRole.Button, new() { Name = "Approve" }).ClickAsync();
        Assert.Contains("approved", await owner.TextAsync(), StringComparison.Ordinal);

        await member.Page.ReloadAsync();
        Assert.Contains("Answered by alice", await member.TextAsync(), StringComparison.Ordinal);
    }

    /// <summary>By the keyboard alone: the link over the navigation, then the fields in their order.</summary>
    [Fact]
    public async Task Signing_in_needs_no_mouse()
    {
        await using var visit = await room.VisitAsync(chromium);
        await visit.OpenAsync("/sign-in");
        await visit.Page.Keyboard.PressAsync("Tab");
        Assert.Equal("#main", await visit.AskAsync<string>("document.activeElement.getAttribute('href')"));
        for (var i = 0; i < 10 && await visit.AskAsync<string>("document.activeElement.id") != "user"; i++)
            await visit.Page.Keyboard.PressAsync("Tab");
        await visit.Page.Keyboard.TypeAsync("bob");
        await visit.Page.Keyboard.PressAsync("Tab");
        await visit.Page.Keyboard.TypeAsync("dckr_pat_bob");
        await visit.Page.Keyboard.PressAsync("Enter");
        await visit.Page.WaitForURLAsync(room.Site.AbsoluteUri);
        Assert.Contains("acme", await visit.TextAsync(), StringComparison.Ordinal);
    }

    private static async Task SignInAsync(Visit visit, string user, string? token = null)
    {
        await visit.Page.Locator("#user").FillAsync(user);
        await visit.Page.Locator("#token").FillAsync(token ?? $"dckr_pat_{user}");
        await visit.Page.Locator("button.main").ClickAsync();
    }

    public sealed class Room : PortalRoom
    {
        private long? _request;

        /// <summary>One request for all who look at it.</summary>
        public async Task<long> AskAsync(string repository, string reason) => _request ??= await AddAsync(repository, reason);

        private async Task<long> AddAsync(string repository, string reason)
        {
            var token = await Api.TokenAsync("member", person: "bob");
            var answer = await Api.SendAsync("POST", "/api/v1/requests", token, JsonSerializer.Serialize(new { image = repository, reason, days = 30 }));
            Assert.Equal(201, answer.Status);
            return answer.Json.GetProperty("id").GetInt64();
        }
    }
}
