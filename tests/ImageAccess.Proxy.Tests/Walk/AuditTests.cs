using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What a whole request leaves in the trail.</summary>
public abstract class AuditTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private static readonly string[] Fields =
    [
        "id", "time", "caller", "organizations", "client", "wayIn", "userAgent", "method", "repository", "reference", "category", "categorySource",
        "categoryAgeSeconds", "rule", "outcome", "policyVersion", "upstreamStatus", "durationMs", "pull", "seq", "chain",
    ];

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Fact]
    public async Task A_denial_has_one_id_in_header_body_and_event()
    {
        var answer = await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest", "curl/8");
        var detail = JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("errors")[0].GetProperty("detail");
        var audit = Assert.Single(await _surroundings.AuditAsync(1));

        Assert.Equal(Fields, audit.EnumerateObject().Select(field => field.Name));
        Assert.Equal(answer.Header("X-ImageAccess-Decision"), Text(audit, "id"));
        Assert.Equal((Text(audit, "id"), Text(audit, "policyVersion")), (detail.GetProperty("decision").GetString(), detail.GetProperty("policyVersion").GetString()));
        Assert.Equal(("bob", "127.0.0.1", "curl/8", "GET"), (Text(audit, "caller"), Text(audit, "client"), Text(audit, "userAgent"), Text(audit, "method")));
        Assert.Equal(("someuser/custom-image", "latest", "community", "deny"), (Text(audit, "repository"), Text(audit, "reference"), Text(audit, "rule"), Text(audit, "outcome")));
        Assert.Equal("acme", Assert.Single(audit.GetProperty("organizations").EnumerateArray()).GetString());
        Assert.Equal(JsonValueKind.Null, audit.GetProperty("upstreamStatus").ValueKind);
        Assert.Matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$", Text(audit, "time")!);
    }

    [Theory]
    [InlineData("bob", "GET", "library/nginx", "manifests/latest", "official", "latest", 200)]
    [InlineData("bob", "HEAD", "library/nginx", "manifests/latest", "official", "latest", 200)]
    [InlineData("bob", "GET", "library/nginx", "manifests/nosuchtag", "official", "nosuchtag", 404)]
    [InlineData("bob", "GET", "library/nginx", "tags/list", "official", "tags/list", 200)]
    [InlineData("bob", "GET", "acme/app", "manifests/latest", "organization", "latest", 200)]
    [InlineData("alice", "GET", "someuser/custom-image", "manifests/latest", "owner", "latest", 200)]
    [InlineData("alice", "POST", "acme/app", "blobs/uploads/", "owner", "blobs/uploads", 202)]
    [InlineData("alice", "DELETE", "acme/app", "manifests/nosuchtag", "owner", "nosuchtag", 404)]
    [InlineData(null, "GET", "library/nginx", "manifests/latest", "official", "latest", 200)]
    public async Task What_is_allowed_is_recorded(string? user, string method, string repository, string rest, string rule, string reference, int status)
    {
        var answer = await AskAsync(user, method, repository, rest);
        Assert.Equal(status, answer.Status);
        Assert.Null(answer.Header("X-ImageAccess-Decision"));

        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(
            (user ?? "anonymous", method, repository, reference, rule, "allow", status),
            (Text(audit, "caller"), Text(audit, "method"), Text(audit, "repository"), Text(audit, "reference"), Text(audit, "rule"), Text(audit, "outcome"), audit.GetProperty("upstreamStatus").GetInt32()));
    }

    /// <summary>Which bytes somebody has got is known long after a tag has moved: from Docker Hub, from what is kept, and of a question alone.</summary>
    [Fact]
    public async Task The_event_has_the_digest_that_was_served_and_that_of_the_index_it_was_chosen_from()
    {
        var image = new ImageBuilder().AddFile("a.txt", "a\n").BuildIndex("amd64", "arm64");
        await _surroundings.Hub.PushAsync("acme/many", "1", image);
        var child = FakeRegistry.DigestOf(image.Platforms[1].Manifest.Span);
        foreach (var (method, rest) in new[] { ("HEAD", "manifests/1"), ("GET", $"manifests/{image.Digest}"), ("GET", $"manifests/{child}"), ("HEAD", $"manifests/{child}"), ("GET", "manifests/1"), ("GET", "manifests/2") })
            await AskAsync("bob", method, "acme/many", rest);

        Assert.Equal(
            [(image.Digest, null), (image.Digest, null), (child, image.Digest), (child, null), (image.Digest, null), (null, null)],
            (await _surroundings.AuditAsync(6)).Select(audit => (Optional(audit, "digest"), Optional(audit, "index"))));
    }

    [Theory]
    [InlineData("sha256:abc")]
    [InlineData("\u001b[31m")]
    [InlineData("")]
    public async Task What_is_no_digest_is_none_in_the_event(string header)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, "/manifests/", Fault.Status(200, headers: ("Docker-Content-Digest", header)));
        await AskAsync("bob", "HEAD", "acme/app", "manifests/latest");
        Assert.Null(Optional(Assert.Single(await _surroundings.AuditAsync(1)), "digest"));
    }

    [Fact]
    public async Task Reading_an_allowed_blob_leaves_no_event_and_a_denied_one_does()
    {
        var layer = _surroundings.Hub.Images.FindManifest("acme/app", "latest")!.Layers[0];
        Assert.Equal(200, (await AskAsync("bob", "GET", "acme/app", $"blobs/{layer}")).Status);
        Assert.Equal(200, (await AskAsync("bob", "HEAD", "acme/app", $"blobs/{layer}")).Status);
        Assert.Equal(403, (await AskAsync("bob", "GET", "someuser/custom-image", $"blobs/{layer}")).Status);

        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(("deny", layer), (Text(audit, "outcome"), Text(audit, "reference")));
    }

    [Fact]
    public async Task What_needs_no_decision_leaves_no_event()
    {
        await _surroundings.AskAsync("GET", "/v2/");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/.x");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest", "forged");
        await AskAsync("bob", "GET", "library/nginx", "manifests/latest");

        Assert.Equal("library/nginx", Text(Assert.Single(await _surroundings.AuditAsync(1)), "repository"));
    }

    [Fact]
    public async Task Upstreams_failure_is_no_allowance_of_content()
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        Assert.Equal(502, (await AskAsync("bob", "GET", "library/nginx", "manifests/latest")).Status);
        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(("allow", JsonValueKind.Null), (Text(audit, "outcome"), audit.GetProperty("upstreamStatus").ValueKind));
    }

    [Fact]
    public async Task A_clients_text_is_cut_and_escaped()
    {
        await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest", "a\u00e2\u0080\u00aeb\"\t" + new string('x', 1000));
        var line = Assert.Single((await File.ReadAllTextAsync(await WrittenAsync())).Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1)); // after a checkpoint

        Assert.All(line, c => Assert.InRange(c, ' ', '~'));
        Assert.Contains("\"userAgent\":\"a\\u202Eb\\u0022\\t" + new string('x', 256 - 5) + "\"", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_policy_that_opens_something_is_an_event()
    {
        await File.WriteAllTextAsync(_surroundings.PolicyFile, Surroundings.Policy.Replace("\"official\": true", "\"official\": true, \"community\": true", StringComparison.Ordinal));
        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal("policy", Text(audit, "event"));
        Assert.Contains("community", Assert.Single(audit.GetProperty("opens").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Equal(200, (await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest")).Status);
    }

    [Theory]
    [InlineData("GET", "someuser/custom-image", "manifests/latest", "community")]
    [InlineData("HEAD", "bitnami/redis", "manifests/latest", "verified-publisher")]
    [InlineData("PUT", "someuser/other", "manifests/latest", "community")]
    [InlineData("GET", "bitnami/redis", "tags/list", "verified-publisher")]
    public async Task Denials_of_a_minute_that_are_alike_have_one_id_and_a_line_that_counts_them(string method, string repository, string rest, string rule)
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var here = await StartAsync(Surroundings.Policy, null, time);
        var ids = new List<string?>();
        for (var i = 0; i < 7; i++)
            ids.Add((await AskAsync(here, "bob", method, repository, rest, $"oras/{i}")).Header("X-ImageAccess-Decision"));
        ids.Add((await AskAsync(here, null, method, repository, rest)).Header("X-ImageAccess-Decision"));
        Assert.Equal(2, ids.Distinct().Count());
        Assert.Equal(2, (await here.AuditAsync(2)).Count);

        time.Advance(TimeSpan.FromMinutes(1));

        var closing = (await here.AuditAsync(3))[2];
        Assert.Equal(
            (ids[0], "bob", "127.0.0.1", "mirror", method, repository, rule, "deny", 6),
            (Text(closing, "id"), Text(closing, "caller"), Text(closing, "client"), Text(closing, "wayIn"), Text(closing, "method"), Text(closing, "repository"),
                Text(closing, "rule"), Text(closing, "outcome"), closing.GetProperty("count").GetInt32()));
    }

    [Fact]
    public async Task A_client_that_invents_repositories_does_not_fill_the_trail_and_what_others_did_stays()
    {
        await using var here = await StartAsync(Surroundings.Policy, null, ("Audit:MaximumSize", "2097152"));
        var mine = (await AskAsync(here, "bob", "GET", "someuser/custom-image", "manifests/latest")).Header("X-ImageAccess-Decision");
        for (var i = 0; i < 400; i++)
            await AskAsync(here, "carol", "GET", $"someuser/invented-{i}", "manifests/latest", new string('x', 3000));
        await here.RestartAsync();

        var lines = await here.AuditAsync(1);
        Assert.InRange(lines.Count, 3, 80);
        Assert.Equal(401, lines.Sum(line => line.TryGetProperty("count", out var count) ? count.GetInt32() : 1));
        Assert.Equal(mine, Text(lines[0], "id"));
    }

    [Theory]
    [InlineData("HEAD latest, GET index, GET image")] // docker with containerd
    [InlineData("GET latest, GET image")] // docker without
    [InlineData("GET index, GET image")] // podman, by digest
    [InlineData("HEAD latest, HEAD latest, GET latest, GET image")] // who asks again
    public async Task The_requests_of_one_pull_share_its_id_and_replay_counts_them_once(string order)
    {
        var requests = order.Split(", ");
        await PullAsync("bob", requests);
        await PullAsync("bob", requests);
        await PullAsync("carol", requests);
        var events = await _surroundings.AuditAsync(3 * requests.Length);

        var pulls = events.Chunk(requests.Length).Select(chunk => Assert.Single(chunk.Select(audit => Text(audit, "pull")).Distinct())).ToList();
        // Who begins with GET for a digest, and asks for the same again, cannot be told from one pull.
        Assert.Equal(requests[0] == "GET index" ? 2 : 3, pulls.Distinct().Count());
        Assert.Equal(pulls[0], Text(events[0], "id"));
        var replayed = await Proxy.Policies.Decisions.AuditPulls.ReadAsync(_surroundings.AuditFile, null, TextWriter.Null, CancellationToken.None);
        Assert.Equal(pulls.Distinct().Count(), replayed.Requests.Values.Sum());
    }

    [Fact]
    public async Task Denied_pulls_are_counted_once_however_often_a_client_asks_for_each()
    {
        for (var i = 0; i < 3; i++)
        {
            await AskAsync("bob", "HEAD", "someuser/custom-image", "manifests/latest");
            await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest");
        }

        await AskAsync("bob", "GET", "someuser/custom-image", "tags/list");
        await _surroundings.RestartAsync();
        var events = await _surroundings.AuditAsync(4);
        Assert.Equal([2, 3], events.Where(audit => audit.TryGetProperty("count", out _)).Select(audit => audit.GetProperty("count").GetInt32()));
        Assert.Equal([1], events.Where(audit => audit.TryGetProperty("pulls", out _)).Select(audit => audit.GetProperty("pulls").GetInt32()));
        var replayed = await Proxy.Policies.Decisions.AuditPulls.ReadAsync(_surroundings.AuditFile, null, TextWriter.Null, CancellationToken.None);
        Assert.Equal(3 + 1, replayed.Requests.Values.Single());
    }

    private async Task PullAsync(string user, string[] requests)
    {
        var image = _surroundings.Hub.Images.FindManifest("library/nginx", "latest")!;
        foreach (var (method, what) in requests.Select(request => (request.Split(' ')[0], request.Split(' ')[1])))
            await AskAsync(user, method, "library/nginx", $"manifests/{(what == "latest" ? what : image.Digest)}");
    }

    private static string? Text(JsonElement audit, string name) => audit.GetProperty(name).GetString();

    private static string? Optional(JsonElement audit, string name) => audit.TryGetProperty(name, out var value) ? value.GetString() : null;

    private async Task<string> WrittenAsync()
    {
        await _surroundings.AuditAsync(1);
        return _surroundings.AuditFile;
    }

    private Task<RawAnswer> AskAsync(string? user, string method, string repository, string rest, string? userAgent = null) =>
        AskAsync(_surroundings, user, method, repository, rest, userAgent);

    private static async Task<RawAnswer> AskAsync(
        Surroundings here, string? user, string method, string repository, string rest, string? userAgent = null)
    {
        var token = here.Hub.Signer.IssueToken(draft =>
        {
            draft.Access = [new TokenAccess(repository, "pull", "push", "delete")];
            if (user is not null)
                draft.For(here.Hub.Users.Find(user)!);
        });
        return await here.AskAsync(method, $"/v2/{repository}/{rest}", token, userAgent);
    }
}

public sealed class AuditTests_direct() : AuditTests(Direct);

public sealed class AuditTests_kestrel() : AuditTests(Kestrel);
