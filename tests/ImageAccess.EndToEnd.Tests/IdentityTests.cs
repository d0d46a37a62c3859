using ImageAccess.EndToEnd.Tests.Clients;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>The token's identity decides: who is signed in, by what, and where.</summary>
[Collection(nameof(Surroundings))]
public sealed class IdentityTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;
    private const string OrganizationToken =
        "image access denied: organization access tokens are not supported, use a personal access token (ask in #platform)";

    /// <summary>Who, with what secret, and the denial of a community image; none where it is allowed.</summary>
    public static TheoryData<string, string, string?> Callers => new()
    {
        { "alice", Canaries.PasswordOf("alice"), null },
        { "alice", Canaries.TokenOf("alice"), null },
        { "bob", Canaries.TokenOf("bob"), Denied },
        { "carol", Canaries.TokenOf("carol"), Denied },
        { "acme", Canaries.OrganizationToken, OrganizationToken },
    };

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Classic_Docker_signed_in_at_Docker_Hub_is_known_to_its_mirror(string user, string secret, string? denial)
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Proxy);
        (await docker.LoginAsync(user, secret)).Succeeded();
        world.Hub.Requests.Clear();

        var pull = await docker.PullAsync("someuser/custom-image");
        (await docker.LogoutAsync()).Succeeded();

        await CheckAsync(docker, "someuser/custom-image", pull, denial is null ? null : $"500 {denial} (no such process)");
        Assert.All(world.HandedOut("someuser/custom-image"), request => Assert.False(request.ViaDockerHubNames, request.ToString()));
    }

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Classic_Docker_signed_in_at_the_proxy_itself(string user, string secret, string? denial) =>
        await DockerDirectlyAsync("dockerd 20.10", user, secret, denial);

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Current_Docker_signed_in_at_the_proxy_itself(string user, string secret, string? denial) =>
        await DockerDirectlyAsync("dockerd 28", user, secret, denial);

    [Theory]
    [MemberData(nameof(Callers))]
    public async Task Podman_signed_in_at_the_proxy_itself(string user, string secret, string? denial)
    {
        var podman = await world.PodmanAsync("podman 4", world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        (await podman.LoginAsync(user, secret, host)).Succeeded();
        world.Hub.Requests.Clear();

        var pull = await podman.PullAsync($"{host}/someuser/custom-image");
        (await podman.RunAsync("logout", host)).Succeeded();

        await CheckAsync(podman, $"{host}/someuser/custom-image", pull, denial is null ? null : $"denied: {denial}");
    }

    [Fact]
    public async Task What_the_owner_has_just_pulled_is_still_refused_to_a_member_and_to_whoever_is_signed_out()
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        var image = $"{host}/someuser/custom-image";
        (await docker.LoginAsync("alice", Canaries.TokenOf("alice"), host)).Succeeded();
        (await docker.PullAsync(image)).Succeeded();
        await docker.RemoveAsync(image);

        (await docker.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await docker.PullAsync(image)).FailedSaying($"unknown: {Denied}");

        (await docker.LogoutAsync(host)).Succeeded();
        (await docker.PullAsync(image)).FailedSaying($"unknown: {Denied}");
    }

    [Fact]
    public async Task A_private_image_of_the_organization_is_for_whom_Docker_Hub_gives_it()
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        var image = $"{host}/acme/secret";
        (await docker.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await docker.PullAsync(image)).Succeeded();
        await docker.RemoveAsync(image);
        world.Hub.Requests.Clear();

        (await docker.LoginAsync("carol", Canaries.TokenOf("carol"), host)).Succeeded();
        (await docker.PullAsync(image)).FailedSaying("pull access denied");
        (await docker.LogoutAsync(host)).Succeeded();
        (await docker.PullAsync(image)).FailedSaying("pull access denied");

        Assert.Empty(world.HandedOut("acme/secret"));
    }

    [Fact]
    public async Task A_strict_policy_asks_people_to_sign_in_and_refuses_strangers_by_name()
    {
        var strict = await world.ProxyAsync("strict", """
            {
              "callers": { "anonymous": "deny", "outsiders": "deny" },
              "organizations": [ {
                "name": "acme", "members": [ "bob" ], "enabled": true,
                "allow": { "official": true },
                "allowlist": [
                  { "repository": "someuser/custom-image", "reason": "approved" },
                  { "repository": "someuser/expired", "reason": "was approved", "expires": "2025-12-31" }
                ]
              } ]
            }
            """);
        var podman = await world.PodmanAsync("podman 5", strict);
        var host = strict.Mirror.Authority;

        (await podman.PullAsync($"{host}/library/hello")).FailedSaying("image access denied: sign in with your organization account");

        (await podman.LoginAsync("carol", Canaries.TokenOf("carol"), host)).Succeeded();
        (await podman.PullAsync($"{host}/library/hello")).FailedSaying("image access denied: carol is not a member of acme");

        (await podman.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await podman.PullAsync($"{host}/library/hello")).Succeeded();
        (await podman.PullAsync($"{host}/someuser/custom-image")).Succeeded();
        (await podman.PullAsync($"{host}/someuser/expired")).FailedSaying("image access denied: community images not allowed (approval ended 2025-12-31)");
        (await podman.PullAsync($"{host}/bitnami/redis")).FailedSaying("image access denied: verified publisher images not allowed");
    }

    [Fact]
    public async Task A_wrong_password_is_what_Docker_Hub_says_it_is()
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Proxy);
        (await docker.LoginAsync("bob", "not-his", world.Proxy.Mirror.Authority)).FailedSaying("incorrect username or password");
    }

    private async Task DockerDirectlyAsync(string name, string user, string secret, string? denial)
    {
        var docker = await world.DockerAsync(name, world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        (await docker.LoginAsync(user, secret, host)).Succeeded();
        world.Hub.Requests.Clear();

        var pull = await docker.PullAsync($"{host}/someuser/custom-image");
        (await docker.LogoutAsync(host)).Succeeded();

        await CheckAsync(docker, $"{host}/someuser/custom-image", pull, denial);
    }

    private async Task CheckAsync(IClient client, string image, Outcome pull, string? denial)
    {
        if (denial is null)
        {
            pull.Succeeded();
            Assert.True(await client.HasAsync(image));
            await client.RemoveAsync(image);
        }
        else
        {
            pull.FailedSaying(denial);
            Assert.False(await client.HasAsync(image));
            Assert.Empty(world.HandedOut("someuser/custom-image"));
        }
    }
}
