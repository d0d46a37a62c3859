using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>Images are kept before anybody asks for them, by the rules that hold for everybody.</summary>
public sealed class CacheWarmingTests
{
    [Fact]
    public async Task What_is_allowed_is_kept_and_what_is_not_is_told()
    {
        await using var world = await Surroundings.StartAsync(settings: ("Cache:Enabled", "true"));
        var index = world.Hub.Images.PushImage("library/several", "1", new ImageBuilder().AddFile("a", "b").BuildIndex("amd64", "arm64"));
        var child = world.Hub.Images.FindManifest("library/several", index.References[0])!;

        var run = await CommandLine.RunAsync(
            "cache", "warm", "--mirror", world.Mirror.AbsoluteUri, "nginx", "several:1", "someuser/custom-image", "library/missing");

        Assert.Equal(1, run.ExitCode);
        string[] lines = run.Output.Split('\n', StringSplitOptions.TrimEntries);
        Assert.Contains("pulled   nginx", lines);
        Assert.Contains("pulled   several:1", lines);
        Assert.Contains("refused  someuser/custom-image", lines);
        Assert.Contains("403 image access denied: community images not allowed (ask in #platform)", lines);
        Assert.Contains("there is none, or it is private", lines);
        world.Hub.Requests.Clear();
        var token = await world.PullTokenAsync(null, "library/several");
        foreach (var target in new[] { $"manifests/{child.Digest}", $"blobs/{child.Config}", $"blobs/{child.Layers[0]}" })
            Assert.Equal(200, (await world.AskAsync("GET", $"/v2/library/several/{target}", token)).Status);
        Assert.Empty(world.Hub.Requests.All);
    }

    [Fact]
    public async Task One_platform_of_several_may_be_enough()
    {
        await using var world = await Surroundings.StartAsync(settings: ("Cache:Enabled", "true"));
        var index = world.Hub.Images.PushImage("library/several", "1", new ImageBuilder().AddFile("a", "b").BuildIndex("amd64", "arm64"));
        var run = await CommandLine.RunAsync("cache", "warm", "--mirror", world.Mirror.AbsoluteUri, "--platform", "linux/amd64", "several:1");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(2, world.Hub.Requests.Of(Face.Registry).Count(request => request.Path.Contains("/manifests/", StringComparison.Ordinal)));
        Assert.Equal(2, index.References.Count);
    }

    [Theory]
    [InlineData("--mirror: 'x' is not an address, as http://127.0.0.1:5000", "--mirror", "x", "nginx")]
    [InlineData("ghcr.io/owner/x is not an image of Docker Hub", "--mirror", "http://127.0.0.1:1", "ghcr.io/owner/x")]
    [InlineData("the proxy at http://127.0.0.1:1 does not answer (Connection refused); start it", "--mirror", "http://127.0.0.1:1", "nginx")]
    public async Task What_cannot_be_done_is_said(string error, params string[] arguments)
    {
        var run = await CommandLine.RunAsync(["cache", "warm", .. arguments]);
        Assert.Equal((2, $"imageaccess: {error}\n"), (run.ExitCode, run.Error));
    }
}
