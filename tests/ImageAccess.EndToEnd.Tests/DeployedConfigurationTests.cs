namespace ImageAccess.EndToEnd.Tests;

/// <summary>The files that <c>imageaccess clients</c> writes for a mirror, as they are: what they promise is so.</summary>
[Collection(nameof(Surroundings))]
public sealed class DeployedConfigurationTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;

    public static TheoryData<string> WithoutFallback =>
        ["containerd 1.6", "containerd 2", "podman 4", "podman 5", "buildah 1.28", "buildah 1.43", "skopeo 1.9", "skopeo 1.22"];

    [Theory]
    [MemberData(nameof(WithoutFallback))]
    public async Task Also_without_holding_answers_a_denial_is_final_by_tag_and_by_digest(string name)
    {
        var client = await world.DeployedClientAsync(name, world.Yielding.Mirror.Authority);
        var digest = await world.DigestAsync("someuser/custom-image", "latest");
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).FailedSaying(Denied);
        (await client.PullAsync($"someuser/custom-image@{digest}")).FailedSaying(Denied);

        Assert.Empty(world.HandedOut("someuser/custom-image"));
        (await client.PullAsync("library/hello")).Succeeded();
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
        await client.RemoveAsync("library/hello");
    }

    [Theory]
    [MemberData(nameof(WithoutFallback))]
    public async Task When_the_proxy_is_down_nothing_is_pulled_past_it(string name)
    {
        var client = await world.DeployedClientAsync(name, $"127.0.0.1:{Ports.Free()}");
        world.Hub.Requests.Clear();

        (await client.PullAsync("library/hello")).FailedSaying("connection refused");

        Assert.Empty(world.Hub.Requests.All);
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task Docker_is_held_by_the_answers_alone(string name)
    {
        var client = await world.DeployedClientAsync(name, world.Proxy.Mirror.Authority);
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).FailedSaying(Denied);
        Assert.Empty(world.HandedOut("someuser/custom-image"));

        (await client.PullAsync("library/hello")).Succeeded();
        Assert.All(world.HandedOut("library/hello"), request => Assert.False(request.ViaDockerHubNames, request.ToString()));
        await client.RemoveAsync("library/hello");
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task Docker_pulls_past_a_mirror_that_is_down_which_is_why_direct_egress_has_to_be_closed(string name)
    {
        var client = await world.DeployedClientAsync(name, $"127.0.0.1:{Ports.Free()}");
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).Succeeded();

        Assert.NotEmpty(world.HandedOut("someuser/custom-image"));
        await client.RemoveAsync("someuser/custom-image");
    }
}
