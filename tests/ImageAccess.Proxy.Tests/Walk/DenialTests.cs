using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

public abstract class DenialTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Denied = "image access denied: community images not allowed";
    private const string Repository = "someuser/custom-image";
    private const string ClassicDocker = "docker/20.10.24 go/go1.19 git-commit/5d6db84 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24)";
    private const string ContainerdStore = "docker/28.5.1 go/go1.24 UpstreamClient(Docker-Client/28.5.1) containerd-client/2.1.0";
    private const string Ctr = "containerd/1.6.20";
    private const string Podman = "containers/5.20.1 (github.com/containers/image)";
    private const string Crane = "go-containerregistry/v0.20";

    private static readonly string Digest = "sha256:" + new string('a', 64);

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    // classic dockerd: always held
    [InlineData(ClassicDocker, "HEAD", "latest", "", 500, Denied + " (no such process)")]
    [InlineData(ClassicDocker, "GET", "latest", "", 500, Denied + " (no such process)")]
    [InlineData(ClassicDocker, "HEAD", "digest", "", 500, Denied + " (no such process)")]
    // the containerd family: held where it names the registry it takes the proxy for
    [InlineData(ContainerdStore, "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    [InlineData(ContainerdStore, "GET", "latest", "?ns=docker.io", 403, Denied)]
    [InlineData(ContainerdStore, "HEAD", "digest", "?ns=docker.io", 300, Denied)]
    [InlineData(ContainerdStore, "GET", "digest", "?ns=docker.io", 403, Denied)]
    [InlineData(ContainerdStore, "HEAD", "latest", "", 403, Denied)]
    [InlineData(Ctr, "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    [InlineData("buildkit/v0.12", "HEAD", "latest", "?ns=docker.io", 200, Denied)]
    // podman, skopeo, buildah: GET by tag
    [InlineData(Podman, "GET", "latest", "", 200, "OK")]
    [InlineData("skopeo/1.9.3", "GET", "latest", "", 200, "OK")]
    [InlineData("Buildah/1.28.2", "GET", "latest", "", 200, "OK")]
    [InlineData(Podman, "HEAD", "latest", "", 403, Denied)]
    [InlineData(Podman, "GET", "digest", "", 403, Denied)]
    // everyone else
    [InlineData(Crane, "GET", "latest", "", 403, Denied)]
    [InlineData("curl/8", "HEAD", "latest", "", 403, Denied)]
    [InlineData(null, "GET", "latest", "?ns=docker.io", 403, Denied)]
    public async Task A_denied_manifest_is_worded_for_its_client(
        string? userAgent, string method, string reference, string query, int status, string phrase)
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync(
            method, $"/v2/{Repository}/manifests/{(reference == "digest" ? Digest : reference)}{query}", token, userAgent);

        Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        Assert.Equal("no-store", answer.Header("Cache-Control"));
        Assert.Matches("^[0-9a-f]{32}$", answer.Header("X-ImageAccess-Decision"));
        Assert.Null(answer.Header("Location"));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    [Theory]
    [InlineData(ClassicDocker, "DENIED")] // UNKNOWN makes it try a blob six times
    [InlineData(ContainerdStore, "DENIED")]
    [InlineData(Podman, "DENIED")]
    [InlineData(Crane, "DENIED")]
    public async Task A_denial_says_why_in_its_body(string userAgent, string code)
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{Repository}/blobs/{Digest}", token, userAgent);

        Assert.Equal((403, Denied, "application/json"), (answer.Status, answer.Phrase, answer.Header("Content-Type")));
        using var json = JsonDocument.Parse(answer.Body);
        var error = json.RootElement.GetProperty("errors")[0];
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal(Denied + " (ask in #platform)", error.GetProperty("message").GetString());
        var detail = error.GetProperty("detail");
        Assert.Equal(answer.Header("X-ImageAccess-Decision"), detail.GetProperty("decision").GetString());
        Assert.Equal("community", detail.GetProperty("category").GetString());
        Assert.Equal("community", detail.GetProperty("rule").GetString());
    }

    [Fact]
    public async Task Podmans_hollow_manifest_is_of_content_that_is_denied()
    {
        var token = await _surroundings.PullTokenAsync("bob", Repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{Repository}/manifests/latest", token, Podman);
        var again = await _surroundings.AskAsync("GET", $"/v2/{Repository}/manifests/latest", token, Podman);

        Assert.Equal(FakeRegistry.DigestOf(System.Text.Encoding.ASCII.GetBytes(answer.Body)), answer.Header("Docker-Content-Digest"));
        Assert.NotEqual(answer.Header("Docker-Content-Digest"), again.Header("Docker-Content-Digest"));
        using var manifest = JsonDocument.Parse(answer.Body);
        foreach (var blob in new[] { manifest.RootElement.GetProperty("config"), manifest.RootElement.GetProperty("layers")[0] })
        {
            var denied = await _surroundings.AskAsync("GET", $"/v2/{Repository}/blobs/{blob.GetProperty("digest").GetString()}", token, Podman);
            Assert.Equal((403, Denied), (denied.Status, denied.Phrase));
        }
    }

    [Fact]
    public async Task Without_holding_every_client_gets_the_plain_denial()
    {
        await using var plain = await StartAsync(settings: ("Mirror:Hold", "false"));
        var token = await plain.PullTokenAsync("bob", Repository);
        foreach (var userAgent in new[] { ClassicDocker, ContainerdStore, Podman, Crane })
        {
            foreach (var method in new[] { "HEAD", "GET" })
            {
                var answer = await plain.AskAsync(method, $"/v2/{Repository}/manifests/latest?ns=docker.io", token, userAgent);
                Assert.Equal((403, Denied), (answer.Status, answer.Phrase));
                if (method == "GET")
                    Assert.Contains(userAgent == ClassicDocker ? "\"code\":\"UNKNOWN\"" : "\"code\":\"DENIED\"", answer.Body, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("alice", "someuser/custom-image", 200)]
    [InlineData("bob", "someuser/custom-image", 403)]
    [InlineData("carol", "someuser/custom-image", 403)]
    [InlineData(null, "someuser/custom-image", 403)]
    [InlineData("acme", "library/nginx", 403)]
    [InlineData("bob", "bitnami/redis", 403)]
    [InlineData("bob", "library/nginx", 200)]
    [InlineData(null, "library/nginx", 200)]
    [InlineData("bob", "acme/secret", 200)]
    public async Task The_tokens_identity_decides(string? username, string repository, int status)
    {
        var token = await _surroundings.PullTokenAsync(username, repository);
        var answer = await _surroundings.AskAsync("GET", $"/v2/{repository}/manifests/latest", token);
        Assert.Equal(status, answer.Status);
    }
}

public sealed class DenialTests_direct() : DenialTests(Direct);

public sealed class DenialTests_kestrel() : DenialTests(Kestrel);
