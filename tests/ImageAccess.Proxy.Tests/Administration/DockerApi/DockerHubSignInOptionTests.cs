using System.Text.Json;
using ImageAccess.Proxy.Tests.Administration.Api;

namespace ImageAccess.Proxy.Tests.Administration.DockerApi;

/// <summary><c>Console:DockerHubSignIn</c>: an owner's access token lies in many files, and need not be worth an owner.</summary>
public sealed class DockerHubSignInOptionTests : IAsyncLifetime
{
    private const string Open = """{ "restricted_images": { "enabled": false, "allow_official_images": true, "allow_verified_publishers": true } }""";

    private readonly ApiRoom _room = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task As_a_member_an_owner_reads_and_changes_nothing_and_a_token_of_the_API_goes_on()
    {
        await StartAsync("member");
        var token = (await LoginAsync("alice", "dckr_pat_alice")).Json.GetProperty("token").GetString();
        Assert.Equal(200, (await _room.SendAsync("GET", "/v2/orgs/acme/settings", token)).Status);
        Assert.Equal(403, (await _room.SendAsync("GET", "/v2/auditlogs/acme", token)).Status);
        var refused = await _room.SendAsync("PUT", "/v2/orgs/acme/settings", token, Open);
        Assert.Equal((403, "the token's role does not allow this"), (refused.Status, refused.Detail));
        Assert.Equal(404, (await _room.SendAsync("GET", "/v2/orgs/globex/settings", token)).Status); // a member where they are one, and nowhere else

        var own = (await LoginAsync("", await _room.TokenAsync("administrator"))).Json.GetProperty("token").GetString();
        Assert.Equal(200, (await _room.SendAsync("PUT", "/v2/orgs/acme/settings", own, Open)).Status);
    }

    [Fact]
    public async Task Off_asks_Docker_Hub_nothing_and_a_token_of_the_API_goes_on()
    {
        await StartAsync("off");
        _room.Here.Hub.Requests.Clear();
        var refused = await LoginAsync("alice", "dckr_pat_alice");
        Assert.Equal((403, "nobody signs in with Docker Hub credentials here (Console:DockerHubSignIn): use a token of this API"), (refused.Status, refused.Detail));
        Assert.Empty(_room.Here.Hub.Requests.All);
        Assert.Equal(200, (await LoginAsync("", await _room.TokenAsync("administrator"))).Status);
    }

    private async Task StartAsync(string word)
    {
        await _room.StartAsync(("Console:DockerHubSignIn", word));
        await _room.ImportAsync(ApiRoom.Policy);
    }

    private Task<ApiAnswer> LoginAsync(string name, string secret) =>
        _room.SendAsync("POST", "/v2/users/login", body: JsonSerializer.Serialize(new { username = name, password = secret }));
}
