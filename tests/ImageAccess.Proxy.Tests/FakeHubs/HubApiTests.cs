using System.Net;
using System.Net.Http.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class HubApiTests : IAsyncLifetime
{
    private FakeHub _hub = null!;
    private HubClient _client = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync();
        _client = HubClient.Of(_hub);
        _hub.Users.Add("alice", "wonderland", "dckr_pat_alice");
        _hub.Users.AddOrganization("acme", "", "dckr_oat_acme");
        _hub.Namespaces.Find("acme")!.AddMember("alice", "Owner").AddMember("bob").AddMember("carol", "Invitee");
        _hub.Namespaces.Add("bitnami", "verified_publisher");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task An_organization_has_its_badge()
    {
        using var response = await _client.GetAsync(_hub.Hub + "v2/orgs/bitnami/");
        var answer = await HubClient.JsonOf(response);

        Assert.Equal("bitnami Organization verified_publisher", $"{answer["orgname"]} {answer["type"]} {answer["badge"]}");
    }

    [Fact]
    public async Task A_person_redirects_and_nobody_is_not_found()
    {
        using var person = await _client.GetAsync(_hub.Hub + "v2/orgs/alice/");
        using var nobody = await _client.GetAsync(_hub.Hub + "v2/orgs/nobody/");

        Assert.Equal((HttpStatusCode.PermanentRedirect, "/v2/users/alice/"), (person.StatusCode, person.Headers.Location!.OriginalString));
        Assert.Equal(HttpStatusCode.NotFound, nobody.StatusCode);
        Assert.Equal("""{"message":"object not found","errinfo":{}}""", await nobody.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("acme", "dckr_oat_acme")]
    [InlineData("alice", "dckr_pat_alice")]
    public async Task Members_come_in_pages(string identifier, string secret)
    {
        await SignInAsync(identifier, secret);

        using var first = await _client.GetAsync(_hub.Hub + "v2/orgs/acme/members?page=1&page_size=2");
        var page = await HubClient.JsonOf(first);
        using var second = await _client.GetAsync((string)page["next"]!);
        var last = await HubClient.JsonOf(second);

        Assert.Equal(3, (int)page["count"]!);
        Assert.Equal("alice bob", string.Join(' ', page["results"]!.AsArray().Select(member => (string)member!["username"]!)));
        Assert.Equal(_hub.Users.Find("alice")!.Id.ToString("N"), (string)page["results"]![0]!["id"]!);
        Assert.Equal("Invitee", (string)last["results"]!.AsArray().Single()!["role"]!);
        Assert.Null(last["next"]);
    }

    [Fact]
    public async Task Members_and_settings_are_not_for_everybody()
    {
        using var anonymous = await _client.GetAsync(_hub.Hub + "v2/orgs/acme/members");
        await SignInAsync("alice", "dckr_pat_alice");
        using var byToken = await _client.GetAsync(_hub.Hub + "v2/orgs/acme/settings");
        await SignInAsync("alice", "wonderland");
        using var byPassword = await _client.GetAsync(_hub.Hub + "v2/orgs/acme/settings");

        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);
        Assert.Equal("""{"message":"token issued from personal access token"}""", await byToken.Content.ReadAsStringAsync());
        Assert.Equal(
            """{"restricted_images":{"enabled":false,"allow_official_images":true,"allow_verified_publishers":true}}""",
            await byPassword.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_private_repository_looks_missing()
    {
        _hub.Images.PushImage("acme/secret", "1");
        _hub.Images.PushImage("acme/app", "1");
        _hub.Images.MakePrivate("acme/secret");

        using var open = await _client.GetAsync(_hub.Hub + "v2/namespaces/acme/repositories/app");
        using var hidden = await _client.GetAsync(_hub.Hub + "v2/namespaces/acme/repositories/secret");

        Assert.False((bool)(await HubClient.JsonOf(open))["is_private"]!);
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
    }

    private async Task SignInAsync(string identifier, string secret)
    {
        _client.Token = null;
        var content = JsonContent.Create(new { identifier, secret });
        using var response = await _client.SendAsync(HttpMethod.Post, _hub.Hub + "v2/auth/token", content);
        _client.Token = (string)(await HubClient.JsonOf(response))["access_token"]!;
    }
}
