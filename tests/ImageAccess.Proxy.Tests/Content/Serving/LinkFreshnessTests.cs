using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>What is served by digest was confirmed by upstream not longer ago than <c>Cache:LinkFreshness</c>: here half an hour, and a minute more while it cannot answer.</summary>
public sealed class LinkFreshnessTests : IAsyncLifetime
{
    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;
    private PushedImage _image = null!;

    public async Task InitializeAsync()
    {
        _world = await StartAsync();
        _image = _world.Hub.Images.FindManifest("acme/app", "latest")!;
        foreach (var kind in new[] { "manifest", "blob", "config" })
            Assert.Equal(200, (await AskAsync(kind)).Status);
        var contents = _world.Proxy.Services.GetRequiredService<Proxy.Content.Cache.DirectoryStore>().Contents;
        await Eventually.TrueAsync(() => contents.Count == 3);
        _world.Hub.Requests.Clear();
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Theory]
    [InlineData("manifest")]
    [InlineData("blob")]
    [InlineData("config")]
    public async Task After_it_upstream_is_asked_once_and_then_not_for_as_long_again(string kind)
    {
        for (var round = 0; round < 3; round++)
        {
            _time.Advance(TimeSpan.FromMinutes(29.9));
            Assert.Equal(200, (await AskAsync(kind)).Status);
            Assert.Empty(Asked());

            _time.Advance(TimeSpan.FromMinutes(0.2));
            foreach (var method in new[] { "GET", "HEAD", "GET" })
                Assert.Equal((200, null), await AskAsync(kind, method) is var answer ? (answer.Status, answer.Header("Warning")) : default);
            Assert.Equal(["HEAD " + Target(kind)], Asked());
            _world.Hub.Requests.Clear();
        }
    }

    [Theory]
    [InlineData("manifest", 404)]
    [InlineData("blob", 404)]
    [InlineData("config", 404)]
    public async Task What_upstream_has_no_longer_is_forgotten(string kind, int status)
    {
        _time.Advance(TimeSpan.FromMinutes(31));
        _world.Hub.Images.Remove("acme/app");
        Assert.Equal(status, (await AskAsync(kind)).Status);
        Assert.Equal(status, (await AskAsync(kind)).Status);

        _time.Advance(TimeSpan.FromMinutes(-2)); // no link is left that could be fresh
        _world.Hub.Faults.Add(Face.Registry, Fault.Status(503));
        Assert.Equal(503, (await AskAsync(kind)).Status);
    }

    /// <summary>A refusal is about one caller's token: it is passed on to that caller, and another is served.</summary>
    [Theory]
    [InlineData("manifest", 401)]
    [InlineData("manifest", 403)]
    [InlineData("blob", 401)]
    [InlineData("config", 403)]
    public async Task What_upstream_refuses_to_one_caller_is_served_to_another(string kind, int status)
    {
        _time.Advance(TimeSpan.FromMinutes(31));
        var refused = await _world.PullTokenAsync("bob", "acme/app");
        _world.Hub.Faults.Add(Face.Registry, request => request.Authorization == "Bearer " + refused, Fault.Status(status));
        Assert.Equal(status, (await _world.AskAsync("GET", Target(kind), refused)).Status);
        Assert.Equal(["HEAD " + Target(kind), "GET " + Target(kind)], Asked()); // and not the same HEAD twice
        Assert.Equal(200, (await AskAsync(kind)).Status);
        Assert.Equal(200, (await _world.AskAsync("GET", Target(kind), refused)).Status); // fresh again: nobody is asked
    }

    [Theory]
    [InlineData("manifest", 503)]
    [InlineData("manifest", 0)]
    [InlineData("blob", 429)]
    [InlineData("blob", 0)]
    [InlineData("config", 500)]
    public async Task While_upstream_cannot_answer_it_is_served_for_a_while_longer_and_told(string kind, int status)
    {
        _time.Advance(TimeSpan.FromMinutes(30.5));
        _world.Hub.Faults.Add(Face.Registry, status == 0 ? Fault.CloseConnection() : Fault.Status(status));
        var answer = await AskAsync(kind);
        Assert.Equal((200, "110 - \"Response is Stale\""), (answer.Status, answer.Header("Warning")));
        Assert.Contains("of acme/app was served although its link is old, because Docker Hub cannot answer: ", _world.Log.ToString(), StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromMinutes(0.6));
        Assert.Equal(status == 0 ? 502 : status, (await AskAsync(kind)).Status);
        _world.Hub.Faults.Clear();
        Assert.Equal((200, null), await AskAsync(kind) is var again ? (again.Status, again.Header("Warning")) : default);
    }

