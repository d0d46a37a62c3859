using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A block denies everybody, by whichever request and by whichever name the content is asked for.</summary>
public abstract class BlockTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string ClassicDocker = "docker/28.5.2 go/go1.24 git-commit/1 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.2)";
    private const string Containerd = "containerd/2.1.5";
    private const string Podman = "containers/5.36.2 (github.com/containers/image)";
    private const string Curl = "curl/8";
    private const string Acme = "acme/app";

    private Surroundings _here = null!;
    private PushedImage _index = null!;
    private PushedImage _child = null!;

    public async Task InitializeAsync()
    {
        _here = await StartAsync(settings: [("Cache:Enabled", "true")]);
        _index = _here.Hub.Images.PushImage(Acme, "index", new ImageBuilder().AddFile("a.txt", "a\n").BuildIndex("amd64"));
        _child = _here.Hub.Images.FindManifest(Acme, _index.References[0])!;
        _here.Hub.Images.AllowPush(Acme, "alice", "bob");
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    /// <summary>bob's own organization's image, alice's as its owner, and all of it kept here.</summary>
    [Theory]
    [InlineData("acme/*")]
    [InlineData("acme/app")]
    public async Task A_blocked_repository_has_nothing_for_anybody(string image)
    {
        await PullAllAsync("alice");
        await BlockAsync(image);
        _here.Hub.Requests.Clear();

        var digest = _index.Digest;
        foreach (var user in new[] { "alice", "bob", "carol", null })
        {
            var token = await _here.TokenAsync(user, $"repository:{Acme}:pull,push");
            foreach (var (method, rest) in new[]
            {
                ("HEAD", "manifests/index"), ("GET", "manifests/index"), ("GET", "manifests/nosuchtag"), ("GET", $"manifests/{digest}"), ("GET", $"manifests/{_child.Digest}"),
                ("HEAD", $"blobs/{_child.Layers[0]}"), ("GET", $"blobs/{_child.Layers[0]}"), ("GET", $"blobs/{_child.Config}"),
                ("GET", $"referrers/{digest}"), ("GET", "tags/list"), ("GET", "tags/list?n=1"), ("POST", "blobs/uploads/"), ("DELETE", "manifests/index"),
            })
            {
                var answer = await _here.AskAsync(method, $"/v2/{Acme}/{rest}", token, Curl);
                Assert.Equal((403, $"image access denied: {image} is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
            }
        }

        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        Assert.Equal(200, (await AskAsync("bob", "GET", "library/nginx", "manifests/latest")).Status);
    }

    [Fact]
    public async Task A_token_that_grants_nothing_is_denied_and_not_told_to_come_with_another()
    {
        await BlockAsync(Acme);
        var other = await _here.PullTokenAsync("bob", "library/nginx");
        Assert.Equal(403, (await _here.AskAsync("GET", $"/v2/{Acme}/manifests/index", other, Curl)).Status);
        Assert.Equal(401, (await _here.AskAsync("GET", $"/v2/{Acme}/manifests/index", null, Curl)).Status); // who asks is in the trail
        Assert.Equal(401, (await _here.AskAsync("GET", "/v2/acme/secret/manifests/latest", other, Curl)).Status);
    }

    [Fact]
    public async Task A_part_of_a_blob_is_denied_as_the_whole()
    {
        await PullAllAsync("bob");
        await BlockAsync(_child.Layers[0]);
        var token = await _here.PullTokenAsync("bob", Acme);
        var answer = await _here.SendRawAsync(
            $"GET /v2/{Acme}/blobs/{_child.Layers[0]} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nRange: bytes=0-3\r\n\r\n");
        Assert.Equal((403, $"image access denied: {_child.Layers[0]} is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
    }

    [Fact]
    public async Task A_blocked_tag_is_denied_and_neither_its_digest_nor_the_list_nor_other_tags_are()
    {
        await BlockAsync("acme/app:index");
        Assert.Equal(403, (await AskAsync("alice", "GET", Acme, "manifests/index")).Status);
        Assert.Equal(403, (await AskAsync("alice", "HEAD", Acme, "manifests/index")).Status);
        Assert.Equal(200, (await AskAsync("alice", "GET", Acme, $"manifests/{_index.Digest}")).Status);
        Assert.Equal(200, (await AskAsync("alice", "GET", Acme, "manifests/latest")).Status);
        Assert.Equal(200, (await AskAsync("alice", "GET", Acme, "tags/list")).Status);
    }

    /// <summary>The index, its child, the child's configuration and a layer: each by its digest anywhere, and in this repository.</summary>
    [Theory]
    [InlineData("index", false, true)]
    [InlineData("index", false, false)]
    [InlineData("index", true, true)]
    [InlineData("child", false, true)]
    [InlineData("child", true, false)]
    public async Task A_tag_that_leads_to_a_blocked_digest_is_denied(string part, bool here, bool kept)
    {
        if (kept)
            await PullAllAsync("bob");
        var image = (here ? $"{Acme}@" : "") + (part == "index" ? _index.Digest : _child.Digest);
        await BlockAsync(image);

        foreach (var user in new[] { "bob", "alice" })
        {
            // What a HEAD that goes upstream leads to is the digest alone: not yet what its content names.
            foreach (var method in kept || part == "index" ? new[] { "HEAD", "GET" } : ["GET"])
            {
                var answer = await AskAsync(user, method, Acme, "manifests/index");
                Assert.Equal((403, $"image access denied: {image} is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
                Assert.Null(answer.Header("Docker-Content-Digest"));
                Assert.Null(answer.Header("ETag"));
            }
        }

        Assert.Equal(200, (await AskAsync("bob", "GET", Acme, "manifests/latest")).Status);
    }

    [Theory]
    [InlineData("layer", true)]
    [InlineData("layer", false)]
    [InlineData("config", true)]
    [InlineData("config", false)]
    public async Task An_image_with_a_blocked_part_is_denied_by_its_manifest_and_by_the_part(string part, bool kept)
    {
        if (kept)
            await PullAllAsync("bob");
        var digest = part == "layer" ? _child.Layers[0] : _child.Config!;
        await BlockAsync(digest);
        foreach (var rest in new[] { $"manifests/{_child.Digest}", $"blobs/{digest}" })
        {
            var answer = await AskAsync("alice", "GET", Acme, rest);
            Assert.Equal((403, $"image access denied: {digest} is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
            Assert.DoesNotContain("layers", answer.Body, StringComparison.Ordinal);
        }

        Assert.Equal(200, (await AskAsync("alice", "GET", Acme, "manifests/index")).Status);
    }

    [Fact]
    public async Task The_same_content_under_another_name_is_denied_where_the_digest_is_blocked_anywhere()
    {
        _here.Hub.Images.PushImage("bitnami/copy", "other", new ImageBuilder().AddFile("a.txt", "a\n").BuildIndex("amd64"));
        Assert.Equal(_index.Digest, _here.Hub.Images.FindManifest("bitnami/copy", "other")!.Digest);
        await BlockAsync($"{Acme}@{_index.Digest}");
        Assert.Equal(200, (await AskAsync("alice", "GET", "bitnami/copy", "manifests/other")).Status);
        await BlockAsync(_index.Digest);
        Assert.Equal(403, (await AskAsync("alice", "GET", "bitnami/copy", "manifests/other")).Status);
        Assert.Equal(403, (await AskAsync("alice", "GET", "bitnami/copy", $"manifests/{_index.Digest}")).Status);
    }

    [Fact]
    public async Task A_tag_that_moved_to_other_content_is_served_and_one_that_moved_to_blocked_content_is_not()
    {
        var good = _here.Hub.Images.FindManifest(Acme, "latest")!;
        Assert.Equal(200, (await AskAsync("bob", "GET", Acme, "manifests/latest")).Status);
        await _here.RestartAsync(("Cache:TagFreshness", "00:00:00"));
        _here.Hub.Images.PushManifest(Acme, "latest", _index.Manifest, _index.MediaType);
        await BlockAsync(_index.Digest);
        Assert.Equal(403, (await AskAsync("bob", "GET", Acme, "manifests/latest")).Status);
        Assert.Equal(403, (await AskAsync("bob", "HEAD", Acme, "manifests/latest")).Status);
        _here.Hub.Images.PushManifest(Acme, "latest", good.Manifest, good.MediaType);
        Assert.Equal(200, (await AskAsync("bob", "GET", Acme, "manifests/latest")).Status);
    }

    [Fact]
    public async Task Nothing_is_pushed_to_or_mounted_from_what_is_blocked()
    {
        await BlockAsync("acme/app:stable");
        await BlockAsync("library/nginx");
        await BlockAsync(_child.Config!);
        var token = await _here.TokenAsync("alice", $"repository:{Acme}:pull,push", "repository:library/nginx:pull", "repository:acme/secret:pull");
        _here.Hub.Requests.Clear();

        foreach (var target in new[] { "manifests/stable", $"manifests/{_index.Digest}?tag=stable" })
        {
            var body = System.Text.Encoding.UTF8.GetString(_index.Manifest.Span);
            var answer = await _here.SendRawAsync(
                $"PUT /v2/{Acme}/{target} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
                + $"Content-Type: {_index.MediaType}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            Assert.Equal((403, "image access denied: acme/app:stable is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
        }

        Assert.Equal(403, (await _here.AskAsync("PUT", $"/v2/{Acme}/blobs/uploads/1?digest={_child.Config}", token)).Status);
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));

        var layer = _here.Hub.Images.FindManifest("library/nginx", "latest")!.Layers[0];
        foreach (var mount in new[] { $"mount={layer}&from=library/nginx", $"mount={_child.Config}&from=acme/secret" })
            Assert.Equal(202, (await _here.AskAsync("POST", $"/v2/{Acme}/blobs/uploads/?{mount}", token)).Status);
        Assert.All(_here.Hub.Requests.Of(Face.Registry), asked => Assert.DoesNotContain("mount", asked.RawTarget, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{ "organizations": [] }""", null)]
    [InlineData("""{ "organizations": [ { "name": "acme", "owners": [ "alice" ] } ] }""", null)]
    [InlineData("""{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "enabled": true, "mode": "observe" } ] }""", null)]
    public async Task It_is_enforced_without_an_organization_with_image_access_off_and_in_observe(string policy, string? help)
    {
        await _here.WritePolicyAsync(policy);
        await BlockAsync("library/nginx");
        await BlockAsync(_index.Digest);
        foreach (var user in new[] { "alice", null })
        {
            var answer = await AskAsync(user, "GET", "library/nginx", "manifests/latest");
            Assert.Equal((403, $"image access denied: nginx is blocked (CVE-2026-1{help})", null), (answer.Status, answer.Phrase, answer.Header("Warning")));
            Assert.Equal(403, (await AskAsync(user, "GET", Acme, "manifests/index")).Status);
            Assert.Equal(200, (await AskAsync(user, "GET", Acme, "manifests/latest")).Status);
        }
    }

    /// <summary>Whatever a mirror's client asks for next, after a block that came before its pull, in its middle, or for a part of the image.</summary>
    [Theory]
    [InlineData(ClassicDocker, "GET", "manifests/index", "", 500, " (no such process)")]
    [InlineData(ClassicDocker, "GET", "manifests/DIGEST", "", 500, " (no such process)")]
    [InlineData(ClassicDocker, "GET", "tags/list", "", 500, " (no such process)")]
    [InlineData(ClassicDocker, "GET", "blobs/LAYER", "", 500, " (no such process)")]
    [InlineData(Containerd, "HEAD", "manifests/index", "?ns=docker.io", 200, "")]
    [InlineData(Containerd, "HEAD", "manifests/DIGEST", "?ns=docker.io", 300, "")]
    [InlineData(Containerd, "GET", "manifests/NOTHING", "?ns=docker.io", 403, "")]
    [InlineData(Containerd, "GET", "manifests/DIGEST", "?ns=docker.io", 200, "")]
    [InlineData(Containerd, "GET", "blobs/LAYER", "?ns=docker.io", 200, "")]
    [InlineData(Containerd, "GET", "blobs/LAYER", "", 403, "")]
    [InlineData(Podman, "GET", "manifests/index", "", 200, null)]
    [InlineData(Podman, "GET", "blobs/LAYER", "", 403, "")]
    [InlineData(Curl, "GET", "manifests/index", "?ns=docker.io", 403, "")]
    public async Task A_client_of_the_mirror_is_held(string userAgent, string method, string rest, string query, int status, string? suffix)
    {
        await PullAllAsync("bob");
        await BlockAsync(Acme);
        var target = rest.Replace("DIGEST", _child.Digest, StringComparison.Ordinal).Replace("LAYER", _child.Layers[0], StringComparison.Ordinal)
            .Replace("NOTHING", "sha256:" + new string('0', 64), StringComparison.Ordinal);
        var answer = await _here.AskAsync(method, $"/v2/{Acme}/{target}{query}", await _here.PullTokenAsync("bob", Acme), userAgent);
        Assert.Equal(status, answer.Status);
        if (suffix is not null)
            Assert.Equal("image access denied: acme/app is blocked (CVE-2026-1; ask in #platform)" + suffix, answer.Phrase);
        // What it gets in the place of content: what containerd keeps of it, it would not ask for again.
        if (status == 200 && method == "GET" && userAgent == Containerd)
            Assert.Equal(("", "0"), (answer.Body, answer.Header("Content-Length")));
        else if (status == 200 && method == "GET")
            Assert.Contains("image access denied: acme/app is blocked (CVE-2026-1; ask in #platform)", answer.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("forward-proxy")]
    public async Task It_is_enforced_by_every_way_in(string way)
    {
        await using var room = await IngressRoom.StartAsync(settings: ("Listen:Transport", Transport));
        await BlockAsync(room.World, "library/nginx");
        var answer = await AskAsync("registry-1.docker.io", "/v2/library/nginx/manifests/latest", await room.World.PullTokenAsync("alice", "library/nginx"), null);
        Assert.Equal((403, "image access denied: nginx is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));

        // A token for that alone is refused, one for something else beside it is not.
        var refused = await AskAsync("auth.docker.io", "/token?service=registry.docker.io&scope=repository:library/nginx:pull", null, "alice:dckr_pat_alice");
        Assert.Equal((403, "image access denied: nginx is blocked (CVE-2026-1; ask in #platform)", "DENIED"), (refused.Status, refused.Phrase, refused.Code));
        Assert.Equal(200, (await AskAsync(
            "auth.docker.io", "/token?service=registry.docker.io&scope=repository:library/nginx:pull&scope=repository:acme/app:pull", null, "alice:dckr_pat_alice")).Status);

        Task<RawAnswer> AskAsync(string host, string target, string? token, string? basic)
        {
            var request = IngressRoom.Request("GET", host, target, token, Containerd, basic: basic);
            return way == "gateway" ? room.AskGatewayAsync(host, request) : room.AskForwardProxyAsync(host, request);
        }
    }

    [Fact]
    public async Task A_fault_of_the_proxy_leads_nobody_to_what_is_blocked_where_nothing_else_is_denied()
    {
        await _here.WritePolicyAsync("""{ "organizations": [ { "name": "acme", "enabled": true, "mode": "observe" } ] }""");
        await BlockAsync("library/nginx");
        using var down = _here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        Assert.Equal(502, (await _here.AskAsync("GET", "/token?service=registry.docker.io&scope=repository:acme/app:pull", null, ClassicDocker)).Status);
        var instead = await _here.AskAsync("GET", "/token?service=registry.docker.io&scope=repository:library/nginx:pull", null, ClassicDocker);
        Assert.Equal(200, instead.Status);
        var token = JsonSerializer.Deserialize<JsonElement>(instead.Body).GetProperty("token").GetString();
        Assert.Equal(500, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token, ClassicDocker)).Status);
        Assert.Equal(401, (await _here.AskAsync("GET", "/v2/acme/app/manifests/latest", token, ClassicDocker)).Status);
    }

    [Fact]
    public async Task Other_denials_are_answered_as_before()
    {
        await BlockAsync(Acme);
        var token = await _here.PullTokenAsync("bob", "someuser/custom-image");
        foreach (var userAgent in new[] { ClassicDocker, Containerd })
        {
            var answer = await _here.AskAsync("GET", $"/v2/someuser/custom-image/blobs/{_child.Layers[0]}?ns=docker.io", token, userAgent);
            Assert.Equal((403, "image access denied: community images not allowed (ask in #platform)"), (answer.Status, answer.Phrase));
        }
    }

    [Fact]
    public async Task It_is_recorded_with_its_number_and_the_number_of_each_change()
    {
        await BlockAsync(Acme);
        var answer = await AskAsync("alice", "GET", Acme, "manifests/index");
        await UnblockAsync(Acme);
        Assert.Equal(200, (await AskAsync("alice", "GET", Acme, "manifests/index")).Status);

        var audit = await _here.AuditAsync(4);
        Assert.Equal(("block", 1, "eve", "CVE-2026-1", """["acme/app"]"""), (Text(audit[0], "event"), audit[0].GetProperty("block").GetInt64(), Text(audit[0], "user"), Text(audit[0], "reason"), audit[0].GetProperty("closes").GetRawText()));
        Assert.Equal((answer.Header("X-ImageAccess-Decision"), "deny", "block", 1), (Text(audit[1], "id"), Text(audit[1], "outcome"), Text(audit[1], "rule"), audit[1].GetProperty("block").GetInt64()));
        Assert.Equal(("unblock", 1, "mallory", "fixed", """["acme/app"]"""), (Text(audit[2], "event"), audit[2].GetProperty("block").GetInt64(), Text(audit[2], "user"), Text(audit[2], "reason"), audit[2].GetProperty("opens").GetRawText()));
        Assert.Equal(("allow", "owner"), (Text(audit[3], "outcome"), Text(audit[3], "rule")));
        Assert.False(audit[3].TryGetProperty("block", out _));
        Assert.Equal(Text(audit[1], "policyVersion"), Text(audit[3], "policyVersion"));

        var detail = JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("errors")[0];
        Assert.Equal(("DENIED", "image access denied: acme/app is blocked (CVE-2026-1; ask in #platform)"), (answer.Code, answer.Message));
        Assert.Equal("block", detail.GetProperty("detail").GetProperty("rule").GetString());
    }

    [Fact]
    public async Task A_digest_that_a_tag_led_to_leaves_one_event_and_it_is_a_denial()
    {
        await PullAllAsync("bob");
        await BlockAsync(_index.Digest);
        Assert.Equal(403, (await AskAsync("bob", "GET", Acme, "manifests/index")).Status);
        Assert.Equal(200, (await AskAsync("bob", "GET", Acme, "manifests/latest")).Status);
        var audit = await _here.AuditAsync(5); // two manifests, the block, and these two
        Assert.Equal(
            ["index allow organization", $"{_child.Digest} allow organization", "index deny block", "latest allow organization"],
            audit.Where(line => line.TryGetProperty("rule", out _)).Select(line => $"{Text(line, "reference")} {Text(line, "outcome")} {Text(line, "rule")}"));
    }

    [Fact]
    public async Task The_admin_listener_checks_by_it_and_says_how_many_there_are()
    {
        await BlockAsync("nginx:1.27");
        await BlockAsync(_index.Digest);
        using var admin = Surroundings.NewClient(_here.Admin);
        foreach (var (image, verdict) in new[] { ("nginx:1.27", "deny block"), ("nginx", "allow owner"), ($"nginx@{_index.Digest}", "deny block") })
        {
            var answer = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync(new Uri($"/check?image={image}&as=alice&organization=acme", UriKind.Relative))).GetProperty("image");
            Assert.Equal(verdict, $"{Text(answer, "verdict")} {Text(answer, "rule")}");
        }

        var ready = await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative));
        Assert.Contains("\"blocks\": 2", ready, StringComparison.Ordinal);
        Assert.Equal(403, (await AskAsync("alice", "GET", "library/nginx", "manifests/1.27")).Status);
        Assert.Matches("imageaccess_decisions_total\\{[^}]*rule=\"block\"[^}]*\\} 1", await admin.GetStringAsync(new Uri("/metrics", UriKind.Relative)));
    }

    private static string? Text(JsonElement line, string name) => line.GetProperty(name).GetString();

    private async Task<RawAnswer> AskAsync(string? user, string method, string repository, string rest) =>
        await _here.AskAsync(method, $"/v2/{repository}/{rest}", await _here.PullTokenAsync(user, repository), Curl);

    /// <summary>So that all of it is kept.</summary>
    private async Task PullAllAsync(string user)
    {
        foreach (var rest in new[] { "manifests/index", $"manifests/{_child.Digest}", $"blobs/{_child.Config}", $"blobs/{_child.Layers[0]}" })
            Assert.Equal(200, (await AskAsync(user, "GET", Acme, rest)).Status);
    }

    private Task BlockAsync(string image) => BlockAsync(_here, image);

    private static Task BlockAsync(Surroundings here, string image) =>
        ChangeAsync(here, before => before.Add(Pattern(image), "CVE-2026-1", "eve", TimeProvider.System.GetUtcNow()));

    private Task UnblockAsync(string image) => ChangeAsync(
        _here, before => before.Lift(before.ToBlocks().Find(Pattern(image))!, "fixed", "mallory", TimeProvider.System.GetUtcNow()));

    /// <summary>As a verb does it, and waits until it is in force.</summary>
    private static async Task ChangeAsync(Surroundings here, Func<BlockDocument, BlockDocument> change)
    {
        var after = await new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = here.DataDirectory }).ChangeAsync(change, CancellationToken.None);
        var ids = string.Join(' ', after.Blocks.Select(block => block.Id.ToString(CultureInfo.InvariantCulture)).Order());
        var store = here.Proxy.Services.GetRequiredService<IPolicyStore>();
        await Eventually.TrueAsync(() => string.Join(' ', store.Current.Blocks.All.Select(block => block.Id.ToString(CultureInfo.InvariantCulture)).Order()) == ids);
    }

    private static ImagePattern Pattern(string text) => ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new ArgumentException(problem, nameof(text));
}

public sealed class BlockTests_direct() : BlockTests(Direct);

public sealed class BlockTests_kestrel() : BlockTests(Kestrel);
