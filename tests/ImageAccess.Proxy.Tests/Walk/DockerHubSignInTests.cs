using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Guessing passwords of Docker Hub through the proxy: it ends, it is told, and it keeps nobody out who signs in rightly.</summary>
public abstract class DockerHubSignInTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Home = "192.0.2.1";
    private const string Elsewhere = "198.51.100.7";
    private const string Scope = "service=registry.docker.io&scope=repository:library/nginx:pull";

    private readonly ManualTime _time = new();
    private Surroundings _here = null!;

    public async Task InitializeAsync() => _here = await StartAsync(
        Surroundings.Policy, hub => (hub.Time, hub.TokenAlgorithm) = (_time, TokenAlgorithm.ES256), _time, ("Listen:TrustedProxies:0", "127.0.0.1/32"));

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData("query", "bob", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("query", "nobody-at-all", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("form", "bob", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("form", "alice@example.com", SignInBudget.TriesOfUserAtAddress)]
    [InlineData("query", "invented", SignInBudget.TriesOfAddress)]
    [InlineData("form", "invented", SignInBudget.TriesOfAddress)]
    [InlineData("refresh", "", SignInBudget.TriesOfAddress)]
    public async Task Guessing_ends_and_nothing_more_goes_upstream(string form, string name, int tries)
    {
        for (var i = 0; i < tries; i++)
            Assert.Equal(401, (await SignInAsync(form, Name(i), $"guess{i}")).Status);
        _time.Advance(TimeSpan.FromSeconds(20));
        _here.Hub.Requests.Clear();
        for (var i = 0; i < 10; i++)
        {
            var refused = await SignInAsync(form, Name(i), $"another{i}");
            Assert.Equal(
                (429, "40", "application/json", "no-store", """{"errors":[{"code":"TOOMANYREQUESTS","message":"too many sign-ins have failed, try again in 40 s"}]}"""),
                (refused.Status, refused.Header("Retry-After"), refused.Header("Content-Type"), refused.Header("Cache-Control"), refused.Body));
        }

        Assert.Empty(_here.Hub.Requests.All);
        Assert.Equal(401, (await SignInAsync(form, Name(0), "guess", Elsewhere)).Status);
        using var admin = Surroundings.NewClient(_here.Admin);
        Assert.Contains("imageaccess_limited_total{what=\"sign-ins\"} 10", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromSeconds(40));
        Assert.Equal(200, (await SignInAsync("query", "bob", "bobs-password")).Status);

        string Name(int i) => name == "invented" ? string.Create(CultureInfo.InvariantCulture, $"invented{i}") : name;
    }

    [Theory]
    [InlineData("query", "bob")]
    [InlineData("form", "bob")]
    [InlineData("query", "invented")]
    [InlineData("refresh", "")]
    public async Task Guesses_that_come_together_are_no_more(string form, string name)
    {
        var release = new TaskCompletionSource();
        using (_here.Hub.Faults.Add(Face.Auth, Fault.HoldUntil(release.Task)))
        {
            var guesses = Enumerable.Range(0, 80).Select(i => SignInAsync(form, name == "invented" ? $"invented{i}" : name, $"guess{i}")).ToList();
            await _here.AskedAsync(Face.Auth);
            release.SetResult();
            var statuses = (await Task.WhenAll(guesses)).Select(answer => answer.Status).ToList();
            Assert.All(statuses, status => Assert.Contains(status, (int[])[401, 429, 503]));
            Assert.InRange(_here.Hub.Requests.Of(Face.Auth).Count, 1, (name == "bob" ? SignInBudget.TriesOfUserAtAddress : SignInBudget.TriesOfAddress) + 16);
        }
    }

    [Theory]
    [InlineData("query")]
    [InlineData("form")]
    [InlineData("refresh")]
    public async Task Who_signs_in_rightly_goes_on_beside_a_guesser_behind_the_same_address(string form)
    {
        var secret = form == "refresh" ? await RefreshTokenAsync() : "bobs-password";
        Assert.Equal(200, (await SignInAsync(form, "bob", secret)).Status);
        Assert.Equal(200, (await SignInAsync("query", "carol", "carols-password")).Status);
        await SpendAsync(Home);
        for (var i = 0; i < 2 * SignInBudget.TriesOfUserAtAddress; i++)
            await SignInAsync("query", "bob", "guess"); // his name too
        Assert.Equal(429, (await SignInAsync("query", "bob", "guess")).Status);

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await SignInAsync(form, "bob", secret)).Status); // accepted lately: it passes
            await SignInAsync("query", "invented", "guess");
        }

        Assert.Equal(200, (await SignInAsync("form", "carol", "dckr_pat_carol")).Status); // another secret, of a user who was here today
        Assert.Equal(429, (await SignInAsync("query", "alice", "alices-password")).Status); // she was not: she waits
        Assert.Equal(200, (await SignInAsync("query", "alice", "alices-password", Elsewhere)).Status);
        Assert.Equal(200, (await AnonymousAsync(Home)).Status);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(200, (await SignInAsync("query", "alice", "alices-password")).Status);
    }

    /// <summary>The attack: whoever fails often enough, or sits behind the same address, is refused a token and asks Docker Hub itself with the right password.</summary>
    [Theory]
    [InlineData("docker/24.0.9 go/go1.20.13 os/linux arch/amd64 UpstreamClient(Docker-Client/24.0.9)", 500)]
    [InlineData("containerd/2.2.0", 403)]
    [InlineData("containers/5.36.2 (github.com/containers/image)", 200)]
    public async Task Who_is_refused_a_token_is_held_by_the_mirror(string userAgent, int held)
    {
        await SpendAsync(Home);
        _here.Hub.Requests.Clear();

        var answer = await SendAsync($"GET /token?{Scope}", Home, basic: "alice:alices-password", userAgent: userAgent);
        Assert.Equal((200, "199 - \"too many sign-ins have failed, this is no token: nothing can be pulled with it\""), (answer.Status, answer.Header("Warning")));
        var manifest = await _here.SendRawAsync(
            $"GET /v2/someuser/custom-image/manifests/latest{(userAgent.StartsWith("containerd/", StringComparison.Ordinal) ? "?ns=docker.io" : "")} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nUser-Agent: {userAgent}\r\n"
            + $"Authorization: Bearer {JsonNode.Parse(answer.Body)!["token"]}\r\n\r\n");

        Assert.Equal(held, manifest.Status);
        Assert.Contains("image access unavailable: too many sign-ins have failed, try again in a minute", $"{manifest.Phrase} {manifest.Body}", StringComparison.Ordinal);
        Assert.Empty(_here.Hub.Requests.All);
    }

    /// <summary>Clients give up after 15 seconds, and then ask Docker Hub: the wait for a turn is a part of the ten that they wait here.</summary>
    [Theory]
    [InlineData("docker/24.0.9 go/go1.20.13 os/linux arch/amd64", 8)]
    [InlineData("containerd/2.2.0", 5)]
    [InlineData("containers/5.36.2 (github.com/containers/image)", 1)]
    public async Task The_wait_for_a_turn_and_for_the_answer_is_ten_seconds_together(string userAgent, int turn)
    {
        var release = new TaskCompletionSource();
        var (others, asking) = await WaitBehindOthersAsync(release.Task, userAgent);
        _time.Advance(TimeSpan.FromSeconds(turn));
        using var silent = _here.Hub.Faults.Add(Face.Auth, Fault.NeverAnswer());
        release.SetResult();
        await Task.WhenAll(others);
        await Eventually.TrueAsync(() => silent.Hits == 1);
        _time.Advance(TimeSpan.FromSeconds(9.5 - turn));
        Assert.False(asking.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal("imageaccess-stands-in-for-a-token", JsonNode.Parse((await asking).Body)!["token"]!.GetValue<string>());
    }

    /// <summary>Nobody has failed: who waited in vain is told that, and held.</summary>
    [Theory]
    [InlineData("docker/24.0.9 go/go1.20.13 os/linux arch/amd64", 500)]
    [InlineData("containerd/2.2.0", 403)]
    [InlineData("containers/5.36.2 (github.com/containers/image)", 200)]
    public async Task Who_waits_for_a_turn_in_vain_is_told_so_and_held(string userAgent, int held)
    {
        var release = new TaskCompletionSource();
        var (others, asking) = await WaitBehindOthersAsync(release.Task, userAgent);
        _time.Advance(TimeSpan.FromSeconds(10));
        var answer = await asking;
        Assert.Equal((200, "199 - \"too many sign-ins wait for Docker Hub, this is no token: nothing can be pulled with it\""), (answer.Status, answer.Header("Warning")));
        release.SetResult();
        await Task.WhenAll(others);

        var query = userAgent.StartsWith("containerd/", StringComparison.Ordinal) ? "?ns=docker.io" : "";
        var manifest = await _here.AskAsync("GET", $"/v2/someuser/custom-image/manifests/latest{query}", JsonNode.Parse(answer.Body)!["token"]!.GetValue<string>(), userAgent);
        Assert.Equal(held, manifest.Status);
        Assert.Contains("image access unavailable: too many sign-ins wait for Docker Hub, try again", $"{manifest.Phrase} {manifest.Body}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bob", "bobs-password")]
    [InlineData("alice", "dckr_pat_alice")]
    [InlineData("acme", "dckr_oat_acme")]
    public async Task Many_addresses_lock_no_account_out(string name, string secret)
    {
        for (var i = 0; i < 80; i++)
            Assert.Equal(401, (await SignInAsync("query", name, "guess", $"10.0.0.{i}")).Status);
        Assert.Equal(429, (await SignInAsync("query", name.ToUpperInvariant(), "guess", "10.0.0.79")).Status); // one try each now, in any case
        Assert.Equal(200, (await SignInAsync("query", name, secret, Elsewhere)).Status);
    }

    /// <summary>Behind a balancer that forwards no address are many clients: what one of them guesses keeps no other out.</summary>
    [Theory]
    [InlineData("mirror", "bob", "bobs-password")]
    [InlineData("gateway", "carol", "dckr_pat_carol")]
    [InlineData("forward-proxy", "alice", "alices-password")]
    public async Task Nobody_is_kept_out_by_a_guesser_behind_the_same_trusted_proxy(string way, string name, string secret)
    {
        const string Host = "auth.docker.io";
        await using var room = await IngressRoom.StartAsync(
            new ManualTime(TimeProvider.System.GetUtcNow()), settings: [("Listen:TrustedProxies:0", "127.0.0.1"), ("Listen:Transport", Transport)]);
        for (var i = 0; i <= SignInBudget.TriesOfAddress; i++)
            Assert.Equal(401, (await AskAsync($"invented{i}", "guess")).Status);
        Assert.Equal(200, (await AskAsync(name, secret)).Status);

        for (var i = 0; i < SignInBudget.TriesOfUserAtAddress; i++)
            Assert.Equal(401, (await AskAsync("acme", $"guess{i}")).Status);
        Assert.Equal(429, (await AskAsync("acme", "guess")).Status); // an account's own budget is as before

        Task<RawAnswer> AskAsync(string user, string password)
        {
            var request = IngressRoom.Request("GET", Host, $"/token?{Scope}", basic: $"{user}:{password}");
            return way switch
            {
                "mirror" => room.World.SendRawAsync(request),
                "gateway" => room.AskGatewayAsync(Host, request),
                _ => room.AskForwardProxyAsync(Host, request),
            };
        }
    }

    /// <summary>What says nothing of the credentials is no failure.</summary>
    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Only_a_refusal_counts(int status)
    {
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(status, """{"error":"invalid_scope"}""")))
        {
            for (var i = 0; i < 2 * SignInBudget.TriesOfAddress; i++)
                Assert.Equal(status, (await SignInAsync("form", "bob", $"guess{i}")).Status);
        }

        Assert.Equal(200, (await SignInAsync("form", "bob", "bobs-password")).Status);
        Assert.DoesNotContain("sign-in", await File.ReadAllTextAsync(_here.AuditFile), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("401")]
    [InlineData("403")]
    [InlineData("invalid_grant")]
    [InlineData("broken off")]
    public async Task Every_refusal_counts(string how)
    {
        using (_here.Hub.Faults.Add(Face.Auth, how switch
        {
            "invalid_grant" => Fault.Status(400, """{"error":"invalid_grant"}"""),
            "broken off" => Fault.Custom(BreakOffAsync),
            _ => Fault.Status(int.Parse(how, CultureInfo.InvariantCulture)),
        }))
        {
            for (var i = 0; i < SignInBudget.TriesOfUserAtAddress; i++)
                Assert.InRange((await SignInAsync("form", "bob", $"guess{i}")).Status, 400, 502);
            Assert.Equal(429, (await SignInAsync("form", "bob", "guess")).Status);
        }
    }

    [Fact]
    public async Task Anonymous_requests_are_no_sign_ins()
    {
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(401)))
        {
            for (var i = 0; i < 2 * SignInBudget.TriesOfAddress; i++)
                Assert.Equal(401, (await AnonymousAsync(Home)).Status);
        }

        Assert.Equal(200, (await SignInAsync("query", "bob", "bobs-password")).Status);
    }

    /// <summary>One line at once, and one that counts the rest.</summary>
    [Theory]
    [InlineData("query", "bob", "bob")]
    [InlineData("form", "bob_smith", "bob_smith")]
    [InlineData("form", "bob.canary@example.com", null)]
    [InlineData("query", "canaryOf2026", null)]
    [InlineData("query", "f00dcafe-1234-4abc-9def-canary012345", null)]
    [InlineData("query", "dckr_pat_canary", null)]
    [InlineData("form", "my secret canary", null)]
    [InlineData("query", "{canary", null)]
    [InlineData("refresh", "", null)]
    public async Task A_failure_is_an_event_and_the_next_ones_are_counted(string form, string name, string? told)
    {
        for (var i = 0; i < SignInBudget.TriesOfUserAtAddress + 5; i++)
            await SignInAsync(form, name, form == "refresh" ? "canary-guess" : $"canary-guess{i}");
        _time.Advance(TimeSpan.FromMinutes(1));

        var events = await _here.AuditAsync(4);
        Assert.Equal(
            [("refused", 401, null), ("limit", null, null), ("refused", 401, SignInBudget.TriesOfUserAtAddress - 1), ("limit", null, 4)],
            events.Select(audit => (Text(audit, "reason")!, Number(audit, "upstreamStatus"), Number(audit, "count"))));
        Assert.All(events, audit => Assert.Equal(
            ("sign-in", Home, "mirror", told, "deny"), (Text(audit, "event"), Text(audit, "client"), Text(audit, "wayIn"), Text(audit, "user"), Text(audit, "outcome"))));
        Assert.DoesNotContain("canary", await File.ReadAllTextAsync(_here.AuditFile) + _here.Log, StringComparison.Ordinal);
    }

    /// <summary>The search takes passwords too.</summary>
    [Fact]
    public async Task The_search_is_no_way_round()
    {
        await using var room = await IngressRoom.StartAsync(new ManualTime(TimeProvider.System.GetUtcNow()), settings: [("Listen:Transport", Transport)]);
        room.World.Hub.Faults.Add(Face.Index, Fault.Status(401, "wrong", "text/plain", ("Retry-After", "3")));
        for (var i = 0; i < SignInBudget.TriesOfUserAtAddress; i++)
            Assert.Equal((401, "wrong", "3"), await SearchAsync($"guess{i}") is var answer ? (answer.Status, answer.Body, answer.Header("Retry-After")) : default);
        room.World.Hub.Requests.Clear();
        var refused = await SearchAsync("guess");
        Assert.Equal((429, "TOOMANYREQUESTS", "60"), (refused.Status, refused.Code, refused.Header("Retry-After")));
        var token = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", $"/token?{Scope}", basic: "bob:guess"));
        Assert.Equal((429, "TOOMANYREQUESTS"), (token.Status, token.Code)); // one budget for both
        Assert.Empty(room.World.Hub.Requests.All);
        Assert.Equal("gateway", Text((await room.World.AuditAsync(1))[0], "wayIn"));

        Task<RawAnswer> SearchAsync(string password) =>
            room.AskGatewayAsync("index.docker.io", IngressRoom.Request("GET", "index.docker.io", "/v1/search?q=nginx", basic: $"bob:{password}"));
    }

    /// <summary>The attack: the search answers anybody, and must prove no guess and no name.</summary>
    [Theory]
    [InlineData("bob")]
    [InlineData("alice")]
    [InlineData("nobody-at-all")]
    public async Task An_answer_of_the_search_proves_nothing(string name)
    {
        await using var room = await IngressRoom.StartAsync(new ManualTime(TimeProvider.System.GetUtcNow()), settings: [("Listen:Transport", Transport)]);
        using (room.World.Hub.Faults.Add(Face.Index, Fault.Status(200, "{}")))
        {
            var searched = await room.AskGatewayAsync("index.docker.io", IngressRoom.Request("GET", "index.docker.io", "/v1/search?q=nginx", basic: $"{name}:guess"));
            Assert.Equal(200, searched.Status);
        }

        for (var i = 0; i < SignInBudget.TriesOfAddress; i++)
            Assert.Equal(401, await TokenAsync($"invented{i}:guess"));
        Assert.Equal((429, 429), (await TokenAsync($"{name}:guess"), await TokenAsync($"{name}:another")));

        async Task<int> TokenAsync(string basic) =>
            (await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", $"/token?{Scope}", basic: basic))).Status;
    }

    /// <summary>The attack: who has a refresh token writes somebody else's name beside it, and then guesses that one's password without a budget.</summary>
    [Theory]
    [InlineData("alice")]
    [InlineData("carol")]
    [InlineData("nobody-at-all")]
    public async Task A_name_beside_a_refresh_token_is_nobodys(string name)
    {
        var token = await RefreshTokenAsync();
        var form = $"grant_type=refresh_token&client_id=x&username={name}&refresh_token={Uri.EscapeDataString(token)}&{Scope}";
        Assert.Equal(200, (await SendAsync("POST /token", Home, form: form)).Status);
        await SpendAsync(Home);
        Assert.Equal((429, 429), ((await SignInAsync("query", name, "guess")).Status, (await SignInAsync("form", name, "guess")).Status));
        Assert.Equal(200, (await SendAsync("POST /token", Home, form: form)).Status); // the token itself was accepted lately
    }

    private static string? Text(JsonElement audit, string name) => audit.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static int? Number(JsonElement audit, string name) =>
        audit.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt32() : null;

    private static async Task BreakOffAsync(HttpContext http, Func<Task> _)
    {
        http.Response.StatusCode = 401;
        http.Response.ContentLength = 100;
        await http.Response.WriteAsync("{", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
        throw new IOException("the rest of the body is withheld");
    }

    private async Task<string> RefreshTokenAsync()
    {
        var login = await SendAsync("GET /token?service=registry.docker.io&client_id=docker&offline_token=true&account=bob", Elsewhere, basic: "bob:bobs-password");
        return JsonNode.Parse(login.Body)!["refresh_token"]!.GetValue<string>();
    }

    /// <summary>As many as may sign in at once do, and one more waits behind them.</summary>
    private async Task<(List<Task<RawAnswer>> Others, Task<RawAnswer> Asking)> WaitBehindOthersAsync(Task release, string userAgent)
    {
        using var held = _here.Hub.Faults.Add(Face.Auth, Fault.HoldUntil(release));
        var others = Enumerable.Range(0, 16).Select(i => SignInAsync("query", $"invented{i}", "guess", Elsewhere)).ToList();
        await Eventually.TrueAsync(() => held.Hits == 16);
        var asking = SendAsync($"GET /token?{Scope}", Home, basic: "alice:alices-password", userAgent: userAgent);
        await Eventually.TrueAsync(() => _here.Proxy.Services.GetRequiredService<DockerHubSignIn>().Waiting == 1);
        return (others, asking);
    }

    /// <summary>The address has no try left.</summary>
    private async Task SpendAsync(string address)
    {
        for (var i = 0; i < SignInBudget.TriesOfAddress; i++)
            Assert.Equal(401, (await SignInAsync("query", $"invented{i}", "guess", address)).Status);
    }

    private Task<RawAnswer> AnonymousAsync(string address) => SendAsync($"GET /token?{Scope}", address);

    private Task<RawAnswer> SignInAsync(string form, string name, string secret, string address = Home) => form switch
    {
        "query" => SendAsync($"GET /token?{Scope}", address, basic: $"{name}:{secret}"),
        "form" => SendAsync("POST /token", address, form: $"grant_type=password&client_id=x&username={Uri.EscapeDataString(name)}&password={Uri.EscapeDataString(secret)}&{Scope}"),
        _ => SendAsync("POST /token", address, form: $"grant_type=refresh_token&client_id=x&refresh_token={Uri.EscapeDataString(secret)}&{Scope}"),
    };

    private Task<RawAnswer> SendAsync(string target, string address, string? basic = null, string form = "", string? userAgent = null) => _here.SendRawAsync(
        $"{target} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n"
        + (userAgent is null ? "" : $"User-Agent: {userAgent}\r\n")
        + (basic is null ? "" : $"Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(basic))}\r\n")
        + (form.Length == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {form.Length}\r\n"))
        + "\r\n" + form);
}

public sealed class DockerHubSignInTests_direct() : DockerHubSignInTests(Direct);

public sealed class DockerHubSignInTests_kestrel() : DockerHubSignInTests(Kestrel);