    /// <summary>A request that cannot be sent upstream says nothing of upstream.</summary>
    [Theory]
    [InlineData("manifest", "User-Agent: p\u00c3\u00a9ter")]
    [InlineData("blob", "User-Agent: \u00e5\u008f\u00b0")]
    [InlineData("config", "Accept: application/\u00c3\u00bc")]
    public async Task What_is_the_clients_own_fault_is_told_to_it_alone(string kind, string header)
    {
        _time.Advance(TimeSpan.FromMinutes(30.5));
        var answer = await AskWithAsync(kind, header);
        if (kind == "config")
            Assert.Equal((200, null), (answer.Status, answer.Header("Warning"))); // what it accepts is not asked for
        else
            Assert.Equal((400, null), (answer.Status, answer.Header("Warning")));
        Assert.DoesNotContain("because Docker Hub cannot answer", _world.Log.ToString(), StringComparison.Ordinal);
        Assert.Equal((200, null), await AskAsync(kind) is var other ? (other.Status, other.Header("Warning")) : default);
    }

    /// <summary>The answer is for all who ask, so what the first of them accepts must not decide it.</summary>
    [Theory]
    [InlineData("manifest", "text/plain")]
    [InlineData("manifest", "application/vnd.oci.image.index.v1+json")]
    [InlineData("blob", "application/vnd.docker.distribution.manifest.v2+json")]
    [InlineData("config", "*/*")]
    public async Task Upstream_is_asked_for_what_is_kept_whatever_the_caller_accepts(string kind, string accept)
    {
        _time.Advance(TimeSpan.FromMinutes(31));
        Assert.Equal(200, (await AskWithAsync(kind, "Accept: " + accept)).Status);
        var asked = Assert.Single(_world.Hub.Requests.Of(Face.Registry));
        Assert.Equal(kind == "manifest" ? _image.MediaType : null, asked.Header("Accept"));
    }

    [Fact]
    public async Task A_missing_digest_may_serve_as_if_upstream_could_not_answer()
    {
        await _world.RestartAsync(("Cache:StaleWhenMissing", "true"));
        _time.Advance(TimeSpan.FromMinutes(30.5));
        _world.Hub.Images.Remove("acme/app");
        Assert.Equal((200, "110 - \"Response is Stale\""), await AskAsync("blob") is var answer ? (answer.Status, answer.Header("Warning")) : default);
    }

    /// <summary>A tag that is asked for confirms its digest: nothing is asked twice.</summary>
    [Fact]
    public async Task A_tag_that_is_confirmed_confirms_its_digest()
    {
        var tag = "/v2/acme/app/manifests/latest";
        for (var minute = 0; minute < 60; minute += 10)
        {
            Assert.Equal(200, (await _world.AskAsync("GET", tag, await _world.PullTokenAsync("alice", "acme/app"))).Status);
            _world.Hub.Requests.Clear();
            Assert.Equal(200, (await AskAsync("manifest")).Status);
            Assert.Empty(Asked());
            _time.Advance(TimeSpan.FromMinutes(10));
        }
    }

    /// <summary>A tag may be fresh for longer than a link: the older of the two counts.</summary>
    [Fact]
    public async Task A_tag_does_not_outlive_its_digests_link()
    {
        await _world.RestartAsync(("Cache:TagFreshness", "01:30:00"));
        var tag = "/v2/acme/app/manifests/latest";
        Assert.Equal(200, (await _world.AskAsync("GET", tag, await _world.PullTokenAsync("alice", "acme/app"))).Status);
        _time.Advance(TimeSpan.FromMinutes(31));
        _world.Hub.Requests.Clear();
        Assert.Equal(200, (await _world.AskAsync("GET", tag, await _world.PullTokenAsync("alice", "acme/app"))).Status);
        Assert.Equal(["HEAD " + tag], Asked());
    }

