using ImageAccess.EndToEnd.Tests.Clients;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// The files of <c>deploy/clients</c>, as people copy them: where an engine can do without Docker Hub, it does, also when the
/// proxy is down. Docker's own setting cannot: the README says so.
/// </summary>
[Collection(nameof(Surroundings))]
public sealed class RecipeTests(Surroundings world)
{
    [Theory]
    [InlineData("containerd 1.6")]
    [InlineData("containerd 2")]
    [InlineData("podman 4")]
    [InlineData("podman 5")]
    [InlineData("buildah 1.28")]
    [InlineData("skopeo 1.9")]
    public async Task What_the_recipe_sets_up_never_turns_to_Docker_Hub(string name)
    {
        var proxy = await world.ProxyAsync($"recipe-{name.Replace(' ', '-')}", Surroundings.Policy);
        await using var client = await StartAsync(name, proxy);
        world.Hub.Requests.Clear();

        (await client.PullAsync("library/hello")).Succeeded();
        await client.RemoveAsync("library/hello");
        Assert.NotEqual(0, (await client.PullAsync("someuser/custom-image")).ExitCode);
        await proxy.TerminateAsync();
        Assert.NotEqual(0, (await client.PullAsync("library/other")).ExitCode);

        Assert.Empty(world.HandedOut("someuser/custom-image"));
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task With_registry_mirrors_a_proxy_that_is_down_fails_open(string name)
    {
        var proxy = await world.ProxyAsync($"down-{name.Replace(' ', '-')}", Surroundings.Policy);
        var client = await world.ClientAsync(name, proxy);
        await proxy.TerminateAsync();
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).Succeeded();

        Assert.NotEmpty(world.HandedOut("someuser/custom-image"));
    }

    private async Task<IClient> StartAsync(string name, ProxyUnderTest proxy)
    {
        var cell = world.NewCell($"recipe {name}".Replace(' ', '-'), inTesting: name is "containerd 2" or "podman 5");
        var containerd = name.StartsWith("containerd", StringComparison.Ordinal);
        IClient client = name.Split(' ')[0] switch
        {
            "containerd" => await Containerd.StartAsync(cell, mirror: null),
            "podman" => Podman.Of(cell, mirror: null),
            "buildah" => Podman.Buildah(cell, mirror: null),
            "skopeo" => Skopeo.Of(cell, mirror: null),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no recipe for this client"),
        };
        cell.Write(
            containerd ? "hosts/docker.io/hosts.toml" : Registries.Configuration,
            Recipe(containerd ? "containerd/hosts.toml" : "podman/registries.conf").Replace("mirror.example.com:5000", proxy.Mirror.Authority, StringComparison.Ordinal));
        return client;
    }

    private static string Recipe(string file)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!Directory.Exists(Path.Combine(folder.FullName, "deploy")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("the checkout has no folder deploy");
        return File.ReadAllText(Path.Combine(folder.FullName, "deploy/clients", file));
    }
}
