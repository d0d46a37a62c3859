namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// Every client with the proxy as its mirror and Docker Hub fully reachable beside it. Nobody is signed in: whoever is not
/// is judged as a plain member.
/// </summary>
[Collection(nameof(Surroundings))]
public sealed class MirrorTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;
    private const string AnotherDigest = "Manifest does not match provided manifest digest";

    public static TheoryData<string> Clients =>
    [
        "dockerd 20.10", "dockerd 28", "containerd 1.6", "containerd 2",
        "podman 4", "podman 5", "buildah 1.28", "buildah 1.43", "skopeo 1.9", "skopeo 1.22",
    ];

    /// <summary>What each client prints of a denied tag, and of a denied tag when denials do not hold it.</summary>
    public static TheoryData<string, string> Denials => new()
    {
        { "dockerd 20.10", $"Error response from daemon: received unexpected HTTP status: 500 {Denied} (no such process)" },
        { "dockerd 28", $"error from registry: {Denied}" },
        { "containerd 1.6", $"403 {Denied}" },
        { "containerd 2", $"403 {Denied}" },
        { "podman 4", $"/someuser/custom-image: denied: {Denied}" },
        { "podman 5", $"/someuser/custom-image: denied: {Denied}" },
        { "buildah 1.28", $"/someuser/custom-image: denied: {Denied}" },
        { "buildah 1.43", $"/someuser/custom-image: denied: {Denied}" },
        { "skopeo 1.9", $"/someuser/custom-image: denied: {Denied}" },
        { "skopeo 1.22", $"/someuser/custom-image: denied: {Denied}" },
    };

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task An_official_image_arrives_as_the_registry_itself_gives_it(string name)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        var direct = $"{world.Registry.Address.Authority}/library/hello";
        world.Hub.Requests.Clear();

        (await client.PullAsync("library/hello")).Succeeded();
        var throughProxy = await client.IdentityAsync("library/hello");
        await client.RemoveAsync("library/hello");
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);

        (await client.PullAsync(direct)).Succeeded();
        Assert.Equal(await client.IdentityAsync(direct), throughProxy);
        await client.RemoveAsync(direct);
    }

    [Theory]
    [MemberData(nameof(Denials))]
    public async Task A_denied_image_is_refused_and_Docker_Hub_beside_the_proxy_hands_nothing_of_it_out(string name, string says)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).FailedSaying(says);

        Assert.False(await client.HasAsync("someuser/custom-image"));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Without_holding_answers_every_client_falls_back_to_Docker_Hub(string name)
    {
        var client = await world.ClientAsync(name, world.Yielding);
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).Succeeded();

        var handedOut = world.HandedOut("someuser/custom-image");
        Assert.NotEmpty(handedOut);
        Assert.All(handedOut, request => Assert.True(request.ViaDockerHubNames, request.ToString()));
        await client.RemoveAsync("someuser/custom-image");
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Past_a_mirror_that_is_down_every_client_pulls_from_Docker_Hub(string name)
    {
        var client = await world.ClientOfNoMirrorAsync(name);
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).Succeeded();

        Assert.All(world.HandedOut("someuser/custom-image"), request => Assert.True(request.ViaDockerHubNames, request.ToString()));
        await client.RemoveAsync("someuser/custom-image");
    }

    [Theory]
    [InlineData("dockerd 20.10", Denied)]
    [InlineData("dockerd 28", Denied)]
    [InlineData("containerd 1.6", Denied)]
    [InlineData("containerd 2", Denied)]
    [InlineData("podman 4", AnotherDigest)]
    [InlineData("podman 5", AnotherDigest)]
    [InlineData("buildah 1.28", AnotherDigest)]
    [InlineData("buildah 1.43", AnotherDigest)]
    [InlineData("skopeo 1.9", AnotherDigest)]
    [InlineData("skopeo 1.22", AnotherDigest)]
    public async Task A_denied_digest_is_held_too(string name, string says)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        var digest = await world.DigestAsync("someuser/custom-image", "latest");
        world.Hub.Requests.Clear();

        (await client.PullAsync($"someuser/custom-image@{digest}")).FailedSaying(says);

        Assert.Empty(world.HandedOut("someuser/custom-image"));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Images_of_a_verified_publisher_are_allowed_by_the_switch(string name)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        (await client.PullAsync("bitnami/redis")).Succeeded();
        await client.RemoveAsync("bitnami/redis");
    }
}
