using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.DockerApi;

/// <summary>Docker's Terraform provider manages image access, and pulls through the proxy are decided as it has set.</summary>
public sealed class SettingsTests : IAsyncLifetime
{
    private const string Twice = """{ "changes": { "approvals": 2 }, """;

    private readonly ApiRoom _room = new();

    public Task InitializeAsync() => _room.InitializeAsync();

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task Terraform_creates_reads_updates_and_deletes_and_each_pull_is_decided_as_it_says()
    {
        await _room.ImportAsync(ApiRoom.Policy.Replace("\"official\": true }", "\"official\": false, \"community\": false }, \"help\": \"ask\"", StringComparison.Ordinal));
        foreach (var terraform in new[] { new DockerClient(_room, "alice", "dckr_pat_alice"), new DockerClient(_room, "ci", await _room.TokenAsync("administrator")) })
        {
            await SeesAsync(terraform.SetImagesAsync(true, true, false), true, true, false);
            Assert.Equal((200, 403, 403), await PullsAsync());
            await SeesAsync(terraform.SetImagesAsync(true, false, true), true, false, true);
            Assert.Equal((403, 200, 403), await PullsAsync());
            await SeesAsync(terraform.GetImagesAsync(), true, false, true);
            await SeesAsync(terraform.DeleteImagesAsync(), false, true, true);
            Assert.Equal((200, 200, 200), await PullsAsync());
        }

        var rows = await _room.Database.ReadAsync(context => new PolicyVersions(context).ListAsync("acme", 10, default), default);
        Assert.Equal(["token 1", "token 1", "token 1", "alice", "alice", "alice"], rows.Take(6).Select(row => row.Who));
        Assert.All(rows.Take(6), row => Assert.Equal("set by Docker's own API: /v2/orgs/acme/settings", row.Why));
        Assert.Contains("\"help\": \"ask\"", System.Text.Encoding.UTF8.GetString(PolicySections.Find(_room.Service<PolicyStore>().Document, "acme")!), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_opens_waits_for_the_second_person_and_what_closes_does_not()
    {
        await _room.ImportAsync(Twice + ApiRoom.Policy.TrimStart().TrimStart('{').Replace("\"alice\" ]", "\"alice\", \"ann\" ]", StringComparison.Ordinal));
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        var refused = await terraform.SetImagesAsync(true, true, true);
        Assert.Equal(
            (403, "not done yet: it opens something (organization acme: verified publisher images allowed), and the change 1 waits for a second person to approve it"),
            (refused.Status, refused.Detail));
        var again = await terraform.SetImagesAsync(true, true, true);
        Assert.Equal((409, "the change 1 of alice waits for the same already"), (again.Status, again.Detail));
        var off = await terraform.DeleteImagesAsync();
        Assert.Equal(403, off.Status);
        await SeesAsync(terraform.GetImagesAsync(), true, true, false);
        await SeesAsync(terraform.SetImagesAsync(true, false, false), true, false, false);

        await SeesAsync(terraform.SetImagesAsync(true, false, false), true, false, false); // the same once more is no change
        Assert.Equal(2, await _room.Database.ReadAsync(context => context.PendingChanges.CountAsync(), default));
    }

    [Fact]
    public async Task Terraform_manages_registries_and_tunnels_are_decided_as_it_says()
    {
        await _room.ImportAsync(ApiRoom.Policy);
        var egress = _room.Service<EgressPolicy>();
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        (string, string, bool)[] registries = [("ghcr.io", "GitHub", true), ("quay.io", "", false), ("*.example.com:5000", "Ours", true)];
        Assert.Equal((200, DockerClient.Registries(enabled: true, registries)), await SetAsync(true, registries));
        Assert.Equal(("Tunnel", "Refuse", "Refuse", "Tunnel"), Verdicts());
        registries[1] = ("quay.io", "", true);
        Assert.Equal((200, DockerClient.Registries(enabled: true, registries)), await SetAsync(true, registries));
        Assert.Equal(("Tunnel", "Tunnel", "Refuse", "Tunnel"), Verdicts());
        Assert.Equal((200, DockerClient.Registries(enabled: false)), await SetAsync(false)); // as it deletes
        Assert.Equal(("Tunnel", "Tunnel", "Tunnel", "Refuse"), Verdicts());

        var versions = await _room.Database.ReadAsync(context => new PolicyVersions(context).ListAsync("acme", 3, default), default);
        Assert.Equal(["organization acme: registries are no longer limited"], versions[0].Opens);
        Assert.Equal(["organization acme: registry quay.io allowed"], versions[1].Opens);
        Assert.Equal(["organization acme: registries are no longer limited"], versions[2].TakesBack);

        foreach (var (body, detail) in new[]
        {
            (DockerClient.Registries(true, ("https://ghcr.io", "x", true)), "organizations[0].registries.custom[0].address: not a registry, as ghcr.io, *.example.com or registry.example.com:5000"),
            (DockerClient.Registries(true).Replace("\"allowed\":true", "\"allowed\":false", StringComparison.Ordinal), "standard_registries must be DockerHub, allowed: which of its images may be used says restricted_images, and a block is for what nobody may have"),
            (DockerClient.Registries(true, [.. Enumerable.Range(0, 101).Select(i => ($"r{i}.example.com", "", true))]), "organizations[0].registries.custom: has 101 registries, and may have 100"),
            ("""{"enabled":true,"standard_registries":null,"custom_registries":[]}""", "the body has a wrong value at standard_registries"),
            ("""{"enabled":true,"standard_registries":[{"id":"DockerHub","allowed":true}],"custom_registries":[null]}""", "the body has a wrong value: a registry is an object"),
        })
        {
            var answer = await terraform.SendAsync(HttpMethod.Put, "/v2/orgs/acme/settings/registry-access-management/", body);
            Assert.Equal((true, detail), (answer.Status is 400 or 409, answer.Detail));
        }

        async Task<(int, string)> SetAsync(bool enabled, params (string, string, bool)[] custom)
        {
            var answer = await terraform.SetRegistriesAsync(enabled, custom);
            return (answer.Status, answer.Text);
        }

        (string, string, string, string) Verdicts() => (Of("ghcr.io", 443), Of("quay.io", 443), Of("gitlab.com", 443), Of("a.example.com", 5000));

        string Of(string host, int port) => egress.Decide(HostName.Parse(host), port).Verdict.ToString();
    }

    [Fact]
    public async Task A_registry_that_is_newly_allowed_waits_for_the_second_person()
    {
        await _room.ImportAsync(Twice + ApiRoom.Policy.TrimStart().TrimStart('{').Replace("\"alice\" ]", "\"alice\", \"ann\" ]", StringComparison.Ordinal));
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        Assert.Equal(200, (await terraform.SetRegistriesAsync(true, ("ghcr.io", "GitHub", true))).Status);
        var waits = await terraform.SetRegistriesAsync(true, ("ghcr.io", "GitHub", true), ("quay.io", "Quay", true));
        Assert.Equal((403, "not done yet: it opens something (organization acme: registry quay.io allowed), and the change 1 waits for a second person to approve it"), (waits.Status, waits.Detail));
        Assert.Equal(403, (await terraform.SetRegistriesAsync(false)).Status);
    }

    [Fact]
    public async Task Two_who_change_at_once_lose_nothing()
    {
        await _room.ImportAsync(ApiRoom.Policy);
        var alice = new DockerClient(_room, "alice", "dckr_pat_alice");
        var gail = new DockerClient(_room, "ci", await _room.TokenAsync("owner", "globex")) { Address = "192.0.2.21" };
        await alice.GetImagesAsync();
        await gail.GetImagesAsync("globex");
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => i % 2 == 0 ? alice.SetImagesAsync(true, true, true) : gail.SetImagesAsync(true, false, true, "globex")));
        Assert.All(answers, answer => Assert.Equal(200, answer.Status));
        await SeesAsync(alice.GetImagesAsync(), true, true, true);
        await SeesAsync(gail.GetImagesAsync("globex"), true, false, true);
    }

