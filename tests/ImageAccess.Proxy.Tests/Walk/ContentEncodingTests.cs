using System.IO.Compression;
using System.Text;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What upstream encodes is decoded before it is verified, measured or read; what goes out is plain.</summary>
public abstract class ContentEncodingTests(string transport) : WalkTests(transport)
{
    private static readonly string[] Codings = ["gzip", "x-gzip", "GZip", "deflate", "raw deflate", "br", "identity", "gzip, br", "deflate, gzip"];

    public static TheoryData<string, string> Documents
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var coding in Codings)
            {
                foreach (var resource in new[] { "manifests/latest", "manifests/DIGEST", "tags/list", "referrers/DIGEST", "manifests/missing", "blobs/BLOB" })
                    data.Add(coding, resource);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task What_comes_encoded_goes_out_plain(string coding, string resource)
    {
        await using var world = await StartAsync(settings: ("Cache:Enabled", "true"));
        var image = world.Hub.Images.FindManifest("acme/app", "latest")!;
        var target = "/v2/acme/app/" + resource.Replace("DIGEST", image.Digest, StringComparison.Ordinal).Replace("BLOB", image.Layers[0], StringComparison.Ordinal);
        var plain = await AskAsync(Surroundings.NewClient(world.Hub.Registry), world, target);
        world.Hub.Faults.Add(Face.Registry, Encoded(coding));
        world.Hub.Faults.Add(Face.Cdn, Encoded(coding));

        for (var times = 0; times < 2; times++)
        {
            var answer = await world.AskAsync("GET", target, await world.PullTokenAsync("bob", "acme/app"));
            if (answer.Header("Transfer-Encoding") == "chunked")
                answer = answer with { Body = Unchunk(answer.Body) };
            Assert.Equal((plain.Status, plain.Body, null), (answer.Status, answer.Body, answer.Header("Content-Encoding")));
            if (answer.Header("Transfer-Encoding") is null)
                Assert.Equal(plain.Body.Length.ToString(System.Globalization.CultureInfo.InvariantCulture), answer.Header("Content-Length"));
        }
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task A_HEAD_says_nothing_of_the_coding(string coding)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.WithHeader("Content-Encoding", coding));
        var answer = await world.AskAsync("HEAD", "/v2/acme/app/manifests/latest", await world.PullTokenAsync("bob", "acme/app"));
        Assert.Equal((200, null), (answer.Status, answer.Header("Content-Encoding")));
        Assert.NotNull(answer.Header("Docker-Content-Digest"));
    }

    /// <summary>Nothing cannot be encoded.</summary>
    [Theory]
    [InlineData("gzip", 201)]
    [InlineData("br", 204)]
    [InlineData("zstd", 202)]
    [InlineData("deflate", 404)]
    public async Task What_is_empty_is_not_decoded(string coding, int status)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.Custom((http, _) =>
        {
            http.Response.StatusCode = status;
            http.Response.Headers.ContentEncoding = coding;
            http.Response.ContentLength = status == 204 ? null : 0;
            return Task.CompletedTask;
        }));
        var token = world.Hub.Signer.IssueToken(draft => draft.For(world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push")]);
        var answer = await world.AskAsync("POST", "/v2/acme/app/blobs/uploads/", token);
        Assert.Equal((status, "", null), (answer.Status, answer.Body, answer.Header("Content-Encoding")));
    }

    [Theory]
    [InlineData("zstd", "zstd")]
    [InlineData("compress", "compress")]
    [InlineData("gzip, exotic", "exotic")]
    [InlineData("gzip, gzip, gzip, gzip", "4 one above another")]
    public async Task An_unknown_coding_is_refused_by_name(string coding, string named)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.WithHeader("Content-Encoding", coding));
        var image = world.Hub.Images.FindManifest("acme/app", "latest")!;
        foreach (var resource in new[] { "manifests/latest", "tags/list", "referrers/" + image.Digest })
        {
            var answer = await world.AskAsync("GET", "/v2/acme/app/" + resource, await world.PullTokenAsync("bob", "acme/app"));
            Assert.Equal((502, $"upstream's answer has a Content-Encoding that is not known: {named}"), (answer.Status, answer.Message));
        }

        var missing = await world.AskAsync("GET", "/v2/acme/app/manifests/missing", await world.PullTokenAsync("bob", "acme/app"));
        Assert.Equal((404, "", null), (missing.Status, missing.Body, missing.Header("Content-Encoding")));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("gzip, gzip")]
    public async Task A_bomb_meets_the_limit(string coding)
    {
        await using var world = await StartAsync();
        var bomb = Encode(coding, new byte[64 * 1024 * 1024]);
        world.Hub.Faults.Add(Face.Registry, "/manifests/", Answer(200, coding, bomb));
        var answer = await world.AskAsync("GET", "/v2/acme/app/manifests/latest", await world.PullTokenAsync("bob", "acme/app"));
        Assert.Equal((502, "upstream's manifest is larger than 4 MiB"), (answer.Status, answer.Message));

        world.Hub.Faults.Clear();
        world.Hub.Faults.Add(Face.Auth, Answer(200, coding, bomb));
        Assert.Equal(502, (await world.AskAsync("GET", "/token?service=registry.docker.io")).Status);
        Assert.Contains("the token service's answer is larger than ", world.Log.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gzip", "not encoded at all")]
    [InlineData("deflate", "xnot encoded at all")]
    [InlineData("br", "not encoded at all")]
    public async Task What_cannot_be_decoded_is_no_answer(string coding, string body)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Answer(200, coding, Encoding.ASCII.GetBytes(body)));
        foreach (var resource in new[] { "manifests/latest", "tags/list" })
            Assert.Equal(502, (await world.AskAsync("GET", "/v2/acme/app/" + resource, await world.PullTokenAsync("bob", "acme/app"))).Status);
        Assert.Contains("Upstream failed for GET acme/app (latest): ", world.Log.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task What_is_cut_short_inside_of_its_coding_is_no_answer(string coding)
    {
        await using var world = await StartAsync();
        var whole = Encode(coding, Encoding.ASCII.GetBytes("""{"name":"acme/app","tags":["latest","v1","v2"]}"""));
        world.Hub.Faults.Add(Face.Registry, Answer(200, coding, whole[..^6]));
        Assert.Equal(502, (await world.AskAsync("GET", "/v2/acme/app/tags/list", await world.PullTokenAsync("bob", "acme/app"))).Status);
    }

    [Fact]
    public async Task A_part_of_an_encoded_blob_is_no_part_of_the_blob()
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Cdn, Fault.WithHeader("Content-Encoding", "gzip"));
        var blob = world.Hub.Images.FindManifest("acme/app", "latest")!.Layers[0];
        var token = await world.PullTokenAsync("bob", "acme/app");
        var answer = await world.SendRawAsync(
            $"GET /v2/acme/app/blobs/{blob} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nRange: bytes=2-3\r\n\r\n");
        Assert.Equal((502, "upstream sent a part of an encoded answer, which cannot be decoded"), (answer.Status, answer.Message));
    }

    /// <summary>Everything that is asked of Docker Hub is read the same way.</summary>
    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate, gzip")]
    public async Task Tokens_searches_and_badges_are_decoded_too(string coding)
    {
        const string Policy = """{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "verifiedPublisher": true } } ] }""";
        await using var world = await StartAsync(Policy);
        foreach (var face in new[] { Face.Auth, Face.Hub, Face.Index })
            world.Hub.Faults.Add(face, Encoded(coding));

        Assert.Contains("\"token\":", (await world.AskAsync("GET", "/token?service=registry.docker.io")).Body, StringComparison.Ordinal);
        var found = await world.Proxy.Services.GetRequiredService<UpstreamSearch>().AskAsync("q=nginx", basic: null, CancellationToken.None);
        Assert.Contains("\"results\":", Encoding.UTF8.GetString(found.Body.Span), StringComparison.Ordinal);
        Assert.Equal(200, (await world.AskAsync("GET", "/v2/bitnami/redis/manifests/latest", await world.PullTokenAsync("bob", "bitnami/redis"))).Status);
    }

    private static async Task<(int Status, string Body)> AskAsync(HttpClient client, Surroundings world, string target)
    {
        using var owned = client;
        using var request = new HttpRequestMessage(HttpMethod.Get, target) { Headers = { { "Authorization", "Bearer " + await world.PullTokenAsync("bob", "acme/app") } } };
        using var answer = await client.SendAsync(request);
        if (answer.Headers.Location is not { } cdn)
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        using var blob = await client.GetAsync(cdn);
        return ((int)blob.StatusCode, await blob.Content.ReadAsStringAsync());
    }

    /// <summary>The right answer, encoded.</summary>
    private static Fault Encoded(string coding) => Fault.Custom(async (http, answer) =>
    {
        var body = http.Response.Body;
        using var plain = new MemoryStream();
        http.Response.Body = plain;
        await answer();
        http.Response.Body = body;
        if (plain.Length == 0)
            return;
        var encoded = Encode(coding, plain.ToArray());
        http.Response.Headers.ContentEncoding = coding == "raw deflate" ? "deflate" : coding;
        http.Response.ContentLength = encoded.Length;
        await body.WriteAsync(encoded);
    });

    private static Fault Answer(int status, string coding, byte[] body) => Fault.Custom(async (http, _) =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.Headers.ContentEncoding = coding;
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body);
    });

    private static byte[] Encode(string codings, byte[] bytes) => codings.Split(", ").Aggregate(bytes, (plain, coding) =>
    {
        var encoded = new MemoryStream();
        using (Stream encoder = coding switch
        {
            "deflate" => new ZLibStream(encoded, CompressionLevel.Optimal),
            "raw deflate" => new DeflateStream(encoded, CompressionLevel.Optimal),
            "br" => new BrotliStream(encoded, CompressionLevel.Fastest),
            "identity" => new BufferedStream(encoded),
            _ => new GZipStream(encoded, CompressionLevel.Optimal),
        })
            encoder.Write(plain);
        return encoded.ToArray();
    });

    private static string Unchunk(string body)
    {
        var plain = new StringBuilder();
        while (body.Split("\r\n", 2) is [var size, var rest] && Convert.ToInt32(size, 16) is > 0 and var length)
        {
            plain.Append(rest.AsSpan(0, length));
            body = rest[(length + 2)..];
        }

        return plain.ToString();
    }
}

public sealed class ContentEncodingTests_direct() : ContentEncodingTests(Direct);

public sealed class ContentEncodingTests_kestrel() : ContentEncodingTests(Kestrel);
