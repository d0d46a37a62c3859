namespace ImageAccess.EndToEnd.Tests;

/// <summary>Clients that address the proxy by its own name: there is nothing to fall back to, and the plain denial is read.</summary>
[Collection(nameof(Surroundings))]
public sealed class DirectTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;

    public static TheoryData<string, string> Denials => new()
    {
        { "dockerd 20.10", $"Error response from daemon: unknown: {Denied}" },
        { "dockerd 28", $"403 {Denied}" },
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
    [MemberData(nameof(Denials))]
    public async Task A_denied_image_is_refused_with_the_reason(string name, string says)
    {
        var client = await world.ClientAsync(name, world.Yielding);
        var image = $"{world.Yielding.Mirror.Authority}/someuser/custom-image";
        world.Hub.Requests.Clear();

        (await client.PullAsync(image)).FailedSaying(says);

        Assert.False(await client.HasAsync(image));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }

    [Theory]
    [MemberData(nameof(MirrorTests.Clients), MemberType = typeof(MirrorTests))]
    public async Task An_allowed_image_arrives(string name)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        var image = $"{world.Proxy.Mirror.Authority}/library/hello";
        var direct = $"{world.Registry.Address.Authority}/library/hello";

        (await client.PullAsync(image)).Succeeded();
        var throughProxy = await client.IdentityAsync(image);
        await client.RemoveAsync(image);

        (await client.PullAsync(direct)).Succeeded();
        Assert.Equal(await client.IdentityAsync(direct), throughProxy);
        await client.RemoveAsync(direct);
    }

    [Fact]
    public async Task An_official_image_by_its_short_name_is_the_one_in_library()
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Proxy);
        var (shortName, longName) = ($"{world.Proxy.Mirror.Authority}/hello", $"{world.Proxy.Mirror.Authority}/library/hello");

        (await docker.PullAsync(shortName)).Succeeded();
        var identity = await docker.IdentityAsync(shortName);
        await docker.RemoveAsync(shortName);

        (await docker.PullAsync(longName)).Succeeded();
        Assert.Equal(await docker.IdentityAsync(longName), identity);
        await docker.RemoveAsync(longName);
    }
}
