using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>
/// Who may see what, cold and warm: what is kept changes no answer. The same layer is in a public, a private and a denied repository, so
/// that every one of them is kept when the others are asked for.
/// </summary>
public sealed class IsolationTests : IAsyncLifetime
{
    private static readonly string[] Repositories = ["acme/open", "acme/private", "someuser/denied"];
    private static readonly string?[] Callers = ["alice", "bob", "carol", null];
    private static readonly string[] Kinds = ["tag", "digest", "child", "layer", "config", "referrers"];

    private Surroundings _world = null!;
    private readonly Dictionary<string, (PushedImage Index, PushedImage Child)> _images = [];

    public async Task InitializeAsync()
    {
        _world = await Surroundings.StartAsync(settings: ("Cache:Enabled", "true"));
        foreach (var repository in Repositories)
        {
            // Of one repository alone: the index and its child; of all: the layer.
            var image = new ImageBuilder().AddFile("shared.txt", "shared by all\n").BuildIndex("amd64");
            var index = _world.Hub.Images.PushImage(repository, "latest", image);
            _images[repository] = (index, _world.Hub.Images.FindManifest(repository, index.References[0])!);
        }

        _world.Hub.Images.MakePrivate("acme/private", "alice", "bob");
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    /// <summary>Whether the rules and Docker Hub together give it: alice owns acme, bob is a member, carol and nobody are neither.</summary>
    private static bool MaySee(string repository, string? caller) => repository switch
    {
        "acme/open" => true,
        "acme/private" => caller is "alice" or "bob",
        _ => caller is "alice",
    };

    [Fact]
    public async Task Nobody_sees_more_warm_than_cold_and_HEAD_and_GET_agree()
    {
        var cold = await AskAllAsync();
        foreach (var (repository, caller, kind, method, answer) in cold)
            Assert.True((answer.Status is 200 or 206) == MaySee(repository, caller), $"cold: {repository} {caller} {kind} {method}: {answer}");

        // alice, who sees everything, has it all kept; then everybody asks once more, in the other order.
        var warm = await AskAllAsync();
        warm.Reverse();
        foreach (var ((repository, caller, kind, method, first), (_, _, _, _, second)) in cold.Zip(warm.AsEnumerable().Reverse()))
        {
            var what = $"{repository} {caller} {kind} {method}: {first} then {second}";
            Assert.True(first.Status == second.Status, what);
            Assert.True(first.Body == second.Body || first.Status >= 400, what);
            Assert.True(MaySee(repository, caller) || !second.Body.Contains("shared", StringComparison.Ordinal), what);
        }

        foreach (var group in warm.Where(row => row.Method is "GET" or "HEAD").GroupBy(row => (row.Repository, row.Caller, row.Kind)))
            Assert.True(group.Select(row => row.Answer.Status).Distinct().Count() == 1, $"{group.Key}: HEAD and GET differ");
    }

    /// <summary>What one may not see is answered as what is not there.</summary>
    [Fact]
    public async Task What_is_private_is_answered_as_what_does_not_exist()
    {
        await AskAllAsync();
        foreach (var caller in new[] { "carol", null })
        {
            foreach (var kind in Kinds)
            {
                foreach (var method in new[] { "HEAD", "GET" })
                {
                    var hidden = await AskAsync("acme/private", caller, kind, method);
                    var missing = await AskAsync("acme/missing", caller, kind, method, of: "acme/private");
                    Assert.Equal(
                        (missing.Status, missing.Phrase, missing.Body.Replace("acme/missing", "acme/private", StringComparison.Ordinal)), (hidden.Status, hidden.Phrase, hidden.Body));
                }
            }
        }
    }

    /// <summary>
    /// A digest that is kept, asked for through a repository that upstream has never named it in: upstream is asked, with the caller's
    /// own token, and its answer counts.
    /// </summary>
    [Fact]
    public async Task A_digest_is_served_through_no_other_repository()
    {
        await AskAllAsync();
        _world.Hub.Images.PushImage("acme/empty", "latest");
        var token = await _world.PullTokenAsync("bob", "acme/empty");
        foreach (var (index, child) in _images.Values)
        {
            Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/empty/manifests/{index.Digest}", token)).Status);
            Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/empty/manifests/{child.Digest}", token)).Status);
            Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/empty/blobs/{child.Layers[0]}", token)).Status);
            Assert.Equal(404, (await _world.AskAsync("HEAD", $"/v2/acme/empty/blobs/{child.Config}", token)).Status);
        }
    }

    /// <summary>A manifest that names a digest opens nothing: a pushed one may name what it likes.</summary>
    [Fact]
    public async Task Naming_a_digest_in_a_manifest_makes_no_link()
    {
        await AskAllAsync();
        var secret = _images["acme/private"].Child;
        var naming = $$"""{"schemaVersion":2,"mediaType":"{{BuiltImage.OciManifest}}","config":{"mediaType":"x","digest":"{{secret.Config}}","size":1},"layers":[{"mediaType":"x","digest":"{{secret.Layers[0]}}","size":1,"urls":["https://example.com"]}],"subject":{"mediaType":"x","digest":"{{secret.Digest}}","size":1 } }""";
        _world.Hub.Images.PushManifest("acme/naming", "latest", System.Text.Encoding.ASCII.GetBytes(naming), BuiltImage.OciManifest);
        var token = await _world.PullTokenAsync(null, "acme/naming");
        Assert.Equal(200, (await _world.AskAsync("GET", "/v2/acme/naming/manifests/latest", token)).Status);
        Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/naming/blobs/{secret.Config}", token)).Status);
        Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/naming/blobs/{secret.Layers[0]}", token)).Status);
        Assert.Equal(404, (await _world.AskAsync("GET", $"/v2/acme/naming/manifests/{secret.Digest}", token)).Status);
    }

    private async Task<List<(string Repository, string? Caller, string Kind, string Method, RawAnswer Answer)>> AskAllAsync()
    {
        var all = new List<(string, string?, string, string, RawAnswer)>();
        foreach (var repository in Repositories)
        {
            foreach (var caller in Callers)
            {
                foreach (var kind in Kinds)
                {
                    foreach (var method in kind == "layer" ? ["GET", "HEAD", "Range"] : new[] { "GET", "HEAD" })
                        all.Add((repository, caller, kind, method, await AskAsync(repository, caller, kind, method)));
                }
            }
        }

        return all;
    }

    private async Task<RawAnswer> AskAsync(string repository, string? caller, string kind, string method, string? of = null)
    {
        var (index, child) = _images[of ?? repository];
        var target = kind switch
        {
            "tag" => "manifests/latest",
            "digest" => $"manifests/{index.Digest}",
            "child" => $"manifests/{child.Digest}",
            "layer" => $"blobs/{child.Layers[0]}",
            "config" => $"blobs/{child.Config}",
            _ => $"referrers/{index.Digest}",
        };
        if (kind == "referrers" && method == "HEAD")
            method = "GET";
        var token = await _world.PullTokenAsync(caller, repository);
        return await _world.SendRawAsync(
            $"{(method == "Range" ? "GET" : method)} /v2/{repository}/{target} HTTP/1.1\r\nHost: {_world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + (method == "Range" ? "Range: bytes=0-9\r\n" : "") + "\r\n");
    }
}
