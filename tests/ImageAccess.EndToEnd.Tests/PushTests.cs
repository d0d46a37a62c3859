using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>Pushes through the proxy, addressed directly: what arrives is what was sent, and the rules are those of pulls.</summary>
[Collection(nameof(Surroundings))]
public sealed class PushTests(Surroundings world)
{
    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task Docker_pushes_to_the_organization_and_pulls_back_the_same(string name)
    {
        var docker = await world.DockerAsync(name, world.Proxy);
        var host = world.Proxy.Mirror.Authority;
        var repository = $"acme/pushed-by-{name.Replace(' ', '-')}";
        (await docker.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await docker.BuildAsync($"{host}/{repository}", "FROM scratch\nCOPY file /file\n", buildKit: name != "dockerd 20.10")).Succeeded();
        var pushed = await docker.IdentityAsync($"{host}/{repository}");
        world.Hub.Requests.Clear();

        (await docker.RunAsync("push", $"{host}/{repository}")).Succeeded();

        Assert.NotNull(await world.DigestAsync(repository, "latest"));
        Assert.Contains(Uploads(), request => request.Method == "PUT" && request.Query.Contains("digest=sha256%3A", StringComparison.OrdinalIgnoreCase));
        await docker.RemoveAsync($"{host}/{repository}");
        (await docker.PullAsync($"{host}/{repository}")).Succeeded();
        Assert.Equal(pushed, await docker.IdentityAsync($"{host}/{repository}"));
        await docker.RemoveAsync($"{host}/{repository}");
        (await docker.LogoutAsync(host)).Succeeded();
    }

    [Fact]
    public async Task Docker_mounts_a_layer_that_another_repository_of_the_organization_has()
    {
        var docker = await world.DockerAsync("dockerd 20.10", world.Proxy);
        var host = world.Proxy.Mirror.Authority;
        (await docker.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await docker.PullAsync($"{host}/acme/app")).Succeeded();
        (await docker.RunAsync("tag", $"{host}/acme/app", $"{host}/acme/mounted")).Succeeded();
        world.Hub.Requests.Clear();

        (await docker.RunAsync("push", $"{host}/acme/mounted")).Succeeded().Saying("Mounted from acme/app");

        var mount = Assert.Single(Uploads(), request => request.Query.Contains("mount=", StringComparison.Ordinal));
        Assert.Contains("from=acme%2Fapp", mount.Query, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(201, mount.Status);
        Assert.NotNull(await world.DigestAsync("acme/mounted", "latest"));
        await docker.RemoveAsync($"{host}/acme/app");
        await docker.RemoveAsync($"{host}/acme/mounted");
        (await docker.LogoutAsync(host)).Succeeded();
    }

    [Fact]
    public async Task Skopeo_pushes_to_the_organization_what_arrives_byte_for_byte()
    {
        var skopeo = await world.SkopeoAsync(world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        (await skopeo.PullAsync($"{world.Registry.Address.Authority}/acme/app")).Succeeded();
        var before = await skopeo.IdentityAsync($"{world.Registry.Address.Authority}/acme/app");

        (await skopeo.CopyToAsync(
            $"{world.Registry.Address.Authority}/acme/app",
            $"{host}/acme/pushed-by-skopeo",
            "--preserve-digests",
            "--dest-creds",
            $"bob:{Canaries.TokenOf("bob")}")).Succeeded();

        (await skopeo.PullAsync($"{host}/acme/pushed-by-skopeo")).Succeeded();
        Assert.Equal(before, await skopeo.IdentityAsync($"{host}/acme/pushed-by-skopeo"));
        Assert.Equal(
            await world.DigestAsync("acme/app", "latest"), await world.DigestAsync("acme/pushed-by-skopeo", "latest"));
    }

    [Fact]
    public async Task Podman_pushes_to_the_organization_and_pulls_back_the_same()
    {
        var podman = await world.PodmanAsync("podman 4", world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        (await podman.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await podman.PullAsync($"{host}/acme/app")).Succeeded();
        var before = await podman.IdentityAsync($"{host}/acme/app");

        (await podman.PushAsync($"{host}/acme/app", $"{host}/acme/pushed-by-podman")).Succeeded();
        await podman.RemoveAsync($"{host}/acme/app");

        (await podman.PullAsync($"{host}/acme/pushed-by-podman")).Succeeded();
        Assert.Equal(before, await podman.IdentityAsync($"{host}/acme/pushed-by-podman"));
        await podman.RemoveAsync($"{host}/acme/pushed-by-podman");
        (await podman.RunAsync("logout", host)).Succeeded();
    }

    /// <summary>What each client prints. podman and skopeo ask first which blobs are there, by a HEAD whose phrase they do not read, and read of the upload.</summary>
    public static TheoryData<string, string> Denials => new()
    {
        { "dockerd 20.10", Surroundings.Denied },
        { "dockerd 28", Surroundings.Denied },
        { "podman 4", $"denied: {Surroundings.Denied}" },
        { "podman 5", $"denied: {Surroundings.Denied}" },
        { "skopeo 1.9", $"denied: {Surroundings.Denied}" },
        { "skopeo 1.22", $"denied: {Surroundings.Denied}" },
    };

    [Theory]
    [MemberData(nameof(Denials))]
    public async Task A_push_to_a_community_namespace_is_a_community_operation(string name, string says)
    {
        var client = await world.ClientAsync(name, world.Proxy);
        var host = world.Proxy.Mirror.Authority;
        var (image, destination) = ($"{host}/acme/app", $"{host}/bob/leaked-by-{name.Replace(' ', '-')}");
        (await client.PullAsync(image)).Succeeded();
        await LoginAsync(client, host);
        world.Hub.Requests.Clear();

        var push = await PushAsync(client, image, destination);

        push.FailedSaying(says);
        Assert.Empty(Uploads());
        Assert.Contains(destination[(host.Length + 1)..], world.Proxy.AuditText(), StringComparison.Ordinal);
        await client.RemoveAsync(image);
    }

    private static async Task LoginAsync(IClient client, string host)
    {
        var (user, token) = ("bob", Canaries.TokenOf("bob"));
        switch (client)
        {
            case Docker docker: (await docker.LoginAsync(user, token, host)).Succeeded(); break;
            case Podman podman: (await podman.LoginAsync(user, token, host)).Succeeded(); break;
            case Skopeo skopeo: (await skopeo.LoginAsync(user, token, host)).Succeeded(); break;
            default: throw new ArgumentException("does not push", nameof(client));
        }
    }

    private static async Task<Outcome> PushAsync(IClient client, string image, string destination)
    {
        switch (client)
        {
            case Docker docker:
                (await docker.RunAsync("tag", image, destination)).Succeeded();
                var push = await docker.RunAsync("push", destination);
                await docker.RemoveAsync(destination);
                return push;
            case Podman podman:
                return await podman.PushAsync(image, destination);
            case Skopeo skopeo:
                return await skopeo.CopyToAsync(image, destination);
            default:
                throw new ArgumentException("does not push", nameof(client));
        }
    }

    private IEnumerable<RecordedRequest> Uploads() =>
        world.Hub.Requests.Of(Face.Registry).Where(request => request.Path.Contains("/blobs/uploads/", StringComparison.Ordinal));
}
