using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A catalog that cannot answer makes a denial for now, worded like every other, and is asked no more often than it must.</summary>
public abstract class CatalogFaultTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Target = "/v2/bitnami/redis/manifests/latest";
    private const string Blob = "blobs/sha256:00000000000000000000000000000000000000000000000000000000000000aa";
    private const string NoContent = "manifests/sha256:0000000000000000000000000000000000000000000000000000000000000000";
    private const string Unknown = "image access unavailable: the publisher of bitnami could not be verified, try again";
    private const string Policy =
        """
        { "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "verifiedPublisher": true } } ] }
        """;

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _surroundings = null!;
    private string _token = "";

    public async Task InitializeAsync()
    {
        _surroundings = await StartAsync(Policy, null, _time);
        _token = await _surroundings.PullTokenAsync("bob", "bitnami/redis");
    }

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    /// <summary>What fails, how often one question asks, and for how many seconds nobody asks again.</summary>
    public static TheoryData<string, int, int> Faults => new()
    {
        { "500", 3, 5 }, { "closed", 6, 5 }, { "truncated", 3, 5 }, { "429", 1, 60 }, { "302", 1, 5 },
        { "garbage", 1, 5 }, { "another namespace", 1, 5 }, { "a list", 1, 5 }, { "endless", 1, 5 },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_publisher_that_cannot_be_verified_is_denied_for_now(string fault, int tries, int quiet)
    {
        var begun = _time.GetUtcNow();
        var armed = _surroundings.Hub.Faults.Add(Face.Hub, fault switch
        {
            "500" => Fault.Status(500),
            "429" => Fault.TooManyHubRequests(begun.AddMinutes(1)),
            "302" => Fault.Redirect("https://evil.example.com/", 302),
            "garbage" => Fault.MalformedJson(),
            "another namespace" => Fault.Status(200, """{"orgname":"evil","badge":"verified_publisher"}"""),
            "a list" => Fault.Status(200, "[]"),
            "closed" => Fault.CloseConnection(),
            "truncated" => Fault.Truncate(10),
            _ => Fault.EndlessBody("{\"x\":\""),
        });

        var failed = DateTimeOffset.MaxValue;
        for (var ask = 0; ask < 2; ask++)
        {
            var answer = await AskAsync("GET", Target, "go-containerregistry/v0.20");
            Assert.Equal((503, Unknown, "UNAVAILABLE", Unknown), (answer.Status, answer.Phrase, answer.Code, answer.Message));
            if (ask == 0)
                failed = fault == "429" ? begun : _time.GetUtcNow(); // Docker Hub says until when itself
        }

        Assert.Equal(tries, armed.Hits); // the failure is remembered for the second
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));

        armed.Dispose();
        _time.Advance(failed.AddSeconds(quiet - 1) - _time.GetUtcNow());
        Assert.Equal(503, (await _surroundings.AskAsync("GET", Target, _token)).Status);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(200, (await _surroundings.AskAsync("GET", Target, _token)).Status);
    }

    [Theory]
    [InlineData("docker/20.10.24 go/go1.19", "HEAD", "", 500, Unknown + " (no such process)")]
    [InlineData("containerd/1.7.2", "HEAD", "?ns=docker.io", 200, Unknown)]
    [InlineData("containerd/1.7.2", "GET", "?ns=docker.io", 403, Unknown)]
    [InlineData("docker/29.7.0", "HEAD", "?ns=docker.io", 200, Unknown)]
    [InlineData("docker/29.7.0", "GET", "?ns=docker.io", 403, Unknown)]
    [InlineData("containers/5.20.1", "GET", "", 200, "OK")]
    [InlineData("cri-o/1.34.1", "GET", "", 200, "OK")]
    [InlineData("containers/5.20.1", "HEAD", "", 503, Unknown)]
    public async Task It_is_held_like_any_denial(string userAgent, string method, string query, int status, string phrase)
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.Status(500));
        var answer = await AskAsync(method, Target + query, userAgent);
        Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        // Of this repository: the port may have been another server's before, and somebody may still ask that one.
        Assert.DoesNotContain(_surroundings.Hub.Requests.Of(Face.Registry), request => request.Path.Contains("bitnami", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("docker/29.7.0", "GET", "tags/list", 500, Unknown + " (no such process)")]
    [InlineData("skopeo/1.22.0", "HEAD", Blob, 404, Unknown)]
    [InlineData("cosign/v3.0.2 (linux; amd64) go-containerregistry/v0.20.6", "HEAD", Blob, 404, Unknown)]
    [InlineData("oras/1.3.0", "HEAD", Blob, 503, Unknown)]
    [InlineData("containers/5.20.1", "GET", NoContent, 403, Unknown)] // it ends a held pull: after 503 the client may try again
    [InlineData("cri-o/1.34.1", "GET", NoContent, 403, Unknown)]
    [InlineData("go-containerregistry/v0.20.6", "GET", NoContent, 503, Unknown)]
    [InlineData("cri-o/1.34.1", "GET", Blob, 503, Unknown)]
    [InlineData("go-containerregistry/v0.20.6", "GET", Blob, 503, Unknown)]
    public async Task Other_requests_are_answered_like_any_denial(string userAgent, string method, string endpoint, int status, string phrase)
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.Status(500));
        var answer = await AskAsync(method, $"/v2/bitnami/redis/{endpoint}", userAgent);
        Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        // Of this repository: the port may have been another server's before, and somebody may still ask that one.
        Assert.DoesNotContain(_surroundings.Hub.Requests.Of(Face.Registry), request => request.Path.Contains("bitnami", StringComparison.Ordinal));
    }

    /// <summary>Asks, and lets the time pass that the pauses between the tries take.</summary>
    private async Task<RawAnswer> AskAsync(string method, string target, string userAgent)
    {
        var asking = _surroundings.AskAsync(method, target, _token, userAgent);
        while (await Task.WhenAny(asking, Task.Delay(10)) != asking)
            _time.Advance(TimeSpan.FromMilliseconds(10));
        return await asking;
    }

    [Fact]
    public async Task A_silent_catalog_is_given_up_after_five_seconds()
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.NeverAnswer());
        var pending = _surroundings.AskAsync("GET", Target, _token);
        await _surroundings.AskedAsync(Face.Hub);
        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.False(pending.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal((503, Unknown), await pending is var answer ? (answer.Status, answer.Phrase) : default);
        Assert.Contains($"the Hub API did not answer within 5 s ({_surroundings.Hub.Hub.Authority}; look at Upstream:Hub) for bitnami", _surroundings.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_who_wait_ask_once_and_the_answer_is_remembered()
    {
        var release = new TaskCompletionSource();
        var held = _surroundings.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", _token)).Status);
        var waiting = Enumerable.Range(0, 20).Select(_ => _surroundings.AskAsync("GET", Target, _token)).ToList();
        await _surroundings.AskedAsync(Face.Hub);
        release.SetResult();

        Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal(200, answer.Status));
        Assert.Equal(1, held.Hits);
        Assert.Equal(("/v2/orgs/bitnami/", null), (_surroundings.Hub.Requests.Of(Face.Hub)[0].RawTarget, _surroundings.Hub.Requests.Of(Face.Hub)[0].Authorization));
    }

    [Fact]
    public async Task One_who_leaves_takes_nobody_with_him()
    {
        var release = new TaskCompletionSource();
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));
        using var impatient = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Get, Target) { Headers = { { "Authorization", "Bearer " + _token } } };
        var first = _surroundings.Client.SendAsync(request, impatient.Token);
        await _surroundings.AskedAsync(Face.Hub);
        var second = _surroundings.AskAsync("GET", Target, _token);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        release.SetResult();

        Assert.Equal(200, (await second).Status);
        Assert.Single(_surroundings.Hub.Requests.Of(Face.Hub));
    }

    [Theory]
    [InlineData("verified_publisher", NamespaceKind.Organization, 200)]
    [InlineData("open_source", NamespaceKind.Organization, 403)]
    [InlineData("VERIFIED_PUBLISHER", NamespaceKind.Organization, 403)]
    [InlineData("", NamespaceKind.Organization, 403)]
    [InlineData(null, NamespaceKind.Organization, 403)]
    [InlineData("verified_publisher", NamespaceKind.User, 403)]
    public async Task The_badge_of_the_organization_counts(string? badge, NamespaceKind kind, int status)
    {
        _surroundings.Hub.Namespaces.Add("bitnami", badge, kind);
        Assert.Equal(status, (await _surroundings.AskAsync("GET", Target, _token)).Status);
    }

    [Fact]
    public async Task A_namespace_that_the_Hub_does_not_know_is_community()
    {
        _surroundings.Hub.Namespaces.Remove("bitnami");
        Assert.Equal((403, "image access denied: community images not allowed"), await _surroundings.AskAsync("GET", Target, _token) is var answer ? (answer.Status, answer.Phrase) : default);
    }
}

public sealed class CatalogFaultTests_direct() : CatalogFaultTests(Direct);

public sealed class CatalogFaultTests_kestrel() : CatalogFaultTests(Kestrel);
