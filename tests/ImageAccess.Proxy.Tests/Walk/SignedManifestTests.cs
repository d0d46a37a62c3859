using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A manifest of schema 1 carries its signatures, and its digest is that of what was signed: it is verified so, and passes byte for byte.</summary>
public abstract class SignedManifestTests(string transport) : WalkTests(transport)
{
    private const string Unindented = "{\"schemaVersion\":1,\"name\":\"acme/app\",\"tag\":\"old\",\"architecture\":\"amd64\",\"fsLayers\":[],\"history\":[]\n}";

    public static TheoryData<string, int, string> Images
    {
        get
        {
            var data = new TheoryData<string, int, string>();
            foreach (var kept in new[] { "true", "false" })
            {
                data.Add("one layer", 1, kept);
                data.Add("three layers", 2, kept);
                data.Add("not indented", 3, kept);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Images))]
    public async Task It_is_served_unchanged_by_tag_and_by_digest(string what, int signatures, string kept)
    {
        await using var world = await StartAsync(settings: ("Cache:Enabled", kept));
        var image = what switch
        {
            "one layer" => SignedImage.Of("acme/app", "old", [Digest('1')], signatures),
            "three layers" => SignedImage.Of("acme/app", "old", [Digest('1'), Digest('2'), Digest('3')], signatures),
            _ => SignedImage.Sign(Unindented, signatures),
        };
        world.Hub.Faults.Add(Face.Registry, Serve(image.Manifest, image.Digest));

        foreach (var reference in new[] { "old", image.Digest, "old" })
        {
            foreach (var method in new[] { "GET", "HEAD", "GET" })
            {
                var answer = await AskAsync(world, method, reference);
                Assert.Equal((200, image.Digest, SignedImage.MediaType), (answer.Status, answer.Header("Docker-Content-Digest"), answer.Header("Content-Type")));
                if (method == "GET")
                    Assert.Equal(System.Text.Encoding.UTF8.GetString(image.Manifest), answer.Body);
            }
        }
    }

    /// <summary>What is wrong with each, in a word.</summary>
    public static TheoryData<string> Wrong =>
        ["payload", "tail", "conflicting lengths", "conflicting tails", "length beyond the end", "negative length", "no signature", "signature that is none", "schema 2", "another type", "digest"];

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task One_that_is_not_what_its_digest_says_is_refused_and_the_log_says_where(string wrong)
    {
        await using var world = await StartAsync();
        var image = SignedImage.Sign(wrong == "schema 2" ? Unindented.Replace("\"schemaVersion\":1", "\"schemaVersion\":2", StringComparison.Ordinal) : Unindented, 2, (at, says) => Change(wrong, at, says));
        var text = System.Text.Encoding.UTF8.GetString(image.Manifest);
        if (wrong == "payload")
            text = text.Replace("amd64", "arm64", StringComparison.Ordinal);
        else if (wrong == "no signature")
            text = text[..text.IndexOf("\"signatures\"", StringComparison.Ordinal)] + "\"signatures\": []\n}";
        else if (wrong == "signature that is none")
            text = text[..text.IndexOf("\"signatures\"", StringComparison.Ordinal)] + "\"signatures\": [7, {\"protected\": \"?\"}]\n}";
        world.Hub.Faults.Add(Face.Registry, Serve(
            System.Text.Encoding.UTF8.GetBytes(text), wrong == "digest" ? Digest('f') : image.Digest, wrong == "another type" ? BuiltImage.OciManifest : SignedImage.MediaType));

        foreach (var reference in new[] { "old", wrong == "digest" ? Digest('f') : image.Digest })
        {
            var answer = await AskAsync(world, "GET", reference);
            Assert.Equal((502, "upstream's manifest is not what its digest says"), (answer.Status, answer.Message));
            Assert.Contains($"Upstream failed for GET acme/app ({reference}): upstream's manifest is not what its digest says", world.Log.ToString(), StringComparison.Ordinal);
        }
    }

    private const string Prefix = "{\"schemaVersion\":1,\"name\":\"acme/app\",\"fsLayers\":[]";

