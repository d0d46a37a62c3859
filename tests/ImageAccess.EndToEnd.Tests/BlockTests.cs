using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>An image that was pulled before, and then is blocked: no client has it any more, although it is kept and Docker Hub is reachable beside the proxy.</summary>
[Collection(nameof(Surroundings))]
public sealed class BlockTests(Surroundings world)
{
    private const string Kept = "acme/blocked";
    private const string Denied = $"image access denied: {Kept} is blocked (CVE-2026-1; ask in #platform)";

    [Theory]
    [InlineData("dockerd 20.10", $"500 {Denied} (no such process)")]
    [InlineData("dockerd 28", $"error from registry: {Denied}")]
    [InlineData("containerd 1.6", $"403 {Denied}")]
    [InlineData("containerd 2", $"403 {Denied}")]
    public async Task What_is_kept_is_denied_within_a_second_and_comes_again_when_the_block_is_lifted(string name, string says)
    {
        await world.Hub.PushAsync(Kept, "latest", new ImageBuilder().AddFile("kept.txt", "kept\n").BuildIndex("amd64", "arm64"));
        var proxy = await world.CachingAsync();
        var client = await world.ClientAsync(name, proxy);
        (await client.PullAsync(Kept)).Succeeded();
        await client.RemoveAsync(Kept);

        await WhileBlockedAsync(proxy, Kept, async () =>
        {
            world.Hub.Requests.Clear();
            (await client.PullAsync(Kept)).FailedSaying(says);
            Assert.False(await client.HasAsync(Kept));
            Assert.Empty(world.HandedOut(Kept));
        });
        (await client.PullAsync(Kept)).Succeeded();
        await client.RemoveAsync(Kept);
    }

    /// <summary>A client that is denied in the middle of a pull asks Docker Hub for the rest of it, unless it is held.</summary>
    [Theory]
    [InlineData("dockerd 20.10", "manifest")]
    [InlineData("dockerd 28", "manifest")]
    [InlineData("containerd 1.6", "manifest")]
    [InlineData("containerd 2", "manifest")]
    [InlineData("dockerd 20.10", "layer")]
    [InlineData("dockerd 28", "layer")]
    [InlineData("containerd 1.6", "layer")]
    [InlineData("containerd 2", "layer")]
    public async Task A_part_that_is_blocked_comes_from_nowhere(string name, string part)
    {
        var image = $"acme/{part}-of-{name.Replace(' ', '-')}";
        var built = new ImageBuilder().AddFile("part.txt", $"a part of {image}\n").Build();
        await world.Hub.PushAsync(image, "latest", built);
        var proxy = await world.CachingAsync();
        var client = await world.ClientAsync(name, proxy);
        var blocked = part == "layer" ? LayerOf(built) : (await world.DigestAsync(image, "latest"))!;
        await WhileBlockedAsync(proxy, blocked, async () =>
        {
            world.Hub.Requests.Clear();
            Assert.NotEqual(0, (await client.PullAsync(image)).ExitCode);
            Assert.False(await client.HasAsync(image));
            Assert.DoesNotContain(world.HandedOut(image), request => request.ViaDockerHubNames);
        });
        (await client.PullAsync(image)).Succeeded(); // nothing that it got meanwhile is in the way
        await client.RemoveAsync(image);
    }

    [Fact]
    public async Task An_owner_is_denied_too()
    {
        const string Image = "someuser/custom-image";
        var proxy = await world.InterceptingAsync();
        var client = (Clients.Docker)await world.InterceptedClientAsync("dockerd 28", "gateway");
        (await client.LoginAsync("alice", Canaries.PasswordOf("alice"))).Succeeded();
        try
        {
            (await client.PullAsync(Image)).Succeeded();
            await client.RemoveAsync(Image);
            await WhileBlockedAsync(proxy, Image, async () =>
            {
                (await client.PullAsync(Image)).FailedSaying($"image access denied: {Image} is blocked (CVE-2026-1; ask in #platform)");
                Assert.False(await client.HasAsync(Image));
            });
        }
        finally
        {
            await client.LogoutAsync();
        }
    }

    private static string LayerOf(BuiltImage image)
    {
        using var manifest = JsonDocument.Parse(image.Manifest);
        return manifest.RootElement.GetProperty("layers")[0].GetProperty("digest").GetString()!;
    }

    private static async Task WhileBlockedAsync(ProxyUnderTest proxy, string image, Func<Task> test)
    {
        await ChangeAsync(proxy, 1, "block", image, "--reason", "CVE-2026-1");
        try
        {
            await test();
        }
        finally
        {
            await ChangeAsync(proxy, 0, "unblock", image, "--reason", "fixed");
        }
    }

    private static async Task ChangeAsync(ProxyUnderTest proxy, int count, params string[] verb)
    {
        (await proxy.VerbAsync(verb)).Succeeded();
        await proxy.UntilAsync(async () => (await proxy.ReadinessAsync()).Contains($"\"blocks\": {count}", StringComparison.Ordinal));
    }
}
