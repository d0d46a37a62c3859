using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class BackendTests : IAsyncLifetime
{
    private DockerRegistryProcess registry = null!;
    private FakeHub hub = null!;
    private HubClient client = null!;

    public async Task InitializeAsync()
    {
        registry = await DockerRegistryProcess.StartAsync();
        hub = await FakeHub.StartAsync(options => options.RegistryBackend = registry.Address);
        client = HubClient.Of(hub);
        hub.Users.Add("alice", "wonderland");
    }

    public async Task DisposeAsync()
    {
        client.Dispose();
        await hub.DisposeAsync();
        await registry.DisposeAsync();
    }

    [Fact]
    public async Task A_real_registry_serves_what_the_token_allows()
    {
        var image = new ImageBuilder().AddFile("a.txt", "a").BuildIndex("amd64", "arm64");
        await hub.PushAsync("library/hello", "1", image);
        await hub.PushAsync("acme/secret", "1", image);
        hub.Images.MakePrivate("acme/secret");

        client.Token = await hub.TokenForAsync(null, "repository:library/hello:pull", "repository:acme/secret:pull", "repository:acme/missing:pull");
        using var manifest = await client.GetAsync("/v2/library/hello/manifests/1");
        using var hidden = await client.GetAsync("/v2/acme/secret/manifests/1");
        using var missing = await client.GetAsync("/v2/acme/missing/manifests/1");
        using var unknown = await client.GetAsync("/v2/library/hello/manifests/2");

        Assert.Equal(image.Digest, FakeRegistry.DigestOf(await manifest.Content.ReadAsByteArrayAsync()));
        Assert.Equal(image.Digest, manifest.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.True(manifest.Headers.Contains("ratelimit-limit"));
        Assert.Equal(HttpStatusCode.Unauthorized, hidden.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, missing.StatusCode);
        Assert.Equal("MANIFEST_UNKNOWN", (string)(await HubClient.JsonOf(unknown))["errors"]![0]!["code"]!);
    }

    [Fact]
    public async Task A_blob_goes_up_and_comes_back_through_the_cdn()
    {
        var blob = "0123456789"u8.ToArray();
        var digest = FakeRegistry.DigestOf(blob);
        client.Token = await hub.TokenForAsync("alice", "repository:alice/app:pull,push");

        using var started = await client.SendAsync(HttpMethod.Post, "/v2/alice/app/blobs/uploads/");
        var session = started.Headers.Location!.OriginalString;
        using var sent = await client.SendAsync(HttpMethod.Patch, session, new ByteArrayContent(blob));
        using var stored = await client.SendAsync(HttpMethod.Put, $"{sent.Headers.Location!.OriginalString}&digest={Uri.EscapeDataString(digest)}");
        using var redirect = await client.GetAsync($"/v2/alice/app/blobs/{digest}");
        client.Token = null;
        using var content = await client.GetAsync(redirect.Headers.Location!.OriginalString);

        Assert.StartsWith(hub.Registry + "v2/alice/app/blobs/uploads/", session, StringComparison.Ordinal);
        Assert.Contains("_state=", session, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (sent.StatusCode, stored.StatusCode));
        Assert.Equal(HttpStatusCode.TemporaryRedirect, redirect.StatusCode);
        Assert.StartsWith(hub.Cdn.AbsoluteUri, redirect.Headers.Location.OriginalString, StringComparison.Ordinal);
        Assert.Equal(blob, await content.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_mount_needs_pull_on_its_source()
    {
        var image = new ImageBuilder().AddFile("a.txt", "a").Build();
        await hub.PushAsync("library/base", "1", image);
        var target = $"/v2/alice/app/blobs/uploads/?mount={Uri.EscapeDataString(FakeRegistry.DigestOf(image.Blobs[1].Span))}&from=library%2Fbase";

        client.Token = await hub.TokenForAsync("alice", "repository:alice/app:pull,push");
        using var without = await client.SendAsync(HttpMethod.Post, target);
        client.Token = await hub.TokenForAsync("alice", "repository:alice/app:pull,push", "repository:library/base:pull");
        using var with = await client.SendAsync(HttpMethod.Post, target);

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (without.StatusCode, with.StatusCode));
    }
}
