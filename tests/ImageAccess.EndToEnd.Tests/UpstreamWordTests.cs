using System.Security.Cryptography;
using System.Text.Json;
using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>What Docker Hub says reaches real clients: old images, long lists, and why it refuses a push.</summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class UpstreamWordTests(Surroundings world)
{
    private const string Quota = "you have used up your storage quota of 5 GB";
    private const string Old = "library/old";

    [Theory]
    [InlineData("skopeo 1.9")]
    [InlineData("skopeo 1.22")]
    public async Task Skopeo_copies_an_image_of_schema_1_byte_for_byte(string name)
    {
        var image = await PushSignedAsync();
        using var served = ServeSigned(image);
        var skopeo = (Skopeo)await world.ClientAsync(name, await world.CachingAsync());
        var reference = $"{(await world.CachingAsync()).Mirror.Authority}/{Old}:latest";
        for (var times = 0; times < 2; times++)
        {
            (await skopeo.PullAsync(reference)).Succeeded();
            Assert.Contains($"manifest.json {Convert.ToHexString(image.Manifest)}", await skopeo.IdentityAsync(reference), StringComparison.Ordinal);
            await skopeo.RemoveAsync(reference);
        }

        (await skopeo.RunAsync("inspect", "--tls-verify=false", $"docker://{reference}")).Succeeded().Saying(image.Digest);
        (await skopeo.RunAsync("inspect", "--tls-verify=false", $"docker://{reference.Replace(":latest", $"@{image.Digest}", StringComparison.Ordinal)}")).Succeeded().Saying(image.Digest);
    }

    [Fact]
    public async Task Docker_pulls_an_image_of_schema_1()
    {
        var image = await PushSignedAsync();
        using var served = ServeSigned(image);
        var caching = await world.CachingAsync();
        var docker = await world.DockerAsync("dockerd 20.10", caching);
        var reference = $"{caching.Mirror.Authority}/{Old}";
        foreach (var one in new[] { $"{reference}:latest", $"{reference}@{image.Digest}" })
        {
            (await docker.PullAsync(one)).Succeeded().Saying(image.Digest);
            Assert.True(await docker.HasAsync(one));
            await docker.RemoveAsync(one);
        }
    }

    [Theory]
    [InlineData("skopeo 1.9")]
    [InlineData("skopeo 1.22")]
    public async Task Skopeo_lists_two_hundred_thousand_tags(string name)
    {
        const string Repository = "library/hello";
        string[] tags = [.. Enumerable.Range(0, 200_000).Select(tag => $"2024.01.{tag:d6}-some-long-suffix")];
        using var served = world.Hub.Faults.Add(Face.Registry, $"/v2/{Repository}/tags/list", Fault.Status(200, JsonSerializer.Serialize(new { name = Repository, tags })));
        var skopeo = (Skopeo)await world.ClientAsync(name, world.Yielding);

        var listed = (await skopeo.RunAsync("list-tags", "--tls-verify=false", $"docker://{world.Yielding.Mirror.Authority}/{Repository}")).Succeeded();

        Assert.Equal(tags, JsonDocument.Parse(listed.Text).RootElement.GetProperty("Tags").EnumerateArray().Select(tag => tag.GetString()!));
    }

    [Theory]
    [InlineData("dockerd 20.10", 413)]
    [InlineData("dockerd 20.10", 403)]
    [InlineData("dockerd 20.10", 429)]
    public async Task Docker_prints_why_its_push_is_refused(string name, int status)
    {
        var docker = await world.DockerAsync(name, world.Proxy);
        var host = world.Proxy.Mirror.Authority;
        await world.Hub.PushAsync("acme/big", "latest", new ImageBuilder().AddFile("big", RandomNumberGenerator.GetBytes(64 * 1024 * 1024)).WithDockerMediaTypes().Build());
        var (source, destination) = ($"{world.Registry.Address.Authority}/acme/big", $"{host}/acme/too-big-{status}");
        (await docker.LoginAsync("bob", Canaries.TokenOf("bob"), host)).Succeeded();
        (await docker.PullAsync(source)).Succeeded();
        (await docker.RunAsync("tag", source, destination)).Succeeded();
        using var refusal = world.Hub.Faults.Add(
            Face.Registry,
            request => request.Method is "PATCH" or "PUT" && request.Path.StartsWith($"/v2/acme/too-big-{status}/", StringComparison.Ordinal),
            Fault.Status(status, $$"""{"errors":[{"code":"DENIED","message":"{{Quota}}"}]}"""));

        (await docker.RunAsync("push", destination)).FailedSaying(Quota);

        Assert.NotEqual(0, refusal.Hits);
        await docker.RemoveAsync(source);
        await docker.RemoveAsync(destination);
        (await docker.LogoutAsync(host)).Succeeded();
    }

    [Fact]
    public async Task Skopeo_prints_why_its_push_is_refused()
    {
        var skopeo = await world.SkopeoAsync(world.Yielding);
        var host = world.Yielding.Mirror.Authority;
        var source = $"{world.Registry.Address.Authority}/acme/bigger";
        await world.Hub.PushAsync("acme/bigger", "latest", new ImageBuilder().AddFile("big", RandomNumberGenerator.GetBytes(64 * 1024 * 1024)).Build());
        (await skopeo.PullAsync(source)).Succeeded();
        using var refusal = world.Hub.Faults.Add(
            Face.Registry,
            request => request.Method is "PATCH" or "PUT" && request.Path.StartsWith("/v2/acme/too-big/", StringComparison.Ordinal),
            Fault.Status(413, $$"""{"errors":[{"code":"DENIED","message":"{{Quota}}"}]}"""));

        (await skopeo.CopyToAsync(source, $"{host}/acme/too-big", "--dest-creds", $"bob:{Canaries.TokenOf("bob")}")).FailedSaying(Quota);
        await skopeo.RemoveAsync(source);
    }

    /// <summary>The layer is in the registry; the manifest is served in place of the one that is there.</summary>
    private async Task<SignedImage> PushSignedAsync()
    {
        var built = new ImageBuilder().AddFile("hello", "#!/bin/sh\necho hello\n", executable: true).WithDockerMediaTypes().Build();
        await world.Hub.PushAsync(Old, "latest", built);
        return SignedImage.Of(Old, "latest", [FakeRegistry.DigestOf(built.Blobs[1].Span)]);
    }

    private ArmedFault ServeSigned(SignedImage image) => world.Hub.Faults.Add(Face.Registry, $"/v2/{Old}/manifests/", Fault.Custom(async (http, _) =>
    {
        http.Response.Headers["Docker-Content-Digest"] = image.Digest;
        http.Response.ContentType = SignedImage.MediaType;
        http.Response.ContentLength = image.Manifest.Length;
        if (HttpMethods.IsGet(http.Request.Method))
            await http.Response.Body.WriteAsync(image.Manifest, http.RequestAborted);
    }));
}