    /// <summary>Its signatures speak for a payload that has the digest; but what clients would read is something else.</summary>
    [Theory]
    [InlineData("{\"schemaVersion\":1,EVIL,SIGNATURES}", "", Prefix + "\n}")]
    [InlineData("{\"schemaVersion\":1,\"name\":\"acme/app\",EVIL,SIGNATURES}", "{\"schemaVersion\":1,\"name\":\"acme/app\"", ",\"fsLayers\":[]\n}")]
    [InlineData(Prefix + ",EVIL,SIGNATURES\n}", Prefix, "\n}")]
    [InlineData(Prefix + ",SIGNATURES,EVIL\n}", Prefix, "\n}")]
    [InlineData(Prefix + ",SIGNATURES,EVIL,SIGNATURES\n}", Prefix, "\n}")]
    public async Task Signatures_that_speak_for_something_else_are_refused(string manifest, string prefix, string tail)
    {
        await using var world = await StartAsync();
        var says = new JsonObject { ["formatLength"] = prefix.Length, ["formatTail"] = Encode(tail) };
        var signatures = new JsonArray(new JsonObject { ["protected"] = Encode(says.ToJsonString()), ["signature"] = "AA" });
        var text = manifest.Replace("EVIL", "\"fsLayers\":[{\"blobSum\":\"sha256:66\"}]", StringComparison.Ordinal)
            .Replace("SIGNATURES", $"\"signatures\":{signatures.ToJsonString()}", StringComparison.Ordinal);
        var digest = FakeRegistry.DigestOf(System.Text.Encoding.UTF8.GetBytes(Prefix + "\n}"));
        world.Hub.Faults.Add(Face.Registry, Serve(System.Text.Encoding.UTF8.GetBytes(text), digest));

        var answer = await AskAsync(world, "GET", digest);
        Assert.Equal((502, "upstream's manifest is not what its digest says"), (answer.Status, answer.Message));

        static string Encode(string text) => System.Buffers.Text.Base64Url.EncodeToString(System.Text.Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Without its signatures, a manifest of schema 1 is as any other: kept, by the digest of its bytes.</summary>
    [Theory]
    [InlineData("application/vnd.docker.distribution.manifest.v1+json")]
    [InlineData("application/json")]
    [InlineData(SignedImage.MediaType)]
    public async Task What_is_the_hash_of_its_bytes_is_kept_whatever_it_is_called(string mediaType)
    {
        await using var world = await StartAsync(settings: ("Cache:Enabled", "true"));
        var digest = world.Hub.Images.PushManifest("acme/app", "old", System.Text.Encoding.UTF8.GetBytes(Unindented), mediaType).Digest;
        Assert.Equal(200, (await AskAsync(world, "GET", digest)).Status);
        world.Hub.Requests.Clear();
        Assert.Equal((200, Unindented), await AskAsync(world, "GET", digest) is var again ? (again.Status, again.Body) : default);
        Assert.Empty(world.Hub.Requests.Of(Face.Registry));
    }

    private static void Change(string wrong, int at, JsonObject says)
    {
        if (wrong == "tail")
            says["formatTail"] = "fQ";
        else if (wrong == "conflicting lengths" && at == 1)
            says["formatLength"] = 12;
        else if (wrong == "conflicting tails" && at == 1)
            says["formatTail"] = "fQ";
        else if (wrong == "length beyond the end")
            says["formatLength"] = 1_000_000;
        else if (wrong == "negative length")
            says["formatLength"] = -1;
    }

    private static Fault Serve(byte[] manifest, string digest, string mediaType = SignedImage.MediaType) => Fault.Custom(async (http, _) =>
    {
        http.Response.Headers["Docker-Content-Digest"] = digest;
        http.Response.ContentType = mediaType;
        http.Response.ContentLength = manifest.Length;
        if (http.Request.Method == "GET")
            await http.Response.Body.WriteAsync(manifest);
    });

    private static string Digest(char hex) => "sha256:" + new string(hex, 64);

    private static async Task<RawAnswer> AskAsync(Surroundings world, string method, string reference) =>
        await world.AskAsync(method, $"/v2/acme/app/manifests/{reference}", await world.PullTokenAsync("bob", "acme/app"));
}

public sealed class SignedManifestTests_direct() : SignedManifestTests(Direct);

public sealed class SignedManifestTests_kestrel() : SignedManifestTests(Kestrel);
