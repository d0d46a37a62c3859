using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>An exception for one image, with real clients by mirror: that image comes, and nothing else of its repository, with Docker Hub reachable beside the proxy.</summary>
[Collection(nameof(SurroundingsOfDecisions))]
public sealed class ExceptionTests(Surroundings world)
{
    private const string Community = "image access denied: community images not allowed (ask in #platform)";

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    [InlineData("containerd 1.6")]
    [InlineData("containerd 2")]
    public async Task An_approved_digest_comes_and_nothing_else_of_its_repository(string name)
    {
        var repository = $"someuser/digest-for-{name.Replace(' ', '-')}";
        var (approved, other) = await PushAsync(repository);
        var proxy = await world.CachingAsync();
        var client = await world.ClientAsync(name, proxy);
        await DeniedAsync(client, $"{repository}@{approved.Digest}"); // without an exception

        await WhileGrantedAsync(proxy, [$"{repository}@{approved.Digest}"], async () =>
        {
            foreach (var isKept in new[] { false, true })
            {
                await DeniedAsync(client, $"{repository}:7", ReasonOf(name, repository, Community)); // its own tag too: the digest alone is approved
                await DeniedAsync(client, $"{repository}:8", ReasonOf(name, repository, Community));
                await DeniedAsync(client, $"{repository}@{other.Digest}");
                await DeniedAsync(client, $"{repository}@{ChildOf(other)}");
                await ComesAsync(client, $"{repository}@{approved.Digest}");
                await ComesAsync(client, $"{repository}@{ChildOf(approved)}");
                if (isKept)
                    (await proxy.VerbAsync("cache", "forget", repository)).Succeeded();
            }

            await ComesAsync(client, $"{repository}@{approved.Digest}"); // as after a restart with an empty cache: its manifests are asked for anew
        });
        await DeniedAsync(client, $"{repository}@{approved.Digest}"); // once it has ended, although it is kept
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    [InlineData("containerd 1.6")]
    [InlineData("containerd 2")]
    public async Task An_approved_tag_comes_until_it_is_moved(string name)
    {
        var repository = $"someuser/tag-for-{name.Replace(' ', '-')}";
        var (approved, other) = await PushAsync(repository);
        var proxy = await world.CachingAsync();
        var client = await world.ClientAsync(name, proxy);
        await WhileGrantedAsync(proxy, [$"{repository}:7", "--digest", approved.Digest], async () =>
        {
            await ComesAsync(client, $"{repository}:7");
            await DeniedAsync(client, $"{repository}:8", ReasonOf(name, repository, Community));

            await world.Hub.PushAsync(repository, "7", other);
            (await proxy.VerbAsync("cache", "forget", $"{repository}:7")).Succeeded(); // at once, and not after the time that a tag is believed
            await DeniedAsync(client, $"{repository}:7", $"image access denied: {repository}:7 was approved as {approved.Digest}, and has changed since");
            await DeniedAsync(client, $"{repository}@{other.Digest}");
            await ComesAsync(client, $"{repository}@{approved.Digest}");
        });
    }

    /// <summary>
    /// What is told of a denied tag. Who is held by an index that no content has asks for that by its digest, and is told that this is no approved image.
    /// </summary>
    private static string ReasonOf(string name, string repository, string reason) =>
        name == "dockerd 20.10" ? reason : $"image access denied: only approved images of {repository} are allowed (ask in #platform)";

    private static string ChildOf(BuiltImage image)
    {
        using var index = JsonDocument.Parse(image.Manifest);
        return index.RootElement.GetProperty("manifests")[0].GetProperty("digest").GetString()!;
    }

    /// <summary>Two images, each for two platforms: the first as 7, the other as 8.</summary>
    private async Task<(BuiltImage Approved, BuiltImage Other)> PushAsync(string repository)
    {
        var approved = new ImageBuilder().AddFile("approved.txt", $"approved of {repository}\n").BuildIndex("amd64", "arm64");
        var other = new ImageBuilder().AddFile("other.txt", $"other of {repository}\n").BuildIndex("amd64", "arm64");
        await world.Hub.PushAsync(repository, "7", approved);
        await world.Hub.PushAsync(repository, "8", other);
        return (approved, other);
    }

    private static async Task ComesAsync(Clients.IClient client, string image)
    {
        (await client.PullAsync(image)).Succeeded();
        Assert.True(await client.HasAsync(image));
        await client.RemoveAsync(image);
    }

    private async Task DeniedAsync(Clients.IClient client, string image, string says = "")
    {
        world.Hub.Requests.Clear();
        (await client.PullAsync(image)).FailedSaying(says);
        Assert.False(await client.HasAsync(image));
        Assert.DoesNotContain(world.HandedOut(image.Split(':', '@')[0]), request => request.ViaDockerHubNames);
    }

    private static async Task WhileGrantedAsync(ProxyUnderTest proxy, IReadOnlyList<string> exception, Func<Task> test)
    {
        var granted = (await proxy.VerbAsync(["exceptions", "add", .. exception, "--organization", "acme", "--reason", "needed by payments", "--json"])).Succeeded();
        using var facts = JsonDocument.Parse(granted.Text);
        var id = facts.RootElement.GetProperty("granted").GetProperty("id").GetInt64();
        try
        {
            await InForceAsync(proxy, 1);
            await test();
        }
        finally
        {
            (await proxy.VerbAsync("exceptions", "end", $"{id}")).Succeeded();
            await InForceAsync(proxy, 0);
        }
    }

    private static Task InForceAsync(ProxyUnderTest proxy, int count) =>
        proxy.UntilAsync(async () => (await proxy.ReadinessAsync()).Contains($"\"exceptions\": {count}", StringComparison.Ordinal));
}