    [Fact]
    public async Task Where_a_file_is_the_home_it_is_read_and_not_changed()
    {
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        await SeesAsync(terraform.GetImagesAsync(), true, true, false);
        var answer = await terraform.SetImagesAsync(true, false, false);
        Assert.Equal(
            (409, "application/json", $"the policy document is the file {_room.Here.PolicyFile}: change that file, or bring it into the database with imageaccess policy import"),
            (answer.Status, answer.MediaType, answer.Detail));
    }

    [Fact]
    public async Task Who_may_not_read_an_organization_does_not_learn_that_it_is_there()
    {
        await _room.ImportAsync(ApiRoom.Policy);
        var (bob, alice) = (new DockerClient(_room, "bob", "dckr_pat_bob"), new DockerClient(_room, "alice", "dckr_pat_alice"));
        await SeesAsync(bob.GetImagesAsync(), true, true, false);
        Assert.Equal(403, (await bob.SetImagesAsync(true, true, true)).Status);
        foreach (var organization in new[] { "globex", "umbrella", "ACME", "a%0ab", "%2e%2e" })
        {
            foreach (var answer in new[] { await alice.GetImagesAsync(organization), await alice.SetImagesAsync(true, true, true, organization) })
                Assert.Equal((404, "application/json"), (answer.Status, answer.MediaType));
        }

        var known = (await alice.GetImagesAsync("globex")).Detail!;
        Assert.Equal((await alice.GetImagesAsync("umbrella")).Detail, known.Replace("globex", "umbrella", StringComparison.Ordinal));
        Assert.Equal(403, (await new DockerClient(_room, "carol2", "x").SendAsync(HttpMethod.Get, "/v2/orgs/acme/settings", "", await StrangerAsync())).Status);
    }

