using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>An organization that only observes: nothing is refused, delayed or held, and everything is written down.</summary>
public abstract class ObserveTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Denied = "image access denied: community images not allowed";
    private const string Policy =
        """
        { "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "mode": "observe",
                               "allow": { "verifiedPublisher": true } } ] }
        """;

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync(Policy);

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    [InlineData("docker/20.10.24 go/go1.19", "HEAD")]
    [InlineData("docker/20.10.24 go/go1.19", "GET")]
    [InlineData("containerd/1.7.2", "HEAD")]
    [InlineData("containers/5.20.1", "GET")]
    [InlineData("go-containerregistry/v0.20", "GET")]
    public async Task What_would_be_denied_is_served_with_a_warning(string userAgent, string method)
    {
        await LearnAsync("someuser");
        var image = _surroundings.Hub.Images.FindManifest("someuser/custom-image", "latest")!;
        var answer = await PullAsync("bob", "someuser/custom-image", method, userAgent);

        Assert.Equal((200, image.Digest, $"299 - \"{Denied}\""), (answer.Status, answer.Header("Docker-Content-Digest"), answer.Header("Warning")));
        Assert.Null(answer.Header("X-ImageAccess-Decision"));
        var audit = (await _surroundings.AuditAsync(2))[1];
        Assert.Equal(("observe", "community", "community"), (Text(audit, "outcome"), Text(audit, "rule"), Text(audit, "category")));
    }

    [Fact]
    public async Task Upstreams_own_warning_stays_beside_it()
    {
        await LearnAsync("someuser");
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.WithHeader("Warning", "299 - \"this image is deprecated\""));
        var answer = await PullAsync("bob", "someuser/custom-image", "GET");
        Assert.Equal($"299 - \"this image is deprecated\", 299 - \"{Denied}\"", answer.Header("Warning"));
    }

    [Fact]
    public async Task What_is_allowed_has_no_warning()
    {
        await LearnAsync("bitnami");
        foreach (var (user, repository) in new[] { ("bob", "bitnami/redis"), ("alice", "someuser/custom-image"), ("bob", "acme/app") })
        {
            var answer = await PullAsync(user, repository, "GET");
            Assert.Equal((200, null), (answer.Status, answer.Header("Warning")));
        }
    }

    [Fact]
    public async Task Official_images_are_judged_without_asking_anybody()
    {
        var answer = await PullAsync("bob", "library/nginx", "GET");
        Assert.Equal((200, "299 - \"image access denied: official images not allowed\""), (answer.Status, answer.Header("Warning")));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Hub));
    }

    [Fact]
    public async Task Nobody_waits_for_the_catalog_and_the_category_is_found_afterwards()
    {
        var release = new TaskCompletionSource();
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));
        var token = await _surroundings.PullTokenAsync("bob", "someuser/custom-image");
        var layer = _surroundings.Hub.Images.FindManifest("someuser/custom-image", "latest")!.Layers[0];

        // One connection: a second request follows only when the first is over altogether.
        for (var i = 0; i < 2; i++)
        {
            foreach (var target in new[] { "/v2/someuser/custom-image/manifests/latest", $"/v2/someuser/custom-image/blobs/{layer}" })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, target) { Headers = { { "Authorization", "Bearer " + token } } };
                using var answer = await _surroundings.Client.SendAsync(request).WaitAsync(TimeSpan.FromSeconds(4), TimeProvider.System);
                Assert.Equal(200, (int)answer.StatusCode);
                Assert.False(answer.Headers.Contains("Warning"));
            }
        }

        release.SetResult();
        foreach (var audit in await _surroundings.AuditAsync(2))
        {
            Assert.Equal(
                ("observe", "community", "community", "hub", "bob", 200),
                (Text(audit, "outcome"), Text(audit, "rule"), Text(audit, "category"), Text(audit, "categorySource"), Text(audit, "caller"), audit.GetProperty("upstreamStatus").GetInt32()));
        }
    }

    [Fact]
    public async Task A_catalog_that_fails_is_recorded_as_unknown()
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.Status(500));
        Assert.Equal(200, (await PullAsync("bob", "someuser/custom-image", "GET")).Status);

        var audit = (await _surroundings.AuditAsync(1))[0];
        Assert.Equal(("observe", "unknown", "unknown"), (Text(audit, "outcome"), Text(audit, "rule"), Text(audit, "category")));
    }

    [Fact]
    public async Task What_is_found_late_is_written_before_the_end()
    {
        _surroundings.Hub.Faults.Add(Face.Hub, Fault.Delay(TimeSpan.FromMilliseconds(300)));
        Assert.Equal(200, (await PullAsync("bob", "someuser/custom-image", "GET")).Status);
        await _surroundings.Proxy.StopAsync();

        Assert.Equal("observe", Text((await _surroundings.AuditAsync(1))[0], "outcome"));
    }

    [Theory]
    [InlineData("2020-01-01", 403)]
    [InlineData("2999-01-01", 200)]
    public async Task After_its_day_it_enforces_again(string until, int status)
    {
        await using var other = await StartAsync(Policy.Replace("\"observe\",", $"\"observe\", \"observeUntil\": \"{until}\",", StringComparison.Ordinal));
        var answer = await other.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await other.PullTokenAsync("bob", "someuser/custom-image"));
        Assert.Equal(status, answer.Status);
    }

    private static string? Text(JsonElement audit, string name) => audit.GetProperty(name).GetString();

    /// <summary>Asks once, and waits for the event that says that the namespace is known.</summary>
    private async Task LearnAsync(string @namespace)
    {
        var repository = @namespace == "bitnami" ? "bitnami/redis" : "someuser/custom-image";
        Assert.Equal(200, (await PullAsync("bob", repository, "GET")).Status);
        await _surroundings.AuditAsync(1);
    }

    private async Task<RawAnswer> PullAsync(string user, string repository, string method, string? userAgent = null) => await _surroundings.AskAsync(
        method, $"/v2/{repository}/manifests/latest?ns=docker.io", await _surroundings.PullTokenAsync(user, repository), userAgent);
}

public sealed class ObserveTests_direct() : ObserveTests(Direct);

public sealed class ObserveTests_kestrel() : ObserveTests(Kestrel);
