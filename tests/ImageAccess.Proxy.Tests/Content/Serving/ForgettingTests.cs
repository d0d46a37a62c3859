using System.Net;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>What was taken down upstream is forgotten on request: nothing of it is served until upstream has answered for it again.</summary>
public sealed class ForgettingTests : IAsyncLifetime, IDisposable
{
    private const string Shared = "a layer of two repositories";

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly TemporaryDirectory _directory = new();
    private Surroundings _world = null!;
    private PushedImage _index = null!;
    private PushedImage _child = null!;
    private PushedImage _other = null!;

    public async Task InitializeAsync()
    {
        _world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"), ("Cache:TagFreshness", "01:00:00"));
        _index = _world.Hub.Images.PushImage("acme/app", "multi", new ImageBuilder().AddFile("a.txt", Shared).BuildIndex("amd64", "arm64"));
        _child = _world.Hub.Images.FindManifest("acme/app", _index.References[0])!;
        _other = _world.Hub.Images.PushImage("acme/app", "single", [Encoding.ASCII.GetBytes("of the other image alone")]);
        _world.Hub.Images.PushImage("acme/second", "multi", new ImageBuilder().AddFile("a.txt", Shared).BuildIndex("amd64", "arm64"));
        foreach (var target in All)
            Assert.Equal(200, await AskAsync(target));
        Assert.Equal(200, await AskAsync($"/v2/acme/second/blobs/{_child.Layers[0]}"));
        var contents = _world.Proxy.Services.GetRequiredService<Proxy.Content.Cache.DirectoryStore>().Contents;
        await Eventually.TrueAsync(() => contents.Count == 7);
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    /// <summary>Everything of the first image, then of the second.</summary>
    private string[] All =>
    [
        "/v2/acme/app/manifests/multi", $"/v2/acme/app/manifests/{_index.Digest}", $"/v2/acme/app/manifests/{_child.Digest}",
        $"/v2/acme/app/blobs/{_child.Config}", $"/v2/acme/app/blobs/{_child.Layers[0]}",
        "/v2/acme/app/manifests/single", $"/v2/acme/app/manifests/{_other.Digest}", $"/v2/acme/app/blobs/{_other.Config}", $"/v2/acme/app/blobs/{_other.Layers[0]}",
    ];

    [Theory]
    [InlineData("acme/app", 0, 9)]
    [InlineData("docker.io/acme/app", 0, 9)]
    [InlineData("acme/app:multi", 0, 5)]
    [InlineData("acme/app@INDEX", 0, 5)]
    [InlineData("acme/app:multi@INDEX", 0, 5)]
    [InlineData("acme/app:single", 5, 9)]
    [InlineData("acme/app@LAYER", 4, 5)]
    [InlineData("acme/app@CHILD", 2, 5)]
    public async Task What_was_taken_down_and_forgotten_is_not_served_any_more_also_after_a_restart(string image, int from, int to)
    {
        _world.Hub.Images.Remove("acme/app");
        foreach (var target in All)
            Assert.Equal(200, await AskAsync(target)); // as it is: what is kept stays

        await ForgetAsync(image);
        for (var restart = 0; restart < 2; restart++)
        {
            for (var number = 0; number < All.Length; number++)
            {
                // What names something forgotten and is not forgotten itself is served still, as an index without its image.
                var status = await AskAsync(All[number]);
                Assert.True((status == 200) != (number >= from && number < to), $"{All[number]}: {status}");
            }

            Assert.Equal(200, await AskAsync($"/v2/acme/second/blobs/{_child.Layers[0]}"));
            await _world.RestartAsync();
        }
    }

    [Theory]
    [InlineData("acme/app")]
    [InlineData("acme/app:multi")]
    [InlineData("acme/app@CHILD")]
    public async Task What_upstream_has_still_comes_again_once_it_was_asked(string image)
    {
        await ForgetAsync(image);
        _world.Hub.Requests.Clear();
        foreach (var target in All)
            Assert.Equal(200, await AskAsync(target));
        Assert.Contains($"GET /v2/acme/app/blobs/{_child.Layers[0]}", _world.Hub.Requests.All.Select(asked => $"{asked.Method} {asked.Path}")); // as if it were not here

        _world.Hub.Requests.Clear();
        foreach (var target in All)
            Assert.Equal(200, await AskAsync(target));
        Assert.Empty(_world.Hub.Requests.All);
    }

    /// <summary>An answer that was asked for before is not believed after it, nor shared with who asks after it.</summary>
    [Theory]
    [InlineData("GET", "manifests/new")]
    [InlineData("HEAD", "manifests/new")]
    [InlineData("GET", "manifests/DIGEST")]
    [InlineData("HEAD", "manifests/DIGEST")]
    [InlineData("GET", "blobs/LAYER")]
    [InlineData("HEAD", "blobs/LAYER")]
    public async Task What_is_under_way_does_not_bring_it_back(string method, string what)
    {
        var image = _world.Hub.Images.PushImage("acme/app", "new", [Encoding.ASCII.GetBytes("new")]);
        var target = "/v2/acme/app/" + what.Replace("DIGEST", image.Digest, StringComparison.Ordinal).Replace("LAYER", image.Layers[0], StringComparison.Ordinal);
        var release = new TaskCompletionSource();
        var held = _world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, answer) =>
        {
            await answer();
            await release.Task;
        }), times: 1);
        var before = AskAsync(target, method);
        await Eventually.TrueAsync(() => held.Hits == 1);
        await ForgetAsync("acme/app");
        _world.Hub.Images.Remove("acme/app");
        var after = AskAsync(target, method);
        release.SetResult();

        Assert.Equal(200, await before); // upstream had said so
        Assert.Equal(404, await after);
        Assert.Equal(404, await AskAsync(target, method));
        Assert.Equal(404, await AskAsync($"/v2/acme/app/manifests/{image.Digest}"));
        Assert.Equal(404, await AskAsync($"/v2/acme/app/blobs/{image.Layers[0]}"));
    }

    /// <summary>Neither upstream's word nor what is kept counts for those who waited for that word: upstream is asked once more.</summary>
    [Theory]
    [InlineData(0, 200)]
    [InlineData(0, 503)]
    [InlineData(1, 200)]
    [InlineData(1, 429)]
    [InlineData(4, 200)]
    [InlineData(4, 500)]
    public async Task A_revalidation_under_way_neither_serves_nor_brings_back_what_is_forgotten(int what, int status)
    {
        await _world.RestartAsync(("Cache:LinkFreshness", "01:30:00"));
        _time.Advance(TimeSpan.FromHours(2));
        var release = new TaskCompletionSource();
        var held = _world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, answer) =>
        {
            if (status == 200)
                await answer();
            else
                http.Response.StatusCode = status;
            await release.Task;
        }), times: 1);
        var before = AskAsync(All[what]);
        await Eventually.TrueAsync(() => held.Hits == 1);
        await ForgetAsync("acme/app");
        _world.Hub.Images.Remove("acme/app");
        release.SetResult();
        Assert.Equal(404, await before);
        Assert.Equal(404, await AskAsync(All[what]));
        Assert.Equal(404, await AskAsync(All[1]));
    }

    [Theory]
    [InlineData("acme/app:multi", "is not known here by this tag; forget its digest or the whole repository")] // dropped, because upstream has said 404
    [InlineData("acme/app:never", "is not known here by this tag; forget its digest or the whole repository")]
    [InlineData("nginx:1.27", "is not known here by this tag; forget its digest or the whole repository")]
    [InlineData("acme/app@sha256:0000000000000000000000000000000000000000000000000000000000000000", "is not known here by this digest; forget the whole repository to be sure")]
    [InlineData("acme/app:never@sha256:0000000000000000000000000000000000000000000000000000000000000000", "is not known here by this digest; forget the whole repository to be sure")]
    public async Task Where_nothing_is_known_of_an_image_nobody_is_told_that_it_was_forgotten(string image, string why)
    {
        _time.Advance(TimeSpan.FromHours(2));
        _world.Hub.Images.Remove("acme/app");
        Assert.Equal(404, await AskAsync("/v2/acme/app/manifests/multi"));

        using var client = Surroundings.NewClient(_world.Admin);
        using var answer = await client.DeleteAsync("/api/v1/cache?image=" + Uri.EscapeDataString(image));
        Assert.Equal(404, (int)answer.StatusCode);
        Assert.Equal($"{image} {why}", JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync()).GetProperty("detail").GetString());

        var run = await RunAsync(image, "acme/app:single", "someuser/unknown");
        Assert.Equal((2, $"imageaccess: {image} {why}\n"), (run.ExitCode, run.Error));
        Assert.Contains("acme/app:single", run.Output, StringComparison.Ordinal); // the others are forgotten all the same
        Assert.Contains("someuser/unknown", run.Output, StringComparison.Ordinal);
        Assert.Equal(404, await AskAsync(All[6]));
    }

    /// <summary>What a manifest names is found by its bytes, also where the repository has it no longer.</summary>
    [Theory]
    [InlineData("acme/app@INDEX", 3, 5, "INDEX")]
    [InlineData("acme/app@INDEX", 3, 5, "INDEX CHILD")]
    [InlineData("acme/app@CHILD", 3, 5, "CHILD")]
    [InlineData("acme/app:multi", 3, 5, "CHILD")]
    public async Task What_a_manifest_names_is_forgotten_also_where_its_own_link_is_gone(string image, int from, int to, string gone)
    {
        var links = _world.Proxy.Services.GetRequiredService<Proxy.Content.Cache.ILinkStore>();
        foreach (var name in gone.Split(' '))
        {
            Assert.True(ImageAccess.Core.Oci.Digest.TryParse(Full(name), out var digest));
            Assert.True(ImageAccess.Core.Oci.RepositoryName.TryParse("acme/app", out var repository));
            await links.UnlinkAsync(repository, digest);
        }

        _world.Hub.Images.Remove("acme/app");
        await ForgetAsync(image);
        for (var number = from; number < to; number++)
            Assert.Equal(404, await AskAsync(All[number]));
        await ForgetAsync("acme/app@INDEX"); // nothing is left of it, and that is known
    }

    /// <summary>The digest of a signed manifest is known, and its bytes are not kept: nobody can tell which layers are its own.</summary>
    [Fact]
    public async Task Where_layers_could_not_be_found_the_answer_says_so()
    {
        var signed = SignedImage.Of("acme/app", "old", [_other.Layers[0]]);
        _world.Hub.Faults.Add(Face.Registry, "/manifests/", Serve(signed.Manifest, signed.Digest, SignedImage.MediaType));
        Assert.Equal(200, await AskAsync("/v2/acme/app/manifests/old"));
        _world.Hub.Faults.Clear();

        using var client = Surroundings.NewClient(_world.Admin);
        var answer = await client.DeleteAsync("/api/v1/cache?image=acme/app:old");
        Assert.Equal("""{"image":"acme/app:old","links":1,"tags":1,"unread":1}""" + "\n", await answer.Content.ReadAsStringAsync());
        Assert.Contains("the layers of 1 manifest(s) could not be found", _world.Log.ToString(), StringComparison.Ordinal);

        var run = await RunAsync("acme/app:multi", "acme/app:single"); // one of the two platforms was never asked for
        Assert.Equal(
            """
            LINKS  TAGS  FORGOTTEN
                4     1  acme/app:multi
                the layers of 1 manifest could not be found: forget the whole repository to be sure
                3     1  acme/app:single

            """, run.Output);
    }

    /// <summary>Half a surrogate pair cannot be read as text. Other members of the manifest can be, and clients read them.</summary>
    [Theory]
    [InlineData("""{"schemaVersion":2,"\ud800":1,"layers":[{"digest":"LAYER"}]}""")]
    [InlineData("""{"schemaVersion":2,"layers":[{"digest":"\udc00"},{"\ud8ff":[],"digest":"LAYER"}]}""")]
    [InlineData("""{"schemaVersion":2,"config":{"digest":"\ud83d"},"Layers":[{"Digest":"LAYER"}]}""")]
    [InlineData("""{"schemaVersion":2,"layers":[{"digest":"LAYER"}],"manifests":[{"digest":"sha256:\udfff"}]}""")]
    public async Task What_a_manifest_names_is_forgotten_also_where_some_of_it_cannot_be_read(string manifest)
    {
        var bytes = Encoding.UTF8.GetBytes(manifest.Replace("LAYER", _other.Layers[0], StringComparison.Ordinal));
        var digest = FakeRegistry.DigestOf(bytes);
        _world.Hub.Faults.Add(Face.Registry, "/manifests/", Serve(bytes, digest, "application/vnd.oci.image.manifest.v1+json"));
        Assert.Equal(200, await AskAsync("/v2/acme/app/manifests/odd"));
        _world.Hub.Faults.Clear();
        _world.Hub.Images.Remove("acme/app");

        using var client = Surroundings.NewClient(_world.Admin);
        var answer = await client.DeleteAsync("/api/v1/cache?image=acme/app:odd");
        Assert.Equal("""{"image":"acme/app:odd","links":2,"tags":1,"unread":0}""" + "\n", await answer.Content.ReadAsStringAsync());
        Assert.Equal(404, await AskAsync(All[8]));
    }

    [Fact]
    public async Task It_is_in_the_audit_and_in_the_log()
    {
        var run = await RunAsync("acme/app:multi", "acme/app", "nginx", "--reason", "leaked\nkey");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            """
            LINKS  TAGS  FORGOTTEN
                4     1  acme/app:multi
                the layers of 1 manifest could not be found: forget the whole repository to be sure
                3     1  acme/app
                0     0  nginx

            """, run.Output);
        var first = (await _world.AuditAsync(5 + 3)).First(line => line.TryGetProperty("event", out var name) && name.GetString() == "forgotten");
        Assert.Equal(
            (Environment.UserName, "127.0.0.1", "acme/app", "multi", 4, 1, "leaked\nkey"),
            (Text("user"), Text("client"), Text("repository"), Text("reference"), first.GetProperty("links").GetInt32(), first.GetProperty("tags").GetInt32(), Text("reason")));
        Assert.Contains($"acme/app:multi was forgotten, 4 links and 1 tags, for {Environment.UserName}: leaked?key", _world.Log.ToString(), StringComparison.Ordinal);

        string? Text(string name) => first.GetProperty(name).GetString();
    }

    [Fact]
    public async Task The_verb_tells_facts_as_JSON_and_what_is_wrong()
    {
        var run = await RunAsync("acme/app", "--json");
        Assert.Equal(("acme/app", 7, 2), (
            run.Json.GetProperty("forgotten")[0].GetProperty("image").GetString(),
            run.Json.GetProperty("forgotten")[0].GetProperty("links").GetInt32(),
            run.Json.GetProperty("forgotten")[0].GetProperty("tags").GetInt32()));
        Assert.Equal((2, "imageaccess: ghcr.io/x/y is not an image of Docker Hub\n"), await RunAsync("ghcr.io/x/y") is var other ? (other.ExitCode, other.Error) : default);
        Assert.Equal(2, (await RunAsync("Not/An_Image")).ExitCode);
        Assert.Equal(2, (await RunAsync("acme/app@sha256:short")).ExitCode);

        var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var free = listener.LocalEndpoint;
        listener.Dispose();
        Assert.Equal(
            (2, $"imageaccess: the proxy at http://{free} does not answer (Connection refused); start it\n"),
            await RunAsync(new Uri($"http://{free}"), "acme/app") is var dead ? (dead.ExitCode, dead.Error) : default);
    }

    [Theory]
    [InlineData("DELETE", "?image=acme/app", 200)]
    [InlineData("DELETE", "?image=acme/app&reason=x&by=y", 200)]
    [InlineData("DELETE", "", 400)]
    [InlineData("DELETE", "?image=", 400)]
    [InlineData("DELETE", "?image=ghcr.io/x/y", 400)]
    [InlineData("DELETE", "?image=acme/app&image=acme/other", 400)]
    [InlineData("DELETE", "?image=acme/app&force=true", 400)]
    [InlineData("GET", "?image=acme/app", 404)]
    [InlineData("POST", "?image=acme/app", 404)]
    public async Task The_admin_listener_refuses_what_it_does_not_know(string method, string query, int status)
    {
        using var client = Surroundings.NewClient(_world.Admin);
        using var request = new HttpRequestMessage(new HttpMethod(method), "/api/v1/cache" + query);
        using var answer = await client.SendAsync(request);
        Assert.Equal(status, (int)answer.StatusCode);
        if (status == 400)
            Assert.Equal(("application/problem+json", 400), (answer.Content.Headers.ContentType?.MediaType, JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync()).GetProperty("status").GetInt32()));
        Assert.Equal(200, await AskAsync(All[0])); // upstream has it still
        using var mirror = await _world.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), "/api/v1/cache" + query));
        Assert.Equal(HttpStatusCode.NotFound, mirror.StatusCode);
    }

    [Theory]
    [InlineData("192.0.2.7", "10.0.0.5", "10.0.0.5:9000", 403)]
    [InlineData("127.0.0.1", "127.0.0.1", "rebound.example.com", 403)]
    [InlineData("127.0.0.1", "127.0.0.1", "localhost:9000", 200)]
    public async Task It_is_changed_by_its_own_machine_alone(string remote, string local, string host, int status)
    {
        var http = new DefaultHttpContext { RequestServices = _world.Proxy.Services };
        (http.Connection.RemoteIpAddress, http.Connection.LocalIpAddress) = (IPAddress.Parse(remote), IPAddress.Parse(local));
        (http.Request.Host, http.Request.QueryString) = (new HostString(host), new QueryString("?image=nginx"));
        await _world.Proxy.Services.GetRequiredService<CacheEndpoint>().HandleAsync(http);
        Assert.Equal(status, http.Response.StatusCode);
    }

    /// <summary>A reverse proxy on the same machine makes all the world look like that machine.</summary>
    [Theory]
    [InlineData("Forwarded", "for=192.0.2.7")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("Via", "1.1 front")]
    [InlineData("via", "")]
    public async Task What_another_proxy_passes_on_does_not_come_from_its_own_machine(string name, string value)
    {
        using var client = Surroundings.NewClient(_world.Admin);
        foreach (var (method, path) in new[] { ("DELETE", "/api/v1/cache"), ("GET", "/check") })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path + "?image=acme/app");
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
            using var answer = await client.SendAsync(request);
            Assert.Equal(403, (int)answer.StatusCode);
            Assert.Contains("only on the machine of the proxy, and not through another proxy", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    private static Fault Serve(byte[] manifest, string digest, string mediaType) => Fault.Custom(async (http, _) =>
    {
        http.Response.Headers["Docker-Content-Digest"] = digest;
        (http.Response.ContentType, http.Response.ContentLength) = (mediaType, manifest.Length);
        if (http.Request.Method == "GET")
            await http.Response.Body.WriteAsync(manifest);
    });

    private async Task ForgetAsync(string image)
    {
        var run = await RunAsync(Full(image));
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
    }

    private string Full(string image) => image.Replace("INDEX", _index.Digest, StringComparison.Ordinal)
        .Replace("CHILD", _child.Digest, StringComparison.Ordinal).Replace("LAYER", _child.Layers[0], StringComparison.Ordinal);

    private Task<CommandLine> RunAsync(params string[] arguments) => RunAsync(_world.Admin, arguments);

    private async Task<CommandLine> RunAsync(Uri admin, params string[] arguments)
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Listen": { "Admin": "{{admin.GetLeftPart(UriPartial.Authority)}}" } }""");
        return await CommandLine.RunAsync(["cache", "forget", "--config", _directory["imageaccess.json"], .. arguments]);
    }

    private async Task<int> AskAsync(string target, string method = "GET") =>
        (await _world.AskAsync(method, target, await _world.PullTokenAsync("alice", string.Join('/', target.Split('/')[2..4])))).Status;
}
