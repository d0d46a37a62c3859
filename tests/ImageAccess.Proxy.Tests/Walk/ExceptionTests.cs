using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>An exception for an image opens that image, by every request of its pull, and nothing else of its repository, by no request.</summary>
public abstract class ExceptionTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string ClassicDocker = "docker/28.5.2 go/go1.24 git-commit/1 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.2)";
    private const string Containerd = "containerd/2.1.5";
    private const string Podman = "containers/5.36.2 (github.com/containers/image)";
    private const string Curl = "curl/8";
    private const string Repository = "someuser/db";
    private const string Outside = "image access denied: only approved images of someuser/db are allowed (ask in #platform)";
    private const string Unavailable = "image access unavailable: the approved images of someuser/db could not be read from Docker Hub, try again (ask in #platform)";

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly ExceptedStore _store = new();
    private Surroundings _here = null!;
    private PushedImage _approved = null!;
    private PushedImage _child = null!;
    private PushedImage _other = null!;
    private PushedImage _otherChild = null!;
    private PushedImage _single = null!;
    private PushedImage _signature = null!;
    private PushedImage _otherSignature = null!;
    private PushedImage _impostor = null!;

    public async Task InitializeAsync()
    {
        _here = await StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"));
        _here.Services = _store.Register;
        await _here.RestartAsync();
        var images = _here.Hub.Images;
        _approved = images.PushImage(Repository, "7", new ImageBuilder().AddFile("a.txt", "approved\n").BuildIndex("amd64", "arm64"));
        _child = images.FindManifest(Repository, _approved.References[1])!;
        _other = images.PushImage(Repository, "8", new ImageBuilder().AddFile("b.txt", "other\n").Command("b").BuildIndex("amd64"));
        _otherChild = images.FindManifest(Repository, _other.References[0])!;
        _single = images.PushImage(Repository, "9", new ImageBuilder().AddFile("c.txt", "single\n").Command("c").Build());
        _signature = Attach(_approved.Digest, "application/vnd.example.signature.v1+json", "a signature");
        _otherSignature = Attach(_other.Digest, "application/vnd.example.signature.v1+json", "another signature");
        _impostor = Attach(_approved.Digest, BuiltImage.OciConfig, "runs");
        images.AllowPush("acme/app", "bob");
        images.AllowPush(Repository, "bob");
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    public static TheoryData<string, string> Ways
    {
        get
        {
            var ways = new TheoryData<string, string>();
            foreach (var kind in new[] { "digest", "tag", "follow" })
            {
                foreach (var state in new[] { "nothing kept", "all kept", "restarted", "restarted empty", "no cache" })
                    ways.Add(kind, state);
            }

            return ways;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task The_approved_image_is_served_and_nothing_else_of_the_repository(string kind, string state)
    {
        Grant(kind);
        await BringToAsync(state);
        foreach (var (method, rest) in Denied(kind))
            await DeniedAsync(method, rest, Outside);
        foreach (var rest in new[] { "manifests/8", "manifests/9", "manifests/latest" })
        {
            foreach (var method in new[] { "GET", "HEAD" })
                await DeniedAsync(method, rest, "image access denied: community images not allowed (ask in #platform)");
        }

        // By blobs first: it is not known yet what they are of.
        foreach (var (method, rest) in Allowed(kind).Reverse())
        {
            var answer = await AskAsync(method, rest);
            Assert.True(answer.Status is 200, $"{method} {rest}: {answer.Status} {answer.Phrase}");
        }

        foreach (var (method, rest) in Denied(kind))
            await DeniedAsync(method, rest, Outside);
        var blobs = _here.Hub.Requests.All.Where(asked => asked.RawTarget.Contains("/blobs/", StringComparison.Ordinal)).Select(asked => asked.RawTarget);
        Assert.DoesNotContain(blobs, target => Foreign().Any(digest => target.Contains(digest, StringComparison.Ordinal)));
        if (state is not "all kept" and not "restarted")
            Assert.All([_other, _otherChild, _single, _otherSignature, _impostor], image => Assert.False(Holds(image.Digest)));
    }

    [Theory]
    [InlineData("nothing kept")]
    [InlineData("all kept")]
    [InlineData("restarted empty")]
    public async Task Whatever_else_a_request_asks_with_it_is_denied(string state)
    {
        Grant("digest");
        await BringToAsync(state);
        var token = await _here.PullTokenAsync("bob", Repository);
        foreach (var header in new[] { "Range: bytes=0-3", "Range: bytes=1-", "If-None-Match: *", $"If-None-Match: \"{_other.Digest}\"", "If-Match: \"x\"", "Accept: */*" })
        {
            foreach (var rest in new[] { $"manifests/{_other.Digest}", $"blobs/{_otherChild.Layers[0]}", $"blobs/{_otherChild.Config}" })
            {
                var answer = await SendAsync("GET", rest, token, header);
                Assert.Equal((403, Outside), (answer.Status, answer.Phrase));
                Assert.Null(answer.Header("ETag"));
                Assert.Null(answer.Header("Docker-Content-Digest"));
            }
        }

        // And the approved one is answered as ever.
        Assert.Equal(206, (await SendAsync("GET", $"blobs/{_child.Layers[0]}", token, "Range: bytes=0-3")).Status);
        Assert.Equal(304, (await SendAsync("GET", $"manifests/{_approved.Digest}", token, $"If-None-Match: \"{_approved.Digest}\"")).Status);
        Assert.Equal(304, (await SendAsync("GET", $"blobs/{_child.Layers[0]}", token, $"If-None-Match: \"{_child.Layers[0]}\"")).Status);
    }

    [Theory]
    [InlineData("digest")]
    [InlineData("tag")]
    [InlineData("follow")]
    [InlineData("repository")]
    public async Task Nothing_is_pushed_mounted_or_deleted_by_it(string kind)
    {
        Grant(kind);
        await BringToAsync("all kept");
        var token = await _here.TokenAsync("bob", $"repository:{Repository}:pull,push,delete", "repository:acme/app:pull,push");
        _here.Hub.Requests.Clear();
        foreach (var (method, rest) in new[]
        {
            ("PUT", "manifests/7"), ("PUT", $"manifests/{_approved.Digest}"), ("DELETE", "manifests/7"), ("DELETE", $"manifests/{_approved.Digest}"), ("POST", "blobs/uploads/"),
            ("PATCH", "blobs/uploads/1"), ("PUT", $"blobs/uploads/1?digest={_child.Layers[0]}"), ("GET", "blobs/uploads/1"), ("POST", $"blobs/uploads/?digest={_child.Layers[0]}"),
        })
        {
            var answer = await _here.AskAsync(method, $"/v2/{Repository}/{rest}", token, Curl);
            Assert.True((answer.Status, answer.Phrase) == (403, "image access denied: community images not allowed (ask in #platform)"), $"{method} {rest}: {answer.Status} {answer.Phrase}");
        }

        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        Assert.Equal(202, (await _here.AskAsync("POST", $"/v2/acme/app/blobs/uploads/?mount={_child.Layers[0]}&from={Repository}", token)).Status);
        Assert.All(_here.Hub.Requests.Of(Face.Registry), asked => Assert.DoesNotContain("mount", asked.RawTarget, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_whole_repository_is_open_as_by_the_allowlist()
    {
        Grant("repository");
        foreach (var rest in new[] { "manifests/7", "manifests/8", $"manifests/{_single.Digest}", $"blobs/{_otherChild.Layers[0]}", $"referrers/{_other.Digest}", "tags/list" })
            Assert.Equal(200, (await AskAsync("GET", rest)).Status);
        Assert.Equal(403, (await AskAsync("GET", "manifests/latest", repository: "someuser/custom-image")).Status);
    }

    [Fact]
    public async Task It_limits_nobody_who_is_allowed_without_it()
    {
        Grant("digest");
        foreach (var rest in new[] { "manifests/7", "manifests/8", $"manifests/{_single.Digest}", $"blobs/{_otherChild.Layers[0]}", "tags/list" })
            Assert.Equal(200, (await AskAsync("GET", rest, "alice")).Status);
    }

    [Theory]
    [InlineData("GET", false, false)]
    [InlineData("GET", true, false)]
    [InlineData("GET", true, true)]
    [InlineData("HEAD", false, false)]
    [InlineData("HEAD", true, false)]
    [InlineData("HEAD", true, true)]
    public async Task A_tag_that_moved_is_denied_and_told_and_one_that_moved_back_is_served(string method, bool kept, bool fresh)
    {
        Grant("tag");
        if (kept)
            Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        _here.Hub.Images.PushManifest(Repository, "7", _other.Manifest, _other.MediaType);
        if (fresh)
            Assert.Equal(200, (await AskAsync("GET", "manifests/8", "alice")).Status);
        _time.Advance(TimeSpan.FromMinutes(2));
        if (fresh)
            Assert.Equal(200, (await AskAsync("GET", "manifests/7", "alice")).Status);

        var moved = $"image access denied: someuser/db:7 was approved as {_approved.Digest}, and has changed since";
        for (var times = 0; times < 2; times++)
        {
            var answer = await AskAsync(method, "manifests/7");
            Assert.Equal((403, moved + " (ask in #platform)"), (answer.Status, answer.Phrase));
            Assert.Null(answer.Header("Docker-Content-Digest"));
            Assert.Null(answer.Header("ETag"));
        }

        var condition = await SendAsync("GET", "manifests/7", await _here.PullTokenAsync("bob", Repository), $"If-None-Match: \"{_other.Digest}\"");
        Assert.Equal(403, condition.Status);
        Assert.Equal(fresh, Holds(_other.Digest));
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_approved.Digest}")).Status);
        await DeniedAsync("GET", $"manifests/{_other.Digest}", Outside);

        _here.Hub.Images.PushManifest(Repository, "7", _approved.Manifest, _approved.MediaType);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(200, (await AskAsync(method, "manifests/7")).Status);
    }

    /// <summary>Who is held asks for what stands in for the tag by its digest alone, and is told of the tag all the same.</summary>
    [Theory]
    [InlineData(Containerd, "HEAD")]
    [InlineData("docker/29.0.0 containerd-client/2.1.5", "HEAD")]
    [InlineData(Podman, "GET")]
    public async Task Who_is_held_for_a_tag_that_moved_is_told_so(string userAgent, string method)
    {
        Grant("tag");
        _here.Hub.Images.PushManifest(Repository, "7", _other.Manifest, _other.MediaType);
        var token = await _here.PullTokenAsync("bob", Repository);
        var held = await NextAsync("7");
        Assert.NotEqual(held, await NextAsync("8"));
        Assert.Equal(held, await NextAsync("7"));

        Assert.Equal($"image access denied: someuser/db:7 was approved as {_approved.Digest}, and has changed since (ask in #platform)", await DenialOfAsync(held));
        Assert.Equal(Outside, await DenialOfAsync(await NextAsync("8")));
        Assert.Equal(Outside, await DenialOfAsync(held[..^1] + (held[^1] == '0' ? '1' : '0')));

        async Task<string> NextAsync(string tag)
        {
            var answer = await _here.AskAsync(method, $"/v2/{Repository}/manifests/{tag}?ns=docker.io", token, userAgent);
            Assert.Equal(200, answer.Status);
            return method == "HEAD" ? answer.Header("Docker-Content-Digest")! : JsonNode.Parse(answer.Body)!["manifests"]![0]!["digest"]!.GetValue<string>();
        }

        async Task<string> DenialOfAsync(string digest)
        {
            var answer = await _here.AskAsync("GET", $"/v2/{Repository}/manifests/{digest}?ns=docker.io", token, userAgent);
            Assert.Equal(403, answer.Status);
            return JsonNode.Parse(answer.Body)!["errors"]![0]!["message"]!.GetValue<string>();
        }
    }

    [Fact]
    public async Task A_tag_that_points_to_an_image_of_the_approved_index_is_served_as_some_clients_get_it()
    {
        Grant("tag");
        _here.Hub.Images.PushManifest(Repository, "7", _child.Manifest, _child.MediaType);
        Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        Assert.Equal(200, (await AskAsync("HEAD", "manifests/7")).Status);
    }

    [Fact]
    public async Task An_approved_tag_is_served_stale_and_a_moved_one_is_not()
    {
        Grant("tag");
        Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        Assert.Equal(200, (await AskAsync("GET", "manifests/8", "alice")).Status);
        _time.Advance(TimeSpan.FromMinutes(2));
        using (_here.Hub.Faults.Add(Face.Registry, Fault.CloseConnection()))
        {
            var answer = await AskAsync("GET", "manifests/7");
            Assert.Equal((200, "110 - \"Response is Stale\""), (answer.Status, answer.Header("Warning")));
            _store.Grant(Exception("8", _approved.Digest));
            await DeniedAsync("GET", "manifests/8", $"image access denied: someuser/db:8 was approved as {_approved.Digest}, and has changed since (ask in #platform)");
        }
    }

    [Fact]
    public async Task A_followed_tag_opens_what_it_points_to_and_a_pull_under_way_comes_to_its_end()
    {
        Grant("follow");
        Assert.Equal(200, (await AskAsync("HEAD", "manifests/7")).Status);
        _here.Hub.Images.PushManifest(Repository, "7", _other.Manifest, _other.MediaType);
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_approved.Digest}")).Status); // as it was told
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{_child.Layers[0]}")).Status);
        await DeniedAsync("GET", $"manifests/{_single.Digest}", Outside);

        _time.Advance(TimeSpan.FromMinutes(2));
        foreach (var rest in new[] { $"blobs/{_otherChild.Layers[0]}", $"manifests/{_otherChild.Digest}", $"manifests/{_other.Digest}", "manifests/7", $"referrers/{_other.Digest}" })
            Assert.Equal(200, (await AskAsync("GET", rest)).Status);

        _time.Advance(FollowedTags.Remembered + TimeSpan.FromMinutes(1));
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_other.Digest}")).Status);
        await DeniedAsync("GET", $"manifests/{_approved.Digest}", Outside);
    }

    [Fact]
    public async Task Every_organization_of_the_caller_must_have_approved_it()
    {
        await File.WriteAllTextAsync(
            _here.PolicyFile,
            """
            { "organizations": [ { "name": "acme", "members": [ "bob", "carol" ], "enabled": true, "help": "ask acme" },
                                 { "name": "beta", "members": [ "bob" ], "enabled": true, "help": "ask beta" } ] }
            """);
        await TickUntilAsync(policy => policy.Organizations.Count == 2);
        var shared = Encoding.UTF8.GetBytes("a layer of both");
        var first = _here.Hub.Images.PushImage(Repository, "first", BuiltImage.OfLayers(shared, "1"u8.ToArray()));
        var second = _here.Hub.Images.PushImage(Repository, "second", BuiltImage.OfLayers(shared, "2"u8.ToArray()));
        _store.Grant(Exception($"@{first.Digest}"), Exception($"@{second.Digest}", organization: "beta"));

        foreach (var rest in new[] { $"manifests/{first.Digest}", $"blobs/{first.Layers[0]}", $"blobs/{first.Layers[1]}" })
            Assert.Equal(200, (await AskAsync("GET", rest, "carol")).Status);
        await DeniedAsync("GET", $"manifests/{second.Digest}", "image access denied: only approved images of someuser/db are allowed (ask acme)", "carol");
        foreach (var user in new[] { "bob", null })
        {
            await DeniedAsync("GET", $"manifests/{first.Digest}", "image access denied: only approved images of someuser/db are allowed (ask beta)", user);
            await DeniedAsync("GET", $"manifests/{second.Digest}", "image access denied: only approved images of someuser/db are allowed (ask acme)", user);
            await DeniedAsync("GET", $"blobs/{first.Layers[1]}", "image access denied: only approved images of someuser/db are allowed (ask beta)", user);
            Assert.Equal(200, (await AskAsync("GET", $"blobs/{first.Layers[0]}", user)).Status); // of the one and of the other
        }

        _store.Grant(Exception($"@{first.Digest}"), Exception($"@{second.Digest}", organization: "beta"), Exception("first", first.Digest, organization: "beta"));
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{first.Digest}")).Status);
        Assert.Equal(403, (await AskAsync("GET", "manifests/first")).Status);
    }

    [Fact]
    public async Task It_ends_in_the_middle_of_a_pull()
    {
        var until = _time.GetUtcNow().AddSeconds(30);
        _store.Grant(Exception("7", _approved.Digest) with { Until = until });
        Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_child.Digest}")).Status);
        _time.Advance(TimeSpan.FromSeconds(30));
        foreach (var rest in new[] { "manifests/7", $"manifests/{_child.Digest}", $"blobs/{_child.Layers[0]}" })
            await DeniedAsync("GET", rest, "image access denied: community images not allowed (ask in #platform)");
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(0)]
    public async Task Where_the_approved_image_cannot_be_read_nothing_is_served_and_the_client_may_try_again(int status)
    {
        Grant("digest");
        using (_here.Hub.Faults.Add(Face.Registry, $"manifests/{_approved.Digest}", status == 0 ? Fault.CloseConnection() : Fault.Status(status)))
        {
            await UnavailableAsync($"blobs/{_child.Layers[0]}");
            await UnavailableAsync($"blobs/{_otherChild.Layers[0]}");
            await UnavailableAsync($"manifests/{_child.Digest}");
        }

        Assert.DoesNotContain(_here.Hub.Requests.Of(Face.Registry), asked => asked.RawTarget.Contains("/blobs/", StringComparison.Ordinal));
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{_child.Layers[0]}")).Status);
        await DeniedAsync("GET", $"blobs/{_otherChild.Layers[0]}", Outside);
    }

    [Fact]
    public async Task What_upstream_says_is_approved_and_is_not_opens_nothing()
    {
        Grant("digest");
        var lie = Fault.Custom(async (http, _) =>
        {
            http.Response.ContentType = _other.MediaType;
            http.Response.Headers["Docker-Content-Digest"] = _approved.Digest;
            http.Response.ContentLength = _other.Manifest.Length;
            await http.Response.Body.WriteAsync(_other.Manifest);
        });
        using (_here.Hub.Faults.Add(Face.Registry, $"manifests/{_approved.Digest}", lie))
        {
            await UnavailableAsync($"blobs/{_otherChild.Layers[0]}");
            Assert.Equal(502, (await AskAsync("GET", $"manifests/{_approved.Digest}")).Status);
        }

        await DeniedAsync("GET", $"blobs/{_otherChild.Layers[0]}", Outside);
    }

    [Fact]
    public async Task A_tag_whose_content_is_not_what_upstream_says_is_not_served()
    {
        Grant("tag");
        var lie = Fault.Custom(async (http, _) =>
        {
            http.Response.Headers["Docker-Content-Digest"] = _approved.Digest;
            http.Response.ContentLength = _other.Manifest.Length;
            if (HttpMethods.IsHead(http.Request.Method))
                http.Response.StatusCode = 404;
            else
                await http.Response.Body.WriteAsync(_other.Manifest);
        });
        using (_here.Hub.Faults.Add(Face.Registry, "/manifests/", lie))
        {
            var answer = await AskAsync("GET", "manifests/7");
            Assert.Equal(502, answer.Status);
            Assert.DoesNotContain("manifests", answer.Body, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Many_who_ask_at_once_share_one_fetch_of_the_approved_image()
    {
        Grant("digest");
        var release = new TaskCompletionSource();
        using var held = _here.Hub.Faults.Add(Face.Registry, $"manifests/{_approved.Digest}", Fault.HoldUntil(release.Task));
        var asked = Enumerable.Range(0, 20).Select(_ => AskAsync("GET", $"blobs/{_child.Layers[0]}")).ToList();
        await _here.AskedAsync(Face.Registry);
        await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System);
        release.SetResult();
        Assert.All(await Task.WhenAll(asked), answer => Assert.Equal(200, answer.Status));
        Assert.Single(_here.Hub.Requests.Of(Face.Registry), request => request.RawTarget.EndsWith($"manifests/{_approved.Digest}", StringComparison.Ordinal));
        Assert.Single(_here.Hub.Requests.Of(Face.Registry), request => request.RawTarget.EndsWith($"manifests/{_approved.References[0]}", StringComparison.Ordinal)); // both have the layer
    }

    [Fact]
    public async Task Many_who_ask_at_once_share_one_question_where_a_followed_tag_points_to()
    {
        Grant("follow");
        var release = new TaskCompletionSource();
        using var held = _here.Hub.Faults.Add(Face.Registry, "manifests/7", Fault.HoldUntil(release.Task));
        var asked = Enumerable.Range(0, 20).Select(_ => AskAsync("GET", $"blobs/{_child.Layers[0]}")).ToList();
        await _here.AskedAsync(Face.Registry);
        await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System);
        release.SetResult();
        Assert.All(await Task.WhenAll(asked), answer => Assert.Equal(200, answer.Status));
        Assert.Equal("HEAD", Assert.Single(_here.Hub.Requests.Of(Face.Registry), request => request.RawTarget.EndsWith("manifests/7", StringComparison.Ordinal)).Method);
    }

    [Fact]
    public async Task An_index_of_indexes_is_followed_and_a_deeper_one_is_not()
    {
        var inner = Index(("application/vnd.oci.image.manifest.v1+json", _single.Digest));
        var middle = Index((BuiltImage.OciIndex, inner.Digest));
        var outer = Index((BuiltImage.OciIndex, middle.Digest));
        _store.Grant(Exception($"@{middle.Digest}"));
        foreach (var rest in new[] { $"blobs/{_single.Layers[0]}", $"manifests/{_single.Digest}", $"manifests/{inner.Digest}" })
            Assert.Equal(200, (await AskAsync("GET", rest)).Status);
        _store.Grant(Exception($"@{outer.Digest}"));
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{inner.Digest}")).Status);
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_single.Digest}")).Status);
        await DeniedAsync("GET", $"blobs/{_single.Layers[0]}", Outside);
        await DeniedAsync("GET", $"manifests/{_other.Digest}", Outside);
    }

    [Fact]
    public async Task Only_so_many_images_of_an_index_are_read_for_one_question()
    {
        var images = Enumerable.Range(0, ImageParts.MaximumRead + 20)
            .Select(number => _here.Hub.Images.PushImage(Repository, "x", BuiltImage.OfLayers(Encoding.UTF8.GetBytes($"layer {number}")))).ToList();
        var index = Index([.. images.Select(image => (image.MediaType, image.Digest))]);
        _store.Grant(Exception($"@{index.Digest}"));
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{images[2].Layers[0]}")).Status);
        Assert.InRange(_here.Hub.Requests.Of(Face.Registry).Count(asked => asked.RawTarget.Contains("/manifests/", StringComparison.Ordinal)), 4, 4); // the index, and images until it is found
        await UnavailableAsync($"blobs/{images[^1].Layers[0]}");
        Assert.InRange(_here.Hub.Requests.Of(Face.Registry).Count(asked => asked.RawTarget.Contains("/manifests/", StringComparison.Ordinal)), 10, 4 + ImageParts.MaximumRead);
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{images[^1].Digest}")).Status);
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{images[^1].Layers[0]}")).Status);
        await DeniedAsync("GET", $"blobs/{_otherChild.Layers[0]}", Outside);
    }

    /// <summary>As on another replica than the one that was asked for the signature's manifest.</summary>
    [Fact]
    public async Task A_part_of_a_signature_is_found_by_upstreams_list_and_what_runs_is_none()
    {
        Grant("digest");
        await DeniedAsync("GET", $"blobs/{_impostor.Layers[0]}", Outside);
        await DeniedAsync("GET", $"blobs/{_otherSignature.Layers[0]}", Outside);
        Assert.Single(_here.Hub.Requests.Of(Face.Registry), asked => asked.RawTarget.Contains("/referrers/", StringComparison.Ordinal)); // once a minute
        await _here.RestartAsync();
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{_signature.Layers[0]}")).Status);
        Assert.Equal(200, (await AskAsync("HEAD", $"blobs/{_signature.Config}")).Status);

        await _here.RestartAsync();
        using var fault = _here.Hub.Faults.Add(Face.Registry, "/referrers/", Fault.CloseConnection());
        await UnavailableAsync($"blobs/{_signature.Layers[0]}");
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{_child.Layers[0]}")).Status);
    }

    [Fact]
    public async Task A_signature_that_is_approved_opens_not_what_it_is_about()
    {
        _store.Grant(Exception($"@{_signature.Digest}"));
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{_signature.Digest}")).Status);
        Assert.Equal(200, (await AskAsync("GET", $"blobs/{_signature.Layers[0]}")).Status);
        await DeniedAsync("GET", $"manifests/{_approved.Digest}", Outside);
        await DeniedAsync("GET", $"blobs/{_child.Layers[0]}", Outside);
    }

    /// <summary>What is kept of another repository, or was looked into there, says nothing of this one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_signature_of_another_repository_opens_nothing_here(bool approvedThere)
    {
        Grant("digest");
        var layer = new JsonArray(Descriptor("text/plain", _otherChild.Layers[0], 1));
        var claim = new JsonObject { ["schemaVersion"] = 2, ["layers"] = layer, ["subject"] = Descriptor(BuiltImage.OciIndex, _approved.Digest, 1) };
        var claimed = _here.Hub.Images.PushManifest("someuser/custom-image", null, JsonSerializer.SerializeToUtf8Bytes(claim), BuiltImage.OciManifest).Digest;
        Assert.Equal(200, (await AskAsync("GET", $"manifests/{claimed}", "alice", "someuser/custom-image")).Status);
        if (approvedThere)
        {
            var there = Exception("1", follow: true) with { Pattern = ImagePattern.TryParse($"someuser/custom-image@{_approved.Digest}", out var parsed, out _) ? parsed : null!, Follow = false };
            _store.Grant(Exception($"@{_approved.Digest}"), there);
            Assert.Equal(200, (await AskAsync("GET", $"manifests/{claimed}", repository: "someuser/custom-image")).Status);
        }

        await DeniedAsync("GET", $"manifests/{claimed}", Outside);
        await DeniedAsync("GET", $"blobs/{_otherChild.Layers[0]}", Outside);
    }

    [Fact]
    public async Task A_block_beats_it_also_for_a_part()
    {
        Grant("tag");
        Assert.True(ImagePattern.TryParse(_child.Layers[0], out var pattern, out _));
        await new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = _here.DataDirectory })
            .ChangeAsync(before => before.Add(pattern, "CVE-2026-1", "eve", _time.GetUtcNow()), CancellationToken.None);
        await TickUntilAsync(policy => policy.Blocks.Count == 1);
        Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        var answer = await AskAsync("GET", $"manifests/{_child.Digest}");
        Assert.Equal((403, $"image access denied: {_child.Layers[0]} is blocked (CVE-2026-1; ask in #platform)"), (answer.Status, answer.Phrase));
        Assert.Equal(403, (await AskAsync("GET", $"blobs/{_child.Layers[0]}")).Status);
    }

    /// <summary>Whatever a mirror's client asks for next, it does not go to Docker Hub for it.</summary>
    [Theory]
    [InlineData(ClassicDocker, "GET", "manifests/OTHER", "", 500)]
    [InlineData(ClassicDocker, "GET", "blobs/LAYER", "", 500)]
    [InlineData(ClassicDocker, "GET", "manifests/7", "", 500)]
    [InlineData(Containerd, "HEAD", "manifests/7", "?ns=docker.io", 200)]
    [InlineData(Containerd, "HEAD", "manifests/OTHER", "?ns=docker.io", 300)]
    [InlineData(Containerd, "GET", "manifests/OTHER", "?ns=docker.io", 200)]
    [InlineData(Containerd, "GET", "blobs/LAYER", "?ns=docker.io", 200)]
    [InlineData(Podman, "GET", "manifests/7", "", 200)]
    [InlineData(Podman, "GET", "blobs/LAYER", "", 403)]
    public async Task A_client_of_the_mirror_is_held(string userAgent, string method, string rest, string query, int status)
    {
        Grant("tag");
        _here.Hub.Images.PushManifest(Repository, "7", _other.Manifest, _other.MediaType);
        var target = rest.Replace("OTHER", _other.Digest, StringComparison.Ordinal).Replace("LAYER", _otherChild.Layers[0], StringComparison.Ordinal);
        var answer = await _here.AskAsync(method, $"/v2/{Repository}/{target}{query}", await _here.PullTokenAsync("bob", Repository), userAgent);
        Assert.Equal(status, answer.Status);
        Assert.NotEqual(_other.Digest, answer.Header("Docker-Content-Digest"));
        Assert.DoesNotContain(_otherChild.Digest, answer.Body, StringComparison.Ordinal);
        if (userAgent == Containerd && method == "GET")
            Assert.Equal("", answer.Body);
    }

    [Fact]
    public async Task A_client_of_the_mirror_is_held_where_the_approved_image_cannot_be_read()
    {
        Grant("digest");
        using var fault = _here.Hub.Faults.Add(Face.Registry, $"manifests/{_approved.Digest}", Fault.Status(503));
        var token = await _here.PullTokenAsync("bob", Repository);
        Assert.Equal(500, (await _here.AskAsync("GET", $"/v2/{Repository}/blobs/{_child.Layers[0]}", token, ClassicDocker)).Status);
        var answer = await _here.AskAsync("GET", $"/v2/{Repository}/blobs/{_child.Layers[0]}?ns=docker.io", token, Containerd);
        Assert.Equal((200, ""), (answer.Status, answer.Body));
    }

    [Fact]
    public async Task A_token_is_given_for_a_repository_of_which_an_image_is_approved()
    {
        Grant("tag");
        await _here.RestartAsync();
        Assert.Equal(200, (await _here.AskAsync("GET", $"/token?service=registry.docker.io&scope=repository:{Repository}:pull", null, ClassicDocker)).Status);
    }

    [Fact]
    public async Task What_is_denied_leaves_one_event_and_is_counted_once()
    {
        Grant("tag");
        Assert.Equal(200, (await AskAsync("GET", "manifests/7")).Status);
        var answer = await AskAsync("GET", $"blobs/{_otherChild.Layers[0]}");
        Assert.Equal(403, answer.Status);
        _here.Hub.Images.PushManifest(Repository, "7", _other.Manifest, _other.MediaType);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(403, (await AskAsync("GET", "manifests/7")).Status);

        var audit = await _here.AuditAsync(3);
        Assert.Equal(
            ["7 allow exception", $"{_otherChild.Layers[0]} deny exception", "7 deny exception"],
            audit.Where(line => line.TryGetProperty("rule", out _)).Select(line => $"{Text(line, "reference")} {Text(line, "outcome")} {Text(line, "rule")}"));
        Assert.Equal(answer.Header("X-ImageAccess-Decision"), Text(audit[1], "id"));
        Assert.Equal(("DENIED", Outside), (answer.Code, answer.Message));
        using var admin = Surroundings.NewClient(_here.Admin);
        Assert.Matches("imageaccess_decisions_total\\{[^}]*outcome=\"deny\"[^}]*rule=\"exception\"[^}]*\\} 2", await admin.GetStringAsync(new Uri("/metrics", UriKind.Relative)));
    }

    [Fact]
    public async Task The_admin_listener_checks_by_it()
    {
        Grant("tag");
        using var admin = Surroundings.NewClient(_here.Admin);
        foreach (var (image, verdict) in new[]
        {
            ($"{Repository}:7", "allow exception"), ($"{Repository}:8", "deny community"), (Repository, "deny community"), ($"{Repository}@{_approved.Digest}", "allow exception"),
        })
        {
            var answer = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync(new Uri($"/check?image={image}&as=bob", UriKind.Relative))).GetProperty("image");
            Assert.Equal(verdict, $"{Text(answer, "verdict")} {Text(answer, "rule")}");
        }
    }

    /// <summary>The store looks at its files by the proxy's clock.</summary>
    private Task TickUntilAsync(Func<Policy, bool> isInForce) => Eventually.TrueAsync(() =>
    {
        _time.Advance(TimeSpan.FromMilliseconds(500));
        return isInForce(_here.Proxy.Services.GetRequiredService<IPolicyStore>().Current);
    });

    private static string? Text(JsonElement line, string name) => line.GetProperty(name).GetString();

    /// <summary>All that a pull of the approved image asks for, in its order.</summary>
    private IEnumerable<(string Method, string Target)> Allowed(string kind)
    {
        if (kind is "tag" or "follow")
        {
            yield return ("HEAD", "manifests/7");
            yield return ("GET", "manifests/7");
        }

        foreach (var rest in new[]
        {
            $"manifests/{_approved.Digest}", $"manifests/{_approved.References[0]}", $"manifests/{_child.Digest}", $"blobs/{_child.Config}", $"blobs/{_child.Layers[0]}",
        })
        {
            yield return ("HEAD", rest);
            yield return ("GET", rest);
        }

        yield return ("GET", $"referrers/{_approved.Digest}?artifactType=application/vnd.example.signature.v1+json");
        yield return ("GET", $"referrers/{_approved.Digest}");
        yield return ("GET", $"manifests/{_signature.Digest}");
        yield return ("GET", $"blobs/{_signature.Layers[0]}");
    }

    private IEnumerable<(string Method, string Target)> Denied(string kind)
    {
        foreach (var rest in new[]
        {
            $"manifests/{_other.Digest}", $"manifests/{_otherChild.Digest}", $"manifests/{_single.Digest}", $"manifests/{_otherSignature.Digest}", $"manifests/{_impostor.Digest}",
            $"blobs/{_otherChild.Config}", $"blobs/{_otherChild.Layers[0]}", $"blobs/{_single.Config}", $"blobs/{_single.Layers[0]}", $"blobs/{_otherSignature.Layers[0]}",
            $"blobs/{_impostor.Layers[0]}", $"blobs/{_other.Digest}", $"manifests/{_otherChild.Layers[0]}", $"manifests/sha256:{new string('0', 64)}",
        })
        {
            yield return ("HEAD", rest);
            yield return ("GET", rest);
        }

        foreach (var rest in new[] { $"referrers/{_other.Digest}", $"referrers/{_child.Digest}", $"referrers/{_single.Digest}", "tags/list", "tags/list?n=1" })
            yield return ("GET", rest);
    }

    private string[] Foreign() =>
    [
        _otherChild.Config!, _otherChild.Layers[0], _single.Config!, _single.Layers[0], _otherSignature.Layers[0], _impostor.Layers[0],
    ];

    private async Task BringToAsync(string state)
    {
        if (state is "all kept" or "restarted" or "restarted empty")
        {
            foreach (var image in new[] { _approved, _child, _other, _otherChild, _single, _signature, _otherSignature, _impostor })
            {
                foreach (var rest in image.Layers.Append(image.Config).OfType<string>().Select(digest => $"blobs/{digest}").Append($"manifests/{image.Digest}"))
                    Assert.Equal(200, (await AskAsync("GET", rest, "alice")).Status);
            }

            foreach (var tag in new[] { "7", "8", "9" })
                Assert.Equal(200, (await AskAsync("GET", $"manifests/{tag}", "alice")).Status);
            await Eventually.TrueAsync(() => Foreign().All(Holds));
        }

        if (state == "restarted")
            await _here.RestartAsync();
        else if (state == "restarted empty")
            await _here.RestartAsync(() => Directory.Delete(Path.Combine(_here.DataDirectory, "cache"), recursive: true));
        else if (state == "no cache")
            await _here.RestartAsync(("Cache:Enabled", "false"));
        _here.Hub.Requests.Clear();
    }

    /// <summary>The store on the disk knows it at once: nothing waits here.</summary>
    private bool Holds(string digest) => _here.Proxy.Services.GetRequiredService<IContentStore>().HoldsAsync(DigestOf(digest), CancellationToken.None).AsTask().Result;

    private void Grant(string kind) => _store.Grant(kind switch
    {
        "digest" => Exception($"@{_approved.Digest}"),
        "tag" => Exception("7", _approved.Digest),
        "follow" => Exception("7", follow: true),
        _ => Exception(""),
    });

    private GrantedException Exception(string part, string? approved = null, bool follow = false, string organization = "acme")
    {
        var text = Repository + (part.Length == 0 || part[0] == '@' ? part : $":{part}");
        Assert.True(GrantedException.TryParsePattern(text, out var pattern, out var problem), problem);
        return new GrantedException(
            HashCode.Combine(text, organization), organization, pattern, approved is null ? null : DigestOf(approved), follow, "a test", null, "alice", _time.GetUtcNow(), null);
    }

    private static Digest DigestOf(string text) => Digest.TryParse(text, out var digest) ? digest : throw new ArgumentException(text, nameof(text));

    /// <summary>What is about an image: a signature, or an image that only says so.</summary>
    private PushedImage Attach(string subject, string configuration, string text)
    {
        var (config, layer) = (Encoding.UTF8.GetBytes($$"""{ "about": "{{text}}" }"""), Encoding.UTF8.GetBytes(text));
        _here.Hub.Images.PushBlob(Repository, config);
        _here.Hub.Images.PushBlob(Repository, layer);
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = BuiltImage.OciManifest,
            ["config"] = Descriptor(configuration, FakeRegistry.DigestOf(config), config.Length),
            ["layers"] = new JsonArray(Descriptor("text/plain", FakeRegistry.DigestOf(layer), layer.Length)),
            ["subject"] = Descriptor(BuiltImage.OciIndex, subject, 1),
        };
        return _here.Hub.Images.PushManifest(Repository, null, JsonSerializer.SerializeToUtf8Bytes(manifest), BuiltImage.OciManifest);
    }

    private PushedImage Index(params (string MediaType, string Digest)[] manifests)
    {
        var index = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = BuiltImage.OciIndex,
            ["manifests"] = new JsonArray([.. manifests.Select(manifest => Descriptor(manifest.MediaType, manifest.Digest, 1))]),
        };
        return _here.Hub.Images.PushManifest(Repository, null, JsonSerializer.SerializeToUtf8Bytes(index), BuiltImage.OciIndex);
    }

    private static JsonObject Descriptor(string mediaType, string digest, int size) => new JsonObject { ["mediaType"] = mediaType, ["digest"] = digest, ["size"] = size };

    private async Task DeniedAsync(string method, string rest, string phrase, string? user = "bob")
    {
        var answer = await AskAsync(method, rest, user);
        Assert.True((answer.Status, answer.Phrase) == (403, phrase), $"{method} {rest}: {answer.Status} {answer.Phrase}");
        Assert.Null(answer.Header("Docker-Content-Digest"));
    }

    private async Task UnavailableAsync(string rest)
    {
        var answer = await AskAsync("GET", rest);
        Assert.True((answer.Status, answer.Phrase, answer.Code) == (503, Unavailable, "UNAVAILABLE"), $"{rest}: {answer.Status} {answer.Phrase}");
    }

    private async Task<RawAnswer> AskAsync(string method, string rest, string? user = "bob", string repository = Repository) =>
        await _here.AskAsync(method, $"/v2/{repository}/{rest}", await _here.PullTokenAsync(user, repository), Curl);

    private Task<RawAnswer> SendAsync(string method, string rest, string token, string header) => _here.SendRawAsync(
        $"{method} /v2/{Repository}/{rest} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nUser-Agent: {Curl}\r\n{header}\r\n\r\n");
}

public sealed class ExceptionTests_direct() : ExceptionTests(Direct);

public sealed class ExceptionTests_kestrel() : ExceptionTests(Kestrel);
