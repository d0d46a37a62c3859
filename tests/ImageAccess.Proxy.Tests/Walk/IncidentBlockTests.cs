using System.Runtime.Versioning;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Images of an incident are blocked and forgotten by one call; what others share with them stays.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class IncidentBlockTests : IAsyncLifetime
{
    /// <summary>As <see cref="ApiRoom.Policy"/>, and what is to be blocked is on the allowlist.</summary>
    private const string Policy =
        """
        {
          "companyOwners": [ "carol" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true },
              "allowlist": [ { "repository": "someuser/evil", "reason": "a test", "approvedBy": "alice" }, { "repository": "someuser/good", "reason": "a test", "approvedBy": "alice" } ] },
            { "name": "globex", "owners": [ "gail" ], "members": [ "hank" ], "enabled": true, "allow": { "official": true } }
          ]
        }
        """;

    private static readonly byte[] Shared = "a layer of several images"u8.ToArray();

    private readonly ApiRoom _room = new();
    private PushedImage _evil = null!;
    private PushedImage _good = null!;

    private Surroundings Here => _room.Here;

    private FakeRegistry Images => Here.Hub.Images;

    public async Task InitializeAsync()
    {
        await _room.StartAsync(("Cache:Enabled", "true"));
        await Here.WritePolicyAsync(Policy);
        (_evil, _good) = (Images.PushImage("someuser/evil", "1", Shared, "a layer that is evil"u8.ToArray()), Images.PushImage("someuser/good", "1", Shared));
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_kept_image_is_denied_and_gone_and_what_another_one_shares_with_it_comes_from_the_cache_without_upstream()
    {
        Assert.Equal(200, await PullAsync("bob", "someuser/evil", "1", _evil));
        Assert.Equal(200, await PullAsync("alice", "someuser/good", "1", _good));
        await Eventually.TrueAsync(async () => (await _room.Service<UsageStore>().CountAsync(new UsageFilter { Repository = "someuser/evil" }, UsageBy.Caller, default)).Count == 1);
        var granted = await _room.SendAsync(
            "POST", "/api/v1/exceptions", await _room.TokenAsync("administrator"), $$"""{ "organization": "acme", "image": "someuser/evil", "reason": "a trial", "until": "{{DateTime.UtcNow.AddDays(3):yyyy-MM-dd}}T00:00:00Z" }""");
        Assert.Equal(201, granted.Status);

        var answer = await BlockAsync("""{ "images": [ "someuser/evil" ], "reason": "CVE-2026-1" }""");
        var gone = All(_evil).Except(All(_good)).ToList();
        var image = Assert.Single(answer.GetProperty("images").EnumerateArray());
        Assert.Equal(
            ("someuser/evil", "CVE-2026-1", gone.Count, 1, 1, 1),
            (image.GetProperty("image").GetString(), image.GetProperty("reason").GetString(), Number(image, "contents"), Number(image, "pulls"), Number(image, "callers"), Number(image, "machines")));
        Assert.Equal(gone.Sum(Length), image.GetProperty("bytes").GetInt64());
        Assert.Equal(0, answer.GetProperty("problems").GetArrayLength());
        Assert.False(answer.TryGetProperty("told", out _));

        await AssertGoneAsync();
        var again = (await BlockAsync("""{ "images": [ "someuser/evil" ], "reason": "once more" }""")).GetProperty("images")[0];
        Assert.Equal((image.GetProperty("block").GetInt64(), "CVE-2026-1"), (again.GetProperty("block").GetInt64(), again.GetProperty("reason").GetString()));
        Assert.Equal(1, _room.Service<IPolicyStore>().Current.Blocks.Count);

        await Here.RestartAsync(() => { });
        await AssertGoneAsync();
        var told = Assert.Single(await Here.AuditAsync(1), line => line.TryGetProperty("event", out var kind) && kind.GetString() == "forgotten");
        Assert.Equal(("someuser/evil", "CVE-2026-1", 1), (told.GetProperty("repository").GetString(), told.GetProperty("reason").GetString(), Number(told, "tags")));

        async Task AssertGoneAsync()
        {
            Assert.All(gone, digest => Assert.False(IsKept(digest), digest));
            foreach (var user in new[] { "alice", "bob", "carol" })
                Assert.Equal(403, await PullAsync(user, "someuser/evil", "1", _evil));
            using var down = Here.Hub.Faults.Add(Face.Registry, Fault.Status(503));
            using var cdn = Here.Hub.Faults.Add(Face.Cdn, Fault.Status(503));
            Assert.Equal(200, await PullAsync("bob", "someuser/good", _good.Digest, _good));
        }
    }

    /// <summary>Two images of one repository, an index and an image of it: what is named by others too is theirs.</summary>
    [Theory]
    [InlineData("DIGEST")]
    [InlineData("someuser/good@DIGEST")]
    [InlineData("someuser/good:bad")]
    public async Task Of_one_repository_the_other_images_stay_whole(string image)
    {
        var bad = Images.PushImage("someuser/good", "bad", Shared, "bad of the same"u8.ToArray());
        Assert.Equal((200, 200), (await PullAsync("bob", "someuser/good", "1", _good), await PullAsync("bob", "someuser/good", "bad", bad)));
        var answer = await BlockAsync($$"""{ "images": [ "{{image.Replace("DIGEST", bad.Digest, StringComparison.Ordinal)}}" ], "reason": "bad" }""");
        var gone = All(bad).Except(All(_good)).ToList();
        Assert.Equal(gone.Count, Number(answer.GetProperty("images")[0], "contents"));
        Assert.All(gone, digest => Assert.False(IsKept(digest), digest));
        using var down = Here.Hub.Faults.Add(Face.Registry, Fault.Status(503));
        Assert.Equal(200, await PullAsync("bob", "someuser/good", _good.Digest, _good));
    }

    [Fact]
    public async Task A_tag_that_points_where_another_one_does_takes_nothing_from_it()
    {
        Images.PushImage("someuser/good", "twin", Shared);
        Assert.Equal((200, 200), (await PullAsync("bob", "someuser/good", "1", _good), await PullAsync("bob", "someuser/good", "twin", _good)));
        Assert.Equal(0, Number((await BlockAsync("""{ "images": [ "someuser/good:twin" ], "reason": "a wrong name" }""")).GetProperty("images")[0], "contents"));
        using var down = Here.Hub.Faults.Add(Face.Registry, Fault.Status(503));
        Assert.Equal((403, 200), (await PullAsync("bob", "someuser/good", "twin", _good), await PullAsync("bob", "someuser/good", "1", _good)));
    }

    [Fact]
    public async Task All_of_a_publisher_goes_and_a_layer_that_nobody_else_has_with_it()
    {
        Assert.Equal((200, 200), (await PullAsync("bob", "someuser/evil", "1", _evil), await PullAsync("bob", "someuser/good", "1", _good)));
        var image = (await BlockAsync("""{ "images": [ "someuser/*" ], "reason": "stolen" }""")).GetProperty("images")[0];
        Assert.Equal(All(_evil).Union(All(_good)).Count(), Number(image, "contents"));
        Assert.All(All(_evil).Union(All(_good)), digest => Assert.False(IsKept(digest), digest));
    }

    [Fact]
    public async Task One_that_is_no_image_stops_all_and_who_may_not_block_changes_nothing()
    {
        Assert.Equal(200, await PullAsync("bob", "someuser/evil", "1", _evil));
        var answer = await SendAsync("""{ "images": [ "someuser/evil", "sha256:abc" ], "reason": "bad" }""", "administrator");
        Assert.Equal(
            (400, "images[1] 'sha256:abc' has a digest that is none: sha256: and 64 hexadecimal digits in lower case"), (answer.Status, answer.Detail));
        Assert.Equal(400, (await SendAsync("""{ "images": [ "someuser/evil" ], "reason": "a\nb" }""", "administrator")).Status);
        Assert.Equal(403, (await SendAsync("""{ "images": [ "someuser/evil" ], "reason": "bad" }""", "auditor")).Status);
        Assert.Equal(0, _room.Service<IPolicyStore>().Current.Blocks.Count);
        Assert.True(IsKept(_evil.Digest));
    }

    [Fact]
    public async Task What_was_blocked_before_and_is_kept_is_forgotten_also_by_the_verb_and_while_no_proxy_runs()
    {
        Assert.Equal(200, await PullAsync("bob", "someuser/evil", "1", _evil));
        Assert.Equal(201, (await _room.SendAsync("POST", "/api/v1/blocks", await _room.TokenAsync("administrator"), """{ "image": "someuser/evil", "reason": "first" }""")).Status);
        Assert.True(IsKept(_evil.Digest)); // a block alone removes nothing
        await Here.RestartAsync(() => Assert.Equal(0, VerbAsync("incident", "block", "someuser/evil", "--reason", "second").GetAwaiter().GetResult()));
        await Eventually.TrueAsync(() => !IsKept(_evil.Digest));
        Assert.Equal(0, await VerbAsync("unblock", "someuser/evil", "--reason", "rebuilt"));
        await Eventually.TrueAsync(() => _room.Service<IPolicyStore>().Current.Blocks.Count == 0);
        Assert.Equal(200, await PullAsync("bob", "someuser/evil", "1", _evil));
        Assert.True(IsKept(_evil.Digest));
    }

    [Fact]
    public async Task The_verb_asks_a_proxy_elsewhere_and_tells_what_came_of_it()
    {
        Assert.Equal(200, await PullAsync("bob", "someuser/evil", "1", _evil));
        await Eventually.TrueAsync(async () => (await _room.Service<UsageStore>().CountAsync(new UsageFilter { Repository = "someuser/evil" }, UsageBy.Caller, default)).Count == 1);
        var token = Path.Combine(Here.DataDirectory, "token");
        await File.WriteAllTextAsync(token, await _room.TokenAsync("administrator"));
        File.SetUnixFileMode(token, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var address = Here.Further[^1];
        var who = await CommandLine.RunAsync("incident", "someuser/evil", "--csv", "--server", address.AbsoluteUri, "--token-file", token);
        Assert.Contains("\r\nsomeuser/evil,bob,acme,127.0.0.1,other,mirror,someuser/evil,1,", who.Output, StringComparison.Ordinal);
        var run = await CommandLine.RunAsync("incident", "block", "someuser/evil", "--reason", "CVE-1", "--tell", "--server", address.AbsoluteUri, "--token-file", token);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.StartsWith($"someuser/evil is blocked (block 1 of the proxy at {address.GetLeftPart(UriPartial.Authority)}); {All(_evil).Count()} contents, ", run.Output, StringComparison.Ordinal);
        Assert.EndsWith(" removed there; 1 pull in 30 days, by 1 caller from 1 machine\ntold: no configured receiver, 0 callers by mail; 1 caller not\n", run.Output, StringComparison.Ordinal);
        Assert.Contains("--tell goes with --server", (await CommandLine.RunAsync("incident", "block", "nginx", "--reason", "r", "--tell")).Error, StringComparison.Ordinal);
    }

    private long Length(string digest) => Images.FindBlob("someuser/evil", digest)?.Length ?? Images.FindManifest("someuser/evil", digest)!.Manifest.Length;

    private static IEnumerable<string> All(PushedImage image) => image.References.Append(image.Digest).Distinct();

    private static int Number(JsonElement one, string name) => one.GetProperty(name).GetInt32();

    private bool IsKept(string digest) => File.Exists(Path.Combine(Here.DataDirectory, "cache", "content", "sha256", digest[7..9], digest[7..]));

    /// <summary>Everything of an image, until it is kept; the first status that is not 200.</summary>
    private async Task<int> PullAsync(string user, string repository, string reference, PushedImage image)
    {
        var token = await Here.PullTokenAsync(user, repository);
        foreach (var path in image.References.Select(digest => $"blobs/{digest}").Prepend($"manifests/{reference}"))
        {
            if ((await Here.AskAsync("GET", $"/v2/{repository}/{path}", token, "curl/8")).Status is not 200 and var status)
                return status;
        }

        await Eventually.TrueAsync(() => All(image).All(IsKept)); // a moment after the client has it
        return 200;
    }

    private async Task<JsonElement> BlockAsync(string body)
    {
        var answer = await SendAsync(body, "administrator");
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json;
    }

    private async Task<ApiAnswer> SendAsync(string body, string role) => await _room.SendAsync("POST", "/api/v1/incidents/block", await _room.TokenAsync(role), body);

    private async Task<int> VerbAsync(params string[] arguments)
    {
        var file = Path.Combine(Here.DataDirectory, "imageaccess.json");
        await File.WriteAllTextAsync(file, """{ "Data": { "Directory": "." } }""");
        return (await CommandLine.RunAsync([.. arguments, "--config", file])).ExitCode;
    }
}
