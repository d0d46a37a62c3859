using System.Net;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Portal;

/// <summary>Owners switch image types on one page: they see what it would mean, and apply it. Members see the page, and change nothing.</summary>
public sealed class ImageAccessPageTests : IAsyncLifetime
{
    private const string Page = "/o/acme/image-access";
    private const string Draft = Page + "/draft?mode=enforce&official=on&community=on";

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.StartAsync(("Usage:Keep", "1.00:00:00")); // so that the pulls of 30 days are read in the files of the trail
        await _room.ImportAsync(ApiRoom.Policy);
        _room.Here.Hub.Users.Add("gail", "gails-password", "dckr_pat_gail");
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task An_owner_sees_what_a_switch_would_mean_and_applies_it()
    {
        DraftApiTests.Trail(_room, DraftApiTests.Event("bob", "someuser/tool", "community", "deny"), DraftApiTests.Event("bob", "someuser/tool", "community", "deny"), DraftApiTests.Event("hank", "someuser/other", "community", "deny"));
        var alice = await SignedInAsync("alice");
        Assert.Contains("id=\"community\" name=\"community\" value=\"on\" aria-describedby", (await alice.GetAsync(Page)).Html, StringComparison.Ordinal);

        var draft = await alice.GetAsync(Draft);
        Assert.Equal(HttpStatusCode.OK, draft.Status);
        Assert.Contains("<li>organization acme: community images allowed</li>", draft.Html, StringComparison.Ordinal);
        Assert.Contains("<td><code>someuser/tool</code></td>", draft.Html, StringComparison.Ordinal);
        Assert.Contains("Repositories: 1. People and machines: 1. Pulls: 2.", draft.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("someuser/other", draft.Html, StringComparison.Ordinal);
        Assert.Contains("Nothing that was pulled would be denied.", draft.Html, StringComparison.Ordinal);
        Assert.False(AllowsCommunity());

        var applied = await ApplyAsync(alice, draft, "the nightly\nbuild needs it");
        Assert.Equal((HttpStatusCode.SeeOther, "../../o/acme/image-access?done=applied"), (applied.Status, applied.Location));
        Assert.True(AllowsCommunity());
        var page = await alice.GetAsync($"{Page}?done=applied");
        Assert.Contains("The change is in force.", page.Html, StringComparison.Ordinal);
        Assert.Contains("id=\"community\" name=\"community\" value=\"on\" checked", page.Html, StringComparison.Ordinal);
        var version = await _room.Database.ReadAsync(context => context.PolicyVersions.OrderByDescending(row => row.Sequence).FirstAsync(), default);
        Assert.Equal(("alice", "the nightly build needs it"), (version.Who, version.Why));
    }

    [Fact]
    public async Task A_member_sees_the_page_read_only()
    {
        var bob = await SignedInAsync("bob");
        var page = await bob.GetAsync(Page);
        Assert.Contains("<strong>Read-only.</strong>", page.Html, StringComparison.Ordinal);
        Assert.Contains("<fieldset disabled", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("Show what would change", page.Html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, (await bob.GetAsync(Draft)).Status);
    }

    /// <summary>The form of an owner, sent by somebody else with a form of their own.</summary>
    [Theory]
    [InlineData("bob", HttpStatusCode.Forbidden)]
    [InlineData("gail", HttpStatusCode.NotFound)]
    public async Task A_forged_form_changes_nothing_and_is_recorded(string user, HttpStatusCode status)
    {
        var (alice, other) = (await SignedInAsync("alice"), await SignedInAsync(user));
        var draft = await alice.GetAsync(Draft);
        var forged = await other.PostAsync("/", Page, [.. Fields(draft, "because")]);
        Assert.Equal(status, forged.Status);
        Assert.False(AllowsCommunity());
        if (status == HttpStatusCode.Forbidden)
        {
            await Eventually.TrueAsync(async () => (await _room.Here.AuditAsync(1)).Any(line =>
                line.GetProperty("event").GetString() == "change-forbidden" && line.GetProperty("user").GetString() == user));
        }
    }

    [Fact]
    public async Task Of_two_who_change_at_once_the_second_is_told_what_the_first_did()
    {
        var (alice, carol) = (await SignedInAsync("alice"), await SignedInAsync("carol"));
        var (first, second) = (await alice.GetAsync(Draft), await carol.GetAsync($"{Page}/draft?mode=off"));
        Assert.Equal(HttpStatusCode.SeeOther, (await ApplyAsync(alice, first, "mine")).Status);
        var refused = await ApplyAsync(carol, second, "mine too");
        Assert.Equal(HttpStatusCode.PreconditionFailed, refused.Status);
        Assert.Contains("alice", refused.Html, StringComparison.Ordinal);
        Assert.True(_room.Service<IPolicyStore>().Current.Organizations[0].Enabled);
    }

    [Fact]
    public async Task What_opens_waits_where_two_persons_are_demanded()
    {
        await _room.SendAsync("PUT", "/api/v1/policy?reason=two", await _room.TokenAsync("company-owner", null), ApiRoom.Policy.Replace("\"companyOwners\"", "\"changes\": { \"approvals\": 2 }, \"companyOwners\"", StringComparison.Ordinal), Tag());
        var alice = await SignedInAsync("alice");
        await Eventually.TrueAsync(() => _room.Service<IPolicyStore>().Current.Document.Changes.Approvals == 2);
        var draft = await alice.GetAsync(Draft);
        Assert.Contains("another person has to approve it before it is in force", draft.Html, StringComparison.Ordinal);
        var waits = await ApplyAsync(alice, draft, "because");
        Assert.Equal((HttpStatusCode.SeeOther, "../../o/acme/image-access?done=waits"), (waits.Status, waits.Location));
        Assert.False(AllowsCommunity());
    }

    [Fact]
    public async Task Observing_until_a_day_is_written_as_the_document_has_it()
    {
        var alice = await SignedInAsync("alice");
        Assert.Equal(HttpStatusCode.SeeOther, (await ApplyAsync(alice, await alice.GetAsync($"{Page}/draft?mode=observe&until=2999-01-31&official=on"), "first look")).Status);
        var organization = _room.Service<IPolicyStore>().Current.Document.Organizations[0];
        Assert.Equal((true, true, new DateOnly(2999, 1, 31)), (organization.Enabled, organization.Observe, organization.ObserveUntil));
        Assert.Contains("value=\"2999-01-31\"", (await alice.GetAsync(Page)).Html, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.SeeOther, (await ApplyAsync(alice, await alice.GetAsync($"{Page}/draft?mode=enforce&official=on"), "for good")).Status);
        organization = _room.Service<IPolicyStore>().Current.Document.Organizations[0];
        Assert.Equal((true, false, null), (organization.Enabled, organization.Observe, organization.ObserveUntil));
    }

    [Theory]
    [InlineData("mode=x", "mode must be off, observe or enforce")]
    [InlineData("official=on", "mode must be off, observe or enforce")]
    [InlineData("mode=observe&until=tomorrow", "until must be a day, as 2027-01-31")]
    public async Task What_the_page_does_not_offer_is_refused(string query, string detail)
    {
        var page = await (await SignedInAsync("alice")).GetAsync($"{Page}/draft?{query}");
        Assert.Equal(HttpStatusCode.BadRequest, page.Status);
        Assert.Contains(detail, page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_holds_already_is_no_change()
    {
        var page = await (await SignedInAsync("alice")).GetAsync($"{Page}/draft?mode=enforce&official=on");
        Assert.Contains("nothing would change", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("name=\"reason\"", page.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/o/globex/image-access")]
    [InlineData("/o/nobody/image-access")]
    [InlineData("/o/globex/image-access/draft?mode=off")]
    public async Task What_is_another_organizations_looks_as_if_it_were_not_there(string target) =>
        Assert.Equal(HttpStatusCode.NotFound, (await (await SignedInAsync("alice")).GetAsync(target)).Status);

    private async Task<Browser> SignedInAsync(string user)
    {
        var browser = new Browser(_room);
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.SignInAsync(user)).Status);
        return browser;
    }

    private static Task<Shown> ApplyAsync(Browser browser, Shown draft, string reason) =>
        browser.PostAsync(Page, [("form", Browser.FormToken(draft)), .. Fields(draft, reason)]);

    /// <summary>What the page of a draft sends.</summary>
    private static IEnumerable<(string Name, string Value)> Fields(Shown draft, string reason) =>
        new[] { "unchanged", "mode", "until", "official", "verified-publisher", "community" }.Select(name => (name, Browser.Field(draft, name))).Append(("reason", reason));

    private bool AllowsCommunity() => _room.Service<IPolicyStore>().Current.Organizations[0].AllowsCommunity;

    private string Tag() => $"\"{_room.Service<IPolicyStore>().Current.DocumentVersion}\"";
}

/// <summary>Where the policy is a file it is changed there, and the page says how.</summary>
public sealed class ImageAccessOfFileTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    [Fact]
    public async Task A_draft_says_what_to_write_into_the_file_and_nothing_is_applied()
    {
        var alice = new Browser(room);
        await alice.SignInAsync("alice");
        Assert.Contains($"<code>{room.Here.PolicyFile}</code>", (await alice.GetAsync("/o/acme/image-access")).Html, StringComparison.Ordinal);
        var draft = await alice.GetAsync("/o/acme/image-access/draft?mode=enforce&official=on&community=on");
        Assert.Contains("\"community\": true", draft.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("name=\"reason\"", draft.Html, StringComparison.Ordinal);

        var refused = await alice.PostAsync("/", "/o/acme/image-access", ("mode", "off"), ("unchanged", "x"), ("reason", "because"));
        Assert.Equal(HttpStatusCode.Conflict, refused.Status);
        Assert.Contains("the policy document is the file", refused.Html, StringComparison.Ordinal);
    }
}
