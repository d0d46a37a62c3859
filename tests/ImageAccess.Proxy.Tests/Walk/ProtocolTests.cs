using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What comes through the proxy is what the registry gives directly: status, headers, body.</summary>
public abstract class ProtocolTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Repository = "acme/app";
    private const string Accept =
        "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

    private static readonly string Missing = "sha256:" + new string('a', 64);

    private Surroundings _surroundings = null!;
    private PushedImage _image = null!;

    public async Task InitializeAsync()
    {
        _surroundings = await StartAsync();
        _image = _surroundings.Hub.Images.FindManifest(Repository, "latest")!;
        foreach (var tag in new[] { "1.0", "1.1", "2.0-rc.1", "_x" })
            _surroundings.Hub.Images.PushManifest(Repository, tag, _image.Manifest, _image.MediaType);
        foreach (var type in new[] { "application/vnd.example.sbom+json", "application/vnd.example.signature" })
        {
            var referrer = new JsonObject
            {
                ["schemaVersion"] = 2,
                ["artifactType"] = type,
                ["subject"] = new JsonObject { ["digest"] = _image.Digest },
            };
            _surroundings.Hub.Images.PushManifest(Repository, FallbackTag, Encoding.UTF8.GetBytes(referrer.ToJsonString()), BuiltImage.OciManifest);
        }
    }

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    private string FallbackTag => _image.Digest.Replace(':', '-');

    [Theory]
    [InlineData("GET", "/v2/", "")]
    [InlineData("HEAD", "/v2/", "")]
    [InlineData("GET", "/v2", "")]
    [InlineData("HEAD", "/v2", "")]
    [InlineData("GET", "/v2?x=1", "")]
    [InlineData("GET", "/v2/acme/app/manifests/latest", $"Accept: {Accept}")]
    [InlineData("HEAD", "/v2/acme/app/manifests/latest", $"Accept: {Accept}")]
    [InlineData("GET", "/v2/acme/app/manifests/DIGEST", $"Accept: {Accept}")]
    [InlineData("HEAD", "/v2/acme/app/manifests/DIGEST", "")]
    [InlineData("GET", "/v2/acme/app/manifests/latest", "If-None-Match: \"DIGEST\"")]
    [InlineData("GET", "/v2/acme/app/manifests/nosuchtag", "")]
    [InlineData("HEAD", "/v2/acme/app/manifests/nosuchtag", "")]
    [InlineData("GET", "/v2/acme/app/manifests/MISSING", "")]
    [InlineData("HEAD", "/v2/acme/app/blobs/LAYER", "")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=2-5")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=3-")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=-4")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=0-0")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=100000-")]
    [InlineData("GET", "/v2/acme/app/blobs/LAYER", "Range: bytes=0-1,3-4")]
    [InlineData("GET", "/v2/acme/app/blobs/CONFIG", "")]
    [InlineData("GET", "/v2/acme/app/blobs/MISSING", "")]
    [InlineData("HEAD", "/v2/acme/app/blobs/MISSING", "")]
    [InlineData("GET", "/v2/acme/app/tags/list", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=2", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=2&last=1.1", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=0", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=1000", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?last=", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=-1", "")]
    [InlineData("GET", "/v2/acme/app/tags/list?n=&last=a%2Fb", "")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST", "")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST?artifactType=none&page=%3D", "")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST?artifactType=application/vnd.example.signature", "")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST?artifactType=application%2Fvnd.example.sbom%2Bjson", "")]
    [InlineData("GET", "/v2/acme/app/referrers/MISSING", "")]
    [InlineData("GET", "/v2/acme/app/manifests/FALLBACK", "")]
    [InlineData("GET", "/v2/acme/app/blobs/uploads/0ab70deb-065a-43fc-acd5-5d48caa945d8?_state=x", "")]
    public async Task Reading_is_the_same(string method, string target, string header)
    {
        var (direct, through) = Transcripts(Token(Repository, "pull", "push", "delete"));
        (string, string)[] headers = header.Length == 0 ? [] : [(Fill(header.Split(": ")[0]), Fill(header.Split(": ")[1]))];
        await direct.AskAsync(method, Fill(target), null, headers);
        await through.AskAsync(method, Fill(target), null, headers);

        Assert.Equal(direct.Lines, through.Lines);
    }

    [Theory]
    [InlineData("")]
    [InlineData("none")]
    [InlineData("forged")]
    public async Task Refusals_of_tokens_are_worded_as_the_registry_does(string token)
    {
        var (direct, through) = Transcripts(token switch { "" => "", "none" => Token("acme/other", "pull"), _ => Token(Repository, "pull") + "x" });
        foreach (var transcript in new[] { direct, through })
        {
            await transcript.AskAsync("GET", "/v2/acme/app/manifests/latest");
            await transcript.AskAsync("HEAD", "/v2/acme/app/manifests/latest");
            await transcript.AskAsync("DELETE", "/v2/acme/app/manifests/latest");
            await transcript.AskAsync("POST", "/v2/acme/app/blobs/uploads/");
        }

        Assert.Equal(direct.Lines, through.Lines);
        Assert.All(through.Lines, line => Assert.Contains("\n401 ", line.Replace("authentication required", "Unauthorized", StringComparison.Ordinal), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Writing_is_the_same()
    {
        var (direct, through) = Transcripts(_surroundings.Hub.Signer.IssueToken(draft =>
            draft.For(_surroundings.Hub.Users.Find("alice")!).Access = [new TokenAccess(Repository, "pull", "push", "delete"), new TokenAccess("library/nginx", "pull")]));
        await PushAsync(direct);
        _surroundings.Hub.Images.Remove(Repository);
        await PushAsync(through);

        Assert.Equal(direct.Lines, through.Lines);
    }

    [Fact]
    public async Task A_list_of_tags_is_read_page_by_page_under_the_short_name()
    {
        foreach (var tag in new[] { "1.25", "1.26", "stable" })
            _surroundings.Hub.Images.PushManifest("library/nginx", tag, _image.Manifest, _image.MediaType);
        var token = await _surroundings.PullTokenAsync("bob", "library/nginx");
        var (next, seen, links) = ("/v2/nginx/tags/list?n=2&ns=docker.io", new List<string>(), new List<string>());
        while (next is not null)
        {
            var page = await _surroundings.AskAsync("GET", next, token);
            seen.AddRange(JsonNode.Parse(page.Body)!["tags"]!.AsArray().Select(tag => tag!.GetValue<string>()));
            next = page.Header("Link")?.Split('<', '>')[1];
            links.Add(page.Header("Link") ?? "");
        }

        Assert.Equal(["1.25", "1.26", "latest", "stable"], seen);
        Assert.Equal(["</v2/nginx/tags/list?last=1.26&n=2>; rel=\"next\"", ""], links);
        Assert.Equal(
            ["/v2/library/nginx/tags/list?n=2", "/v2/library/nginx/tags/list?last=1.26&n=2"],
            _surroundings.Hub.Requests.Of(Face.Registry).Select(request => request.RawTarget));
    }

    [Fact]
    public async Task An_upload_under_the_short_name_stays_there()
    {
        var token = Token("library/nginx", "pull", "push");
        var start = await _surroundings.AskAsync("POST", "/v2/nginx/blobs/uploads/", token);
        var origin = _surroundings.Mirror.GetLeftPart(UriPartial.Authority);
        Assert.StartsWith($"{origin}/v2/nginx/blobs/uploads/{start.Header("Docker-Upload-UUID")}?_state=", start.Header("Location"), StringComparison.Ordinal);

        var state = await _surroundings.AskAsync("GET", start.Header("Location")![origin.Length..], token);
        Assert.Equal((204, "0-0"), (state.Status, state.Header("Range")));
        Assert.StartsWith("/v2/library/nginx/blobs/uploads/", _surroundings.Hub.Requests.Of(Face.Registry)[1].RawTarget, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_limit_of_pulls_is_told_with_its_headers()
    {
        var token = await _surroundings.PullTokenAsync("bob", "library/nginx");
        var answer = await _surroundings.AskAsync("GET", "/v2/library/nginx/manifests/latest", token);
        Assert.Equal(("200;w=21600", "199;w=21600"), (answer.Header("RateLimit-Limit"), answer.Header("RateLimit-Remaining")));
        Assert.Equal(_surroundings.Hub.Users.Find("bob")!.Id.ToString("D"), answer.Header("Docker-RateLimit-Source"));

        using var many = _surroundings.Hub.Faults.Add(Face.Registry, Fault.TooManyRequests(37));
        var refused = await _surroundings.AskAsync("GET", "/v2/library/nginx/manifests/latest", token);
        Assert.Equal((429, "37", "TOOMANYREQUESTS"), (refused.Status, refused.Header("Retry-After"), refused.Code));
        Assert.StartsWith("You have reached your pull rate limit.", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(429, "You have reached your pull rate limit.\n", "text/plain; charset=utf-8")]
    [InlineData(500, """{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{}}]}""", "application/json")]
    [InlineData(503, "<html>maintenance</html>", "text/html")]
    [InlineData(403, """{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}""", "application/json")]
    public async Task What_upstream_says_is_passed_on_as_it_is(int status, string body, string mediaType)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Status(status, body, mediaType, ("Retry-After", "9"), ("X-Secret", "x"), ("Set-Cookie", "a=b")));
        var answer = await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest", Token(Repository, "pull"));

        Assert.Equal((status, body, mediaType, "9"), (answer.Status, answer.Body, answer.Header("Content-Type"), answer.Header("Retry-After")));
        Assert.Null(answer.Header("X-Secret"));
        Assert.Null(answer.Header("Set-Cookie"));
    }

    private async Task PushAsync(Transcript to)
    {
        byte[] blob = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];
        var encoded = Uri.EscapeDataString(FakeRegistry.DigestOf(blob));
        var uploads = $"/v2/{Repository}/blobs/uploads/";
        await to.AskAsync("POST", uploads, []);
        await to.AskAsync("GET", to.Location);
        await to.AskAsync("PATCH", to.Location, blob[..40], ("Content-Type", "application/octet-stream"), ("Content-Range", "0-39"));
        await to.AskAsync("PATCH", to.Location, blob[50..], ("Content-Range", "50-99"));
        await to.AskAsync("PATCH", to.Location, blob[40..90], ("Content-Range", "40-89"));
        await to.AskAsync("PUT", $"{to.Location}&digest={encoded}", blob[90..]);
        await to.AskAsync("HEAD", $"/v2/{Repository}/blobs/{FakeRegistry.DigestOf(blob)}");
        await to.AskAsync("POST", uploads, []);
        await to.AskAsync("DELETE", to.Location);
        await to.AskAsync("POST", $"{uploads}?digest={encoded}", blob);
        await to.AskAsync("POST", $"{uploads}?digest={encoded}", [1, 2, 3]);
        await to.AskAsync("POST", uploads, []);
        await to.AskAsync("PUT", $"{to.Location}&digest={FakeRegistry.DigestOf(blob)}", [1, 2, 3]);

        var layer = _surroundings.Hub.Images.FindManifest("library/nginx", "latest")!.Layers[0];
        await to.AskAsync("POST", $"{uploads}?from=library%2Fnginx&mount={Uri.EscapeDataString(layer)}", []);
        var image = BuiltImage.OfLayers(blob);
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/v1", image.Manifest.ToArray(), ("Content-Type", image.MediaType));
        await to.AskAsync("POST", $"{uploads}?digest={Uri.EscapeDataString(FakeRegistry.DigestOf(image.Blobs[0].Span))}", image.Blobs[0].ToArray());
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/v1", image.Manifest.ToArray(), ("Content-Type", image.MediaType));
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/{image.Digest}", image.Manifest.ToArray(), ("Content-Type", image.MediaType));
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/{image.Digest}?tag=v3&tag=v3.1&tag=stable", image.Manifest.ToArray(), ("Content-Type", image.MediaType));
        await to.AskAsync("GET", $"/v2/{Repository}/manifests/stable");
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/{Missing}", image.Manifest.ToArray(), ("Content-Type", image.MediaType));
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/v2", "not json"u8.ToArray(), ("Content-Type", image.MediaType));
        var referrer = Encoding.UTF8.GetBytes($$$"""{"schemaVersion":2,"artifactType":"a/b","subject":{"digest":"{{{image.Digest}}}"}}""");
        await to.AskAsync("PUT", $"/v2/{Repository}/manifests/{FakeRegistry.DigestOf(referrer)}", referrer, ("Content-Type", BuiltImage.OciManifest));
        await to.AskAsync("GET", $"/v2/{Repository}/referrers/{image.Digest}");
        await to.AskAsync("DELETE", $"/v2/{Repository}/manifests/v1");
        await to.AskAsync("DELETE", $"/v2/{Repository}/manifests/{image.Digest}");
        await to.AskAsync("DELETE", $"/v2/{Repository}/manifests/v1");
        Assert.All(to.Lines, line => Assert.DoesNotContain("\n502 ", line, StringComparison.Ordinal));
    }

    private string Token(string repository, params string[] actions) => _surroundings.Hub.Signer.IssueToken(draft =>
        draft.For(_surroundings.Hub.Users.Find("alice")!).Access = [new TokenAccess(repository, actions)]);

    private (Transcript Direct, Transcript Through) Transcripts(string token)
    {
        var hub = _surroundings.Hub;
        return (
            new Transcript(Surroundings.NewClient(hub.Registry), token, hub.Registry, hub.Auth),
            new Transcript(_surroundings.Client, token, _surroundings.Mirror));
    }

    private string Fill(string text) => text
        .Replace("DIGEST", _image.Digest, StringComparison.Ordinal).Replace("LAYER", _image.Layers[0], StringComparison.Ordinal)
        .Replace("CONFIG", _image.Config, StringComparison.Ordinal).Replace("MISSING", Missing, StringComparison.Ordinal)
        .Replace("FALLBACK", FallbackTag, StringComparison.Ordinal);
}

public sealed class ProtocolTests_direct() : ProtocolTests(Direct);

public sealed class ProtocolTests_kestrel() : ProtocolTests(Kestrel);