    [Fact]
    public async Task A_bad_body_changes_nothing()
    {
        await _room.ImportAsync(ApiRoom.Policy);
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        var before = _room.Service<IPolicyStore>().Current.Version;
        foreach (var body in new[]
        {
            "", "x", "null", "[]", "{}", """{"restricted_images":null}""", """{"restricted_images":[]}""", """{"restricted_images":{}}""", """{"restricted_images":{"enabled":false}}""",
            """{"restricted_images":{"enabled":"false","allow_official_images":true,"allow_verified_publishers":true}}""",
            """{"restricted_images":{"enabled":null,"allow_official_images":true,"allow_verified_publishers":true}}""",
            """{"restricted_images":{"enabled":false,"allow_official_images":true,"allow_verified_publishers":true,"allow_community":true}}""",
            """{"restricted_images":{"enabled":false,"allow_official_images":true,"allow_verified_publishers":true},"name":"globex"}""",
            """{"restricted_images":{"enabled":false,"enabled":true,"allow_official_images":true,"allow_verified_publishers":true}}""",
        })
        {
            var answer = await terraform.SendAsync(HttpMethod.Put, "/v2/orgs/acme/settings", body);
            Assert.True(answer.Status == 400, $"{body}: {answer.Status} {answer.Text}");
        }

        var misspelt = await terraform.SendAsync(HttpMethod.Put, "/v2/orgs/acme/settings?resaon=x", DockerClient.Images(false, true, true));
        Assert.Equal((400, "unknown parameter resaon; known are: reason, ticket"), (misspelt.Status, misspelt.Detail));
        Assert.Equal(404, (await terraform.SendAsync(HttpMethod.Get, "/v2/orgs/acme/members")).Status);
        Assert.Equal(405, (await terraform.SendAsync(HttpMethod.Delete, "/v2/orgs/acme/settings")).Status);
        Assert.Equal(before, _room.Service<IPolicyStore>().Current.Version);
    }

    private static async Task SeesAsync(Task<ApiAnswer> asked, bool enabled, bool official, bool verifiedPublishers)
    {
        var answer = await asked;
        Assert.Equal((200, DockerClient.Images(enabled, official, verifiedPublishers)), (answer.Status, answer.Text));
    }

    /// <summary>Of an official image, one of a verified publisher and one of the community, by a member.</summary>
    private async Task<(int Official, int VerifiedPublisher, int Community)> PullsAsync() =>
        (await PullAsync("library/nginx"), await PullAsync("bitnami/redis"), await PullAsync("someuser/custom-image"));

    private async Task<int> PullAsync(string repository) =>
        (await _room.Here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await _room.Here.PullTokenAsync("bob", repository), "curl/8")).Status;

    /// <summary>Somebody with an account of Docker Hub, and no role here.</summary>
    private async Task<string> StrangerAsync()
    {
        _room.Here.Hub.Users.Add("mallory", "mallorys-password", "dckr_pat_mallory");
        return (await new DockerClient(_room, "mallory", "dckr_pat_mallory").LoginAsync()).Json.GetProperty("token").GetString()!;
    }
}
