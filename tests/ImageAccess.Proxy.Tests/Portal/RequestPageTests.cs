using System.Net;
using ImageAccess.Proxy.Tests.Administration.Api;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>From the page of a denial to access: the member asks, an owner answers, by pages alone.</summary>
public sealed class RequestPageTests : IAsyncLifetime
{
    private const string Canary = "<b onmouseover=alert(1)>'; DROP TABLE x; --";

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.ImportAsync(ApiRoom.Policy);
        _room.Here.Hub.Users.Add("gail", "gails-password", "dckr_pat_gail");
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_member_asks_from_the_page_of_a_denial_and_an_owner_approves()
    {
        var (bob, alice) = (new Browser(_room), new Browser(_room));
        var id = await _room.DenyAsync("bob");
        await bob.SignInAsync("bob");
        await alice.SignInAsync("alice");

        var asked = await bob.PostAsync($"/d/{id}", $"/d/{id}/request", ("reason", $" {Canary}\r\nand more "), ("days", "9"));
        Assert.Equal(HttpStatusCode.SeeOther, asked.Status);
        Assert.StartsWith("../../requests/", asked.Location!, StringComparison.Ordinal);
        var request = asked.Location![5..];
        var own = await bob.GetAsync(request);
        Assert.Contains($"<p>{Canary} and more</p>", own.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("<b onmouseover", own.Source, StringComparison.Ordinal);
        Assert.Contains("9 days", own.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("/approve", own.Html, StringComparison.Ordinal);

        Assert.Contains("<code>someuser/tool:latest</code>", (await alice.GetAsync("/requests")).Html, StringComparison.Ordinal);
        var approved = await alice.PostAsync(request, $"{request}/approve", ("organization", "acme"), ("days", "4"), ("digest", ""), ("comment", "fine"));
        Assert.Equal(HttpStatusCode.SeeOther, approved.Status);
        var seen = await bob.GetAsync(request);
        Assert.Contains("<span class=\"badge good\">approved</span>", seen.Html, StringComparison.Ordinal);
        Assert.Contains("Answered by alice", seen.Html, StringComparison.Ordinal);
        Assert.Contains("fine", seen.Html, StringComparison.Ordinal);

        await Eventually.TrueAsync(async () =>
            (await _room.SendAsync("GET", "/api/v1/images/someuser/tool:latest?as=bob", await _room.TokenAsync("owner"))).Json.GetProperty("image").GetProperty("verdict").GetString() == "allow");
    }

    [Fact]
    public async Task An_owner_declines_with_a_comment_and_not_without()
    {
        var (bob, alice) = (new Browser(_room), new Browser(_room));
        var id = await _room.DenyAsync("bob");
        await bob.SignInAsync("bob");
        await alice.SignInAsync("alice");
        var request = (await bob.PostAsync($"/d/{id}", $"/d/{id}/request", ("reason", "because"), ("days", "9"))).Location![5..];

        var silent = await alice.PostAsync(request, $"{request}/decline", ("organization", "acme"), ("comment", " "));
        Assert.Equal(HttpStatusCode.BadRequest, silent.Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await alice.PostAsync(request, $"{request}/decline", ("organization", "acme"), ("comment", "use the official one"))).Status);
        Assert.Contains("use the official one", (await bob.GetAsync(request)).Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bob", HttpStatusCode.Forbidden)] // who asks does not answer
    [InlineData("gail", HttpStatusCode.NotFound)] // of another organization
    public async Task Nobody_else_answers(string user, HttpStatusCode status)
    {
        var (bob, other) = (new Browser(_room), new Browser(_room));
        var id = await _room.DenyAsync("bob");
        await bob.SignInAsync("bob");
        await other.SignInAsync(user);
        var request = (await bob.PostAsync($"/d/{id}", $"/d/{id}/request", ("reason", "because"), ("days", "9"))).Location![5..];

        var refused = await other.PostAsync("/", $"{request}/approve", ("organization", "acme"), ("days", "4"));
        Assert.Equal(status, refused.Status);
        Assert.Contains("<span class=\"badge warning\">open</span>", (await bob.GetAsync(request)).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_asked_withdraws()
    {
        var bob = new Browser(_room);
        var id = await _room.DenyAsync("bob");
        await bob.SignInAsync("bob");
        var request = (await bob.PostAsync($"/d/{id}", $"/d/{id}/request", ("reason", "because"), ("days", "9"))).Location![5..];
        Assert.Equal(HttpStatusCode.SeeOther, (await bob.PostAsync(request, $"{request}/withdraw")).Status);
        Assert.Contains("withdrawn", (await bob.GetAsync(request)).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_is_not_signed_in_any_more_is_told_so_and_nothing_is_done()
    {
        var (bob, nobody) = (new Browser(_room), new Browser(_room));
        var id = await _room.DenyAsync("bob");
        await bob.SignInAsync("bob");
        var token = Browser.FormToken(await bob.GetAsync($"/d/{id}"));
        var refused = await nobody.PostAsync($"/d/{id}/request", ("form", token), ("reason", "because"), ("days", "9"));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.Contains("class=\"empty\"", (await bob.GetAsync("/requests")).Html, StringComparison.Ordinal);
    }
}
