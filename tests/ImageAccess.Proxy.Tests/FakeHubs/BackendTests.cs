using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class BackendTests : IAsyncLifetime
{
    private DockerRegistryProcess _registry = null!;
    private FakeHub _hub = null!;
    private HubClient _client = null!;

    public async Task InitializeAsync()
    {
        _registry = await DockerRegistryProcess.StartAsync();
        _hub = await FakeHub.StartAsync(options => options.RegistryBackend = _registry.Address);
        _client = HubClient.Of(_hub);
        _hub.Users.Add("alice", "wonderland");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
        await _registry.DisposeAsync();
    }

    [Fact]
    public async Task A_real_registry_serves_what_the_token_allows()
    {
        var image = new ImageBuilder().AddFile("a.txt", "a").BuildIndex("amd64", "arm64");
        await _hub.PushAsync("library/hello", "1", image);
        await _hub.PushAsync("acme/secret", "1", image);
        _hub.Images.MakePrivate("acme/secret");

        _client.Token = await _hub.TokenForAsync(
            null, "repository:library/hello:pull", "repository:acme/secret:pull", "repository:acme/missing:pull");
        using var manifest = await _client.GetAsync("/v2/library/hello/manifests/1");
        using var hidden = await _client.GetAsync("/v2/acme/secret/manifests/1");
        using var missing = await _client.GetAsync("/v2/acme/missing/manifests/1");
        using var unknown = await _client.GetAsync("/v2/library/hello/manifests/2");

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
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");

        using var started = await _client.SendAsync(HttpMethod.Post, "/v2/alice/app/blobs/uploads/");
        var session = started.Headers.Location!.OriginalString;
        using var sent = await _client.SendAsync(HttpMethod.Patch, session, new ByteArrayContent(blob));
        var end = $"{sent.Headers.Location!.OriginalString}&digest={Uri.EscapeDataString(digest)}";
        using var stored = await _client.SendAsync(HttpMethod.Put, end);
        using var redirect = await _client.GetAsync($"/v2/alice/app/blobs/{digest}");
        _client.Token = null;
        using var content = await _client.GetAsync(redirect.Headers.Location!.OriginalString);

        Assert.StartsWith(_hub.Registry + "v2/alice/app/blobs/uploads/", session, StringComparison.Ordinal);
        Assert.Contains("_state=", session, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (sent.StatusCode, stored.StatusCode));
        Assert.Equal(HttpStatusCode.TemporaryRedirect, redirect.StatusCode);
        Assert.StartsWith(_hub.Cdn.AbsoluteUri, redirect.Headers.Location.OriginalString, StringComparison.Ordinal);
        Assert.Equal(blob, await content.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_mount_needs_pull_on_its_source()
    {
        var image = new ImageBuilder().AddFile("a.txt", "a").Build();
        await _hub.PushAsync("library/base", "1", image);
        var layer = Uri.EscapeDataString(FakeRegistry.DigestOf(image.Blobs[1].Span));
        var target = $"/v2/alice/app/blobs/uploads/?mount={layer}&from=library%2Fbase";

        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");
        using var without = await _client.SendAsync(HttpMethod.Post, target);
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push", "repository:library/base:pull");
        using var with = await _client.SendAsync(HttpMethod.Post, target);

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (without.StatusCode, with.StatusCode));
    }
}
