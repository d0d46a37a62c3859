using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>A data directory as 0.1 left it (<c>tests/upgrade</c> writes the fixture): this program goes on with all of it.</summary>
public sealed class UpgradeTests
{
    private const string Redis = "bitnami/redis";

    private static readonly string Fixture = RepositoryRoot.Find("tests/ImageAccess.Proxy.Tests/Hosting/Fixtures/data-0.1");

    [Fact]
    public async Task What_0_1_left_is_used_and_stays()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync(("Cache:Enabled", "true"));
        var image = Push(here, "library/nginx", "kept\n");
        var redis = Push(here, Redis, "kept as well\n");
        await here.RestartAsync(() =>
        {
            Directory.Delete(here.DataDirectory, recursive: true);
            Copy(Fixture, here.DataDirectory);
        });

        var version = PolicyFixture.VersionOf(await File.ReadAllTextAsync(Path.Combine(Fixture, "policy.json")));
        Assert.Equal(version, here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Version);
        await Eventually.TrueAsync(() => !here.Proxy.Services.GetRequiredService<PolicyHistory>().IsWaiting);
        var history = await here.Proxy.Services.GetRequiredService<SqlDatabase>().ReadAsync(context => new PolicyVersions(context).ListAsync(10, default), default);
        Assert.Equal((version, "in force at the start"), Assert.Single(history.Select(row => (row.Version, row.Why))));

        // What is kept comes from the cache.
        var token = await here.PullTokenAsync("bob", "library/nginx");
        foreach (var rest in image.References.Select(digest => $"blobs/{digest}").Prepend($"manifests/{image.Digest}"))
            Assert.Equal(200, (await here.AskAsync("GET", $"/v2/library/nginx/{rest}", token)).Status);
        Assert.Equal(200, (await here.AskAsync("GET", $"/v2/{Redis}/manifests/{redis.Digest}", await here.PullTokenAsync("bob", Redis))).Status);
        Assert.DoesNotContain(here.Hub.Requests.Of(Face.Registry), request => request.Method == "GET");
        Assert.Empty(here.Hub.Requests.Of(Face.Cdn));

        // The trail goes on, and nothing of the rest was changed.
        var before = Lines(Path.Combine(Fixture, "audit.jsonl"));
        await Eventually.TrueAsync(() => Trail(here).Count >= before.Count + 2);
        Assert.Equal(before, Trail(here).Take(before.Count));
        foreach (var name in new[] { "policy.json", "policy.accepted.json", "members.json" })
            Assert.Equal(await File.ReadAllTextAsync(Path.Combine(Fixture, name)), await File.ReadAllTextAsync(Path.Combine(here.DataDirectory, name)));
        Assert.False(File.Exists(Path.Combine(here.DataDirectory, "blocks.json")));
    }

    private static PushedImage Push(Surroundings here, string repository, string content) => here.Hub.Images.PushImage(
        repository, "kept", new ImageBuilder().Command("/bin/sh").Label("org.opencontainers.image.title", repository).AddFile("hello.txt", content).Build());

    /// <summary>With what was rotated meanwhile, which is older.</summary>
    private static List<string> Trail(Surroundings here) =>
        [.. Directory.GetFiles(here.DataDirectory, "audit.jsonl*").OrderDescending(StringComparer.Ordinal).SelectMany(Lines)];

    private static List<string> Lines(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return [.. reader.ReadToEnd().Split('\n').SkipLast(1)];
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        foreach (var folder in Directory.GetDirectories(from))
            Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
    }
}
