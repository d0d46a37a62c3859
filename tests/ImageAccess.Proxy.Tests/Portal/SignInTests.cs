using System.Net;
using System.Text;
using ImageAccess.Proxy.Portal.SignIn;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>Signing in by a browser: who gets in, what a session is worth, and what ends it.</summary>
public sealed class SignInTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    private const string Session = "__Host-session";

    [Fact]
    public async Task Docker_Hub_credentials_sign_in_and_lead_back_to_where_one_came_from()
    {
        var browser = new Browser(room);
        var sent = await browser.GetAsync("/requests?before=7");
        Assert.Equal((HttpStatusCode.SeeOther, "./sign-in?to=requests%3Fbefore%3D7"), (sent.Status, sent.Location));

        var signedIn = await browser.SignInAsync("alice", to: "requests?before=7");
        Assert.Equal((HttpStatusCode.SeeOther, "./requests?before=7"), (signedIn.Status, signedIn.Location));
        Assert.Matches("^__Host-session=[A-Za-z0-9_-]{43}; path=/; secure; samesite=lax; httponly$", signedIn.Header("Set-Cookie"));

        var home = await browser.GetAsync("/");
        Assert.Contains("<span>alice</span>", home.Html, StringComparison.Ordinal);
        Assert.Contains("acme", home.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("globex", home.Html, StringComparison.Ordinal);
        Assert.DoesNotContain(room.Here.Log.All, line => line.Contains("dckr_pat", StringComparison.Ordinal) || line.Contains(browser.Cookies[Session], StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_database_has_neither_the_token_nor_the_secret_of_the_session()
    {
        var browser = new Browser(room);
        await browser.SignInAsync("bob");
        var rows = await room.Database.ReadAsync(context => context.SignIns.ToListAsync(), default);
        Assert.Contains(rows, row => row.Person == "bob");
        Assert.DoesNotContain(rows, row => Encoding.Latin1.GetString(row.Hash).Contains(browser.Cookies[Session], StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("alice", "wrong")]
    [InlineData("nobody", "dckr_pat_alice")]
    [InlineData("acme", "dckr_oat_acme")]
    [InlineData("", "x")]
    [InlineData("alice", "")]
    [InlineData("al\u202eice", "x")]
    public async Task One_text_refuses_whatever_is_wrong(string user, string token)
    {
        var browser = new Browser(room);
        var refused = await browser.SignInAsync(user, token);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.Contains("That did not work: the user name or the access token is not right.", refused.Html, StringComparison.Ordinal);
        Assert.DoesNotContain(Session, browser.Cookies.Keys);
        if (token.Length > 1)
            Assert.DoesNotContain(token, refused.Html, StringComparison.Ordinal);
    }

    /// <summary>It would be told to Docker Hub.</summary>
    [Fact]
    public async Task A_token_of_the_API_is_asked_of_nobody()
    {
        var (browser, token) = (new Browser(room), await room.TokenAsync("owner"));
        var page = await browser.GetAsync("/sign-in");
        room.Here.Hub.Requests.Clear();
        var refused = await browser.PostAsync("/sign-in", ("form", Browser.FormToken(page)), ("user", "alice"), ("token", token));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.Empty(room.Here.Hub.Requests.All);
    }

    [Fact]
    public async Task Guessing_ends_and_is_told()
    {
        var browser = new Browser(room);
        var last = HttpStatusCode.OK;
        for (var i = 0; i < 12; i++)
            last = (await browser.SignInAsync("carol", $"guess{i}")).Status;
        Assert.Equal(HttpStatusCode.TooManyRequests, last);
        var page = await browser.SignInAsync("carol", "guess");
        Assert.Contains("<h1>Too many requests</h1>", page.Html, StringComparison.Ordinal);
        Assert.NotEmpty(page.Header("Retry-After"));
        Assert.Equal(HttpStatusCode.SeeOther, (await new Browser(room).SignInAsync("carol")).Status);
    }

    [Fact]
    public async Task Signing_out_ends_the_session_and_not_that_of_another_browser()
    {
        var (one, other) = (new Browser(room), new Browser(room));
        await one.SignInAsync("alice");
        await other.SignInAsync("alice");
        var stolen = new Browser(room);
        stolen.Take(Session, one.Cookies[Session]);

        var left = await one.PostAsync("/", "/sign-out");
        Assert.Equal((HttpStatusCode.SeeOther, "./sign-in"), (left.Status, left.Location));
        Assert.DoesNotContain(Session, one.Cookies.Keys);
        Assert.Equal(HttpStatusCode.SeeOther, (await stolen.GetAsync("/")).Status);
        Assert.Equal(HttpStatusCode.OK, (await other.GetAsync("/")).Status);
    }

    [Fact]
    public async Task Signing_out_everywhere_ends_all_sessions_of_the_person_alone()
    {
        var (one, other, bob) = (new Browser(room), new Browser(room), new Browser(room));
        await one.SignInAsync("carol");
        await other.SignInAsync("carol");
        await bob.SignInAsync("bob");
        Assert.Equal(HttpStatusCode.SeeOther, (await one.PostAsync("/", "/sign-out/everywhere")).Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await other.GetAsync("/")).Status);
        Assert.Equal(HttpStatusCode.OK, (await bob.GetAsync("/")).Status);
    }

    /// <summary>Each part of the defence is taken away in turn.</summary>
    [Fact]
    public async Task A_form_of_another_site_is_refused_and_so_is_one_of_somebody_else()
    {
        var (alice, bob) = (new Browser(room), new Browser(room));
        await alice.SignInAsync("alice");
        await bob.SignInAsync("bob");
        var bobs = Browser.FormToken(await bob.GetAsync("/"));
        foreach (var fields in new (string, string)[][] { [], [("form", "")], [("form", "x")], [("form", bobs)] })
        {
            var refused = await alice.PostAsync("/sign-out/everywhere", fields);
            Assert.Equal(HttpStatusCode.Forbidden, refused.Status);
            Assert.Contains("the form is not one of this console's own, or is too old", refused.Html, StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.OK, (await alice.GetAsync("/")).Status);
    }

    [Theory]
    [InlineData("x")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("' OR 1=1 --")]
    public async Task An_invented_session_is_none(string secret)
    {
        var browser = new Browser(room);
        browser.Take(Session, secret);
        Assert.Equal((HttpStatusCode.SeeOther, "./sign-in?to="), ((await browser.GetAsync("/")).Status, (await browser.GetAsync("/")).Location));
    }

    [Fact]
    public async Task A_session_is_no_token_of_the_API()
    {
        var browser = new Browser(room);
        await browser.SignInAsync("alice");
        Assert.Equal(401, (await room.SendAsync("GET", "/api/v1/policy", browser.Cookies[Session])).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync("/api/v1/policy")).Status);
    }

    [Fact]
    public async Task A_session_ends_after_eight_hours_and_after_one_without_a_use()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        var signIns = new SignIns(room.Database, time);
        var secret = await signIns.StartAsync(new Proxy.Administration.Tokens.Session("dora") { Account = "d1" }, default);
        for (var minutes = 0; minutes < 8 * 60; minutes += 50)
        {
            Assert.NotNull(await signIns.FindAsync(secret, default));
            time.Advance(TimeSpan.FromMinutes(50));
        }

        Assert.Null(await signIns.FindAsync(secret, default));
        secret = await signIns.StartAsync(new Proxy.Administration.Tokens.Session("dora") { Account = "d1" }, default);
        time.Advance(SignIns.IdleTimeout);
        Assert.Null(await signIns.FindAsync(secret, default));
    }

    /// <summary>They are in the database, which is opened later than the program starts; who asked would log a failure.</summary>
    [Fact]
    public void Nothing_of_the_framework_asks_for_keys_at_the_start() => Assert.DoesNotContain(
        room.Here.Proxy.Services.GetServices<IHostedService>(), service => service.GetType().Assembly.GetName().Name == "Microsoft.AspNetCore.DataProtection");

    [Fact]
    public async Task One_person_has_a_few_sessions_and_the_oldest_ends()
    {
        var signIns = room.Here.Proxy.Services.GetRequiredService<SignIns>();
        var secrets = new List<string>();
        for (var i = 0; i <= SignIns.MaximumOfOne; i++)
            secrets.Add(await signIns.StartAsync(new Proxy.Administration.Tokens.Session("eve") { Account = "e1" }, default));
        Assert.Null(await signIns.FindAsync(secrets[0], default));
        Assert.NotNull(await signIns.FindAsync(secrets[1], default));
        Assert.Equal(SignIns.MaximumOfOne, await room.Database.ReadAsync(context => context.SignIns.CountAsync(row => row.Person == "eve"), default));
    }
}