    [Fact]
    public async Task Everybody_who_asks_at_once_asks_once()
    {
        _time.Advance(TimeSpan.FromMinutes(31));
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Registry, Fault.HoldUntil(release.Task));
        var token = await _world.PullTokenAsync("alice", "acme/app");
        var asking = Enumerable.Range(0, 50).Select(_ => _world.AskAsync("GET", Target("blob"), token)).ToList();
        await _world.AskedAsync(Face.Registry);
        release.SetResult();
        Assert.All(await Task.WhenAll(asking), answer => Assert.Equal(200, answer.Status));
        Assert.InRange(Asked().Count, 1, 3);
    }

    /// <summary>A limit is one account's: who waits for the same answer asks with its own token, and is told of nothing stale.</summary>
    [Theory]
    [InlineData("manifest")]
    [InlineData("blob")]
    [InlineData("config")]
    [InlineData("tag")]
    public async Task The_limit_of_one_account_is_nobody_elses(string kind)
    {
        await _world.RestartAsync(("Cache:StaleFor", "00:10:00"));
        if (kind == "tag")
            Assert.Equal(200, (await AskAsync(kind)).Status);
        _time.Advance(TimeSpan.FromMinutes(kind == "tag" ? 5 : 31));
        var (limited, other) = (await _world.PullTokenAsync("bob", "acme/app"), await _world.PullTokenAsync("alice", "acme/app"));
        _world.Hub.Requests.Clear();
        var release = new TaskCompletionSource();
        _world.Hub.Faults.Add(Face.Registry, request => request.Authorization == "Bearer " + limited, Fault.Custom(async (http, _) =>
        {
            await release.Task.WaitAsync(http.RequestAborted);
            http.Response.StatusCode = 429;
        }));
        var first = _world.AskAsync("GET", Target(kind), limited);
        await _world.AskedAsync(Face.Registry);
        var others = Enumerable.Range(0, 20).Select(_ => _world.AskAsync("GET", Target(kind), other)).ToList();
        await _world.AskAsync("GET", "/v2/", other); // by now they wait, or come later: the same holds
        release.SetResult();

        Assert.Equal((200, "110 - \"Response is Stale\""), ((await first).Status, (await first).Header("Warning")));
        Assert.All(await Task.WhenAll(others), answer => Assert.Equal((200, null), (answer.Status, answer.Header("Warning"))));
    }

    [Fact]
    public async Task When_it_was_confirmed_is_known_after_a_restart()
    {
        _time.Advance(TimeSpan.FromMinutes(20));
        await _world.RestartAsync();
        _time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(200, (await AskAsync("blob")).Status);
        Assert.Empty(Asked());
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(200, (await AskAsync("blob")).Status);
        Assert.Equal(["HEAD " + Target("blob")], Asked());
    }

    [Theory]
    [InlineData("00:07:00", 8, 1)]
    [InlineData("00:07:00", 6, 0)]
    [InlineData("01:00:00", 50, 0)]
    public async Task It_is_a_setting(string value, int minutes, int asked)
    {
        await _world.RestartAsync(("Cache:LinkFreshness", value));
        _time.Advance(TimeSpan.FromMinutes(minutes));
        Assert.Equal(200, (await AskAsync("config")).Status);
        Assert.Equal(asked, Asked().Count);
    }

    [Fact]
    public void By_default_it_is_thirty_days() => Assert.Equal(TimeSpan.FromDays(30), new Proxy.Content.Serving.ContentOptions().LinkFreshness);

    [Theory]
    [InlineData("00:00:01")]
    [InlineData("00:00:59")]
    public async Task A_setting_that_would_ask_for_each_request_stops_the_start(string value)
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(("Cache:LinkFreshness", value)));
        Assert.Equal(["Cache:LinkFreshness: choose 1m or more, as 30d"], failure.Failures);
    }

    private Task<Surroundings> StartAsync(params (string, string)[] settings) =>
        Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, [("Cache:Enabled", "true"), ("Cache:LinkFreshness", "00:30:00"), ("Cache:StaleFor", "00:01:00"), .. settings]);

    private string Target(string kind) => "/v2/acme/app/" + kind switch
    {
        "manifest" => $"manifests/{_image.Digest}",
        "blob" => $"blobs/{_image.Layers[0]}",
        "tag" => "manifests/latest",
        _ => $"blobs/{_image.Config}",
    };

    private async Task<RawAnswer> AskAsync(string kind, string method = "GET") =>
        await _world.AskAsync(method, Target(kind), await _world.PullTokenAsync("alice", "acme/app"));

    private async Task<RawAnswer> AskWithAsync(string kind, string header) => await _world.SendRawAsync(
        $"GET {Target(kind)} HTTP/1.1\r\nHost: {_world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {await _world.PullTokenAsync("alice", "acme/app")}\r\n{header}\r\n\r\n");

    private List<string> Asked() =>
        [.. _world.Hub.Requests.All.Where(request => request.Face is Face.Registry or Face.Cdn).Select(request => $"{request.Method} {request.Path}")];
}
