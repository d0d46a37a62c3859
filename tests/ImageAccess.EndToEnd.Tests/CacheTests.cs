using System.Security.Cryptography;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>Pulled once, an image comes again without Docker Hub: from every client, and with Docker Hub gone.</summary>
[Collection(nameof(Surroundings))]
public sealed class CacheTests(Surroundings world)
{
    public static TheoryData<string> Clients => MirrorTests.Clients;

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task The_second_pull_is_the_same_and_asks_nobody(string name)
    {
        var client = await world.ClientAsync(name, await world.CachingAsync());
        (await client.PullAsync("library/hello")).Succeeded();
        var first = await client.IdentityAsync("library/hello");
        await client.RemoveAsync("library/hello");
        world.Hub.Requests.Clear();

        (await client.PullAsync("library/hello")).Succeeded();

        Assert.Equal(first, await client.IdentityAsync("library/hello"));
        await client.RemoveAsync("library/hello");
        Assert.Empty(world.Hub.Requests.Of(Face.Registry));
        Assert.Empty(world.Hub.Requests.Of(Face.Cdn));
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task With_Docker_Hub_gone_the_token_service_too_it_comes_all_the_same(string name)
    {
        var client = await world.ClientAsync(name, await world.CachingAsync());
        (await client.PullAsync("bitnami/redis")).Succeeded();
        var first = await client.IdentityAsync("bitnami/redis");
        await client.RemoveAsync("bitnami/redis");
        world.Hub.Requests.Clear();
        using var registry = world.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        using var content = world.Hub.Faults.Add(Face.Cdn, Fault.CloseConnection());
        using var tokens = world.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        using var index = world.Hub.Faults.Add(Face.Index, Fault.CloseConnection());

        (await client.PullAsync("bitnami/redis")).Succeeded();

        Assert.Equal(first, await client.IdentityAsync("bitnami/redis"));
        await client.RemoveAsync("bitnami/redis");
        Assert.Empty(world.HandedOut("bitnami/redis"));
    }

    /// <summary>Pieces of a layer are asked for at once, each by a request of its own: Docker Hub hands every byte out once, and then none.</summary>
    [Fact]
    public async Task A_layer_that_is_pulled_in_pieces_is_handed_out_once()
    {
        const string Image = "library/pieces";
        await world.Hub.PushAsync(Image, "latest", new ImageBuilder().AddFile("large.bin", RandomNumberGenerator.GetBytes(24 << 20)).Build());
        var without = await world.ClientAsync("containerd 2 in parts", world.Proxy);
        world.Hub.Requests.Clear();
        (await without.PullAsync(Image)).Succeeded();
        var pieces = world.Hub.Requests.Of(Face.Cdn);
        Assert.True(pieces.Count > 10, $"this client pulled in {pieces.Count} pieces");

        var client = await world.ClientAsync("containerd 2 in parts", await world.CachingAsync());
        world.Hub.Requests.Clear();
        (await client.PullAsync(Image)).Succeeded();
        var handedOut = world.Hub.Requests.Of(Face.Cdn);
        Assert.Equal(handedOut.Select(request => request.Path).Distinct(), handedOut.Select(request => request.Path));
        Assert.InRange(handedOut.Sum(request => request.BodyBytesSent), 24 << 20, 25 << 20);
        Assert.Equal(await without.IdentityAsync(Image), await client.IdentityAsync(Image));

        await client.RemoveAsync(Image);
        world.Hub.Requests.Clear();
        (await client.PullAsync(Image)).Succeeded();
        Assert.Empty(world.Hub.Requests.Of(Face.Cdn));
        Assert.Empty(world.Hub.Requests.Of(Face.Registry));
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("podman 5")]
    public async Task What_is_kept_is_refused_to_whom_it_is_denied(string name)
    {
        var caching = await world.CachingAsync();
        var host = caching.Mirror.Authority;
        var docker = await world.DockerAsync("dockerd 20.10", caching);
        (await docker.LoginAsync("alice", Canaries.TokenOf("alice"), host)).Succeeded();
        (await docker.PullAsync($"{host}/someuser/custom-image")).Succeeded();
        await docker.RemoveAsync($"{host}/someuser/custom-image");
        (await docker.LogoutAsync(host)).Succeeded();

        var client = await world.ClientAsync(name, caching);
        (await client.PullAsync($"{host}/someuser/custom-image")).Failed();
        Assert.False(await client.HasAsync($"{host}/someuser/custom-image"));
    }
}
