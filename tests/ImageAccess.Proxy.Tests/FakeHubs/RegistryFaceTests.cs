using System.Net;
using System.Text;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class RegistryFaceTests : IAsyncLifetime
{
    private FakeHub _hub = null!;
    private HubClient _client = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync(options => options.PullLimit = 3);
        _client = HubClient.Of(_hub);
        _hub.Users.Add("alice", "wonderland");
        _hub.Images.PushImage("library/nginx", "latest");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task The_ping_challenges_and_then_answers()
    {
        using var challenged = await _client.GetAsync("/v2/");
        _client.Token = await _hub.TokenForAsync(null);
        using var answered = await _client.GetAsync("/v2/");

        Assert.Equal(HttpStatusCode.Unauthorized, challenged.StatusCode);
        Assert.Equal($"Bearer realm=\"{_hub.Auth}token\",service=\"registry.docker.io\"", challenged.Headers.WwwAuthenticate.ToString());
        Assert.Equal("registry/2.0", challenged.Headers.GetValues("Docker-Distribution-Api-Version").Single());
        Assert.Equal("{}", await answered.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("acme/missing", ",error=\"insufficient_scope\"")]
    [InlineData("nginx", ",error=\"insufficient_scope\"")]
    public async Task What_is_missing_is_insufficient_scope(string repository, string problem)
    {
        _client.Token = await _hub.TokenForAsync(null, $"repository:{repository}:pull");

        using var response = await _client.GetAsync($"/v2/{repository}/manifests/latest");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        var detail = $$"""{"Type":"repository","Class":"","Name":"{{repository}}","Action":"pull"}""";
        Assert.EndsWith(
            $",scope=\"repository:{repository}:pull\"{problem}",
            $"{response.Headers.WwwAuthenticate}",
            StringComparison.Ordinal);
        Assert.Equal(
            "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\",\"detail\":[" + detail + "]}]}",
            await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Manifests_carry_digest_and_limits_and_only_a_get_counts()
    {
        var image = _hub.Images.PushImage("library/nginx", "1.27");
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");

        using var head = await _client.HeadAsync("/v2/library/nginx/manifests/1.27");
        using var get = await _client.GetAsync($"/v2/library/nginx/manifests/{image.Digest}");

        Assert.Equal("3;w=21600", head.Headers.GetValues("ratelimit-remaining").Single());
        Assert.Equal(image.Manifest.Length, head.Content.Headers.ContentLength);
        Assert.Equal("2;w=21600", get.Headers.GetValues("ratelimit-remaining").Single());
        Assert.Equal("127.0.0.1", get.Headers.GetValues("docker-ratelimit-source").Single());
        Assert.Equal(image.Digest, get.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal(image.MediaType, get.Content.Headers.ContentType!.MediaType);
        Assert.Equal(image.Manifest.ToArray(), await get.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_used_up_limit_is_429()
    {
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");
        for (var pull = 0; pull < 3; pull++)
            (await _client.GetAsync("/v2/library/nginx/manifests/latest")).Dispose();

        using var refused = await _client.GetAsync("/v2/library/nginx/manifests/latest");

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("TOOMANYREQUESTS", (string)(await HubClient.JsonOf(refused))["errors"]![0]!["code"]!);
        Assert.Equal(429, _hub.Requests.All[^1].Status);
    }

    [Fact]
    public async Task A_missing_tag_is_manifest_unknown()
    {
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");

        using var response = await _client.GetAsync("/v2/library/nginx/manifests/x");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(
            """{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}""",
            await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Tags_come_in_pages()
    {
        foreach (var tag in (string[])["a", "b", "c"])
            _hub.Images.PushImage("alice/app", tag);
        _client.Token = await _hub.TokenForAsync(null, "repository:alice/app:pull");

        using var first = await _client.GetAsync("/v2/alice/app/tags/list?n=2");
        using var second = await _client.GetAsync("/v2/alice/app/tags/list?last=b&n=2");

        Assert.Equal("""{"name":"alice/app","tags":["a","b"]}""", await first.Content.ReadAsStringAsync());
        Assert.Equal("</v2/alice/app/tags/list?last=b&n=2>; rel=\"next\"", first.Headers.GetValues("Link").Single());
        Assert.Equal("""{"name":"alice/app","tags":["c"]}""", await second.Content.ReadAsStringAsync());
        Assert.False(second.Headers.Contains("Link"));
    }

    [Fact]
    public async Task Referrers_are_filtered_by_type()
    {
        var image = _hub.Images.PushImage("alice/app", "1");
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");
        var config = _hub.Images.PushBlob("alice/app", "{}"u8.ToArray());
        foreach (var type in (string[])["a/signature", "a/sbom"])
        {
            var manifest = $$"""
                {
                  "schemaVersion": 2,
                  "mediaType": "{{BuiltImage.OciManifest}}",
                  "artifactType": "{{type}}",
                  "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": "{{config}}", "size": 2 },
                  "layers": [],
                  "subject": { "mediaType": "{{image.MediaType}}", "digest": "{{image.Digest}}", "size": {{image.Manifest.Length}} }
                }
                """;
            var digest = FakeRegistry.DigestOf(Encoding.UTF8.GetBytes(manifest));
            var content = new StringContent(manifest) { Headers = { ContentType = new(BuiltImage.OciManifest) } };
            using var put = await _client.SendAsync(HttpMethod.Put, $"/v2/alice/app/manifests/{digest}", content);
            Assert.Equal(HttpStatusCode.Created, put.StatusCode);
            Assert.Equal(image.Digest, put.Headers.GetValues("OCI-Subject").Single());
        }

        using var all = await _client.GetAsync($"/v2/alice/app/referrers/{image.Digest}");
        using var signatures = await _client.GetAsync($"/v2/alice/app/referrers/{image.Digest}?artifactType=a%2Fsignature");

        Assert.Equal(2, (await HubClient.JsonOf(all))["manifests"]!.AsArray().Count);
        Assert.Equal("a/signature", (string)(await HubClient.JsonOf(signatures))["manifests"]!.AsArray().Single()!["artifactType"]!);
        Assert.Equal("artifactType", signatures.Headers.GetValues("OCI-Filters-Applied").Single());
    }

    [Fact]
    public async Task A_push_by_digest_makes_the_tags_that_it_names()
    {
        var image = _hub.Images.PushImage("alice/app", "1");
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");
        using var content = new ByteArrayContent(image.Manifest.ToArray()) { Headers = { ContentType = new(image.MediaType) } };

        using var put = await _client.SendAsync(HttpMethod.Put, $"/v2/alice/app/manifests/{image.Digest}?tag=a&tag=b", content);
        using var tagged = await _client.HeadAsync("/v2/alice/app/manifests/b");

        Assert.Equal(["a", "b"], put.Headers.GetValues("OCI-Tag"));
        Assert.Equal(image.Digest, tagged.Headers.GetValues("Docker-Content-Digest").Single());
    }

    [Theory]
    [InlineData("not json", "latest", "MANIFEST_INVALID")]
    [InlineData("""{"schemaVersion":2,"mediaType":"text/other"}""", "latest", "MANIFEST_INVALID")]
    [InlineData("""{"schemaVersion":2}""", "sha256:0000000000000000000000000000000000000000000000000000000000000000", "DIGEST_INVALID")]
    [InlineData("""{"schemaVersion":2,"config":{"digest":"sha256:00"}}""", "latest", "MANIFEST_BLOB_UNKNOWN")]
    public async Task Wrong_manifests_are_refused(string manifest, string reference, string code)
    {
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");
        using var content = new StringContent(manifest) { Headers = { ContentType = new(BuiltImage.OciManifest) } };

        using var response = await _client.SendAsync(HttpMethod.Put, $"/v2/alice/app/manifests/{reference}", content);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(code, (string)(await HubClient.JsonOf(response))["errors"]![0]!["code"]!);
    }

    [Fact]
    public async Task A_tag_and_a_manifest_can_be_deleted()
    {
        var image = _hub.Images.PushImage("alice/app", "1");
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,delete");

        using var deleted = await _client.SendAsync(HttpMethod.Delete, $"/v2/alice/app/manifests/{image.Digest}");
        using var gone = await _client.HeadAsync("/v2/alice/app/manifests/1");

        Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }
}
