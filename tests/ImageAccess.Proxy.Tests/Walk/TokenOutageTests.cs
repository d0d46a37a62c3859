using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The token service cannot answer: what the token endpoint repeats, to whom, and what it must not.</summary>
public abstract class TokenOutageTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Nginx = "service=registry.docker.io&scope=repository:library/nginx:pull";
    private const string Warning = "110 - \"the token service cannot answer, this token is one that it issued before\"";
    private const string Wrong = """{"details":"incorrect username or password"}""";

    private readonly ManualTime _time = new(new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero));

    private Surroundings _here = null!;

    public async Task InitializeAsync() =>
        _here = await StartAsync(Surroundings.Policy, hub => (hub.Time, hub.TokenAlgorithm) = (_time, TokenAlgorithm.ES256), _time);

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData("close")]
    [InlineData("truncate")]
    [InlineData("endless")]
    [InlineData("500")]
    [InlineData("502")]
    [InlineData("503")]
    [InlineData("504")]
    [InlineData("408")]
    [InlineData("429")]
    public async Task The_token_given_before_is_given_again_and_pulls(string fault)
    {
        var before = await AskAsync("bob", "bobs-password", Nginx);
        Fail(fault);
        _time.Advance(TimeSpan.FromSeconds(100));

        var again = await AskAsync("bob", "bobs-password", Nginx);
        Assert.Equal((200, Warning, "no-store", "application/json"), (again.Status, again.Header("Warning"), again.Header("Cache-Control"), again.Header("Content-Type")));
        var (was, now) = (Json(before), Json(again));
        Assert.Equal(was["token"]!.GetValue<string>(), now["token"]!.GetValue<string>());
        Assert.Equal(was["token"]!.GetValue<string>(), now["access_token"]!.GetValue<string>());
        Assert.Equal((200, "2026-06-01T12:01:40Z"), (now["expires_in"]!.GetValue<int>(), now["issued_at"]!.GetValue<string>()));
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", now["token"]!.GetValue<string>())).Status);

        _here.Hub.Faults.Clear();
        var fresh = await AskAsync("bob", "bobs-password", Nginx);
        Assert.Null(fresh.Header("Warning"));
        Assert.NotEqual(was["token"]!.GetValue<string>(), Json(fresh)["token"]!.GetValue<string>());
    }

    [Fact]
    public async Task It_is_counted_logged_and_degrades_readiness()
    {
        await AskAsync("bob", "bobs-password", Nginx);
        using var admin = Surroundings.NewClient(_here.Admin);
        using (Fail("503"))
        {
            Assert.Equal(200, (await AskAsync("bob", "bobs-password", Nginx)).Status);
            Assert.Contains("\"upstream\": \"the token service answered 503\"", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
            Assert.Contains("\nimageaccess_token_repeats_total ", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
            Assert.Contains("The token service failed: it answered 503", _here.Log.ToString(), StringComparison.Ordinal);
        }

        await AskAsync("bob", "bobs-password", Nginx);
        Assert.Contains("\"degraded\": {}", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bob", "dckr_pat_bob", Nginx)]
    [InlineData("bob", "guess", Nginx)]
    [InlineData("alice", "bobs-password", Nginx)]
    [InlineData("alice", "alices-password", Nginx)]
    [InlineData(null, null, Nginx)]
    [InlineData("bob", "bobs-password", "service=registry.docker.io&scope=repository:acme/secret:pull")]
    [InlineData("bob", "bobs-password", "service=registry.docker.io&scope=repository:library/nginx:pull,push")]
    [InlineData("bob", "bobs-password", "service=registry.docker.io")]
    [InlineData("bob", "bobs-password", "service=other&scope=repository:library/nginx:pull")]
    [InlineData("bob", "bobs-password", Nginx + "&account=bob")]
    public async Task Whoever_asks_otherwise_is_told_of_the_outage(string? username, string? password, string query)
    {
        await AskAsync("bob", "bobs-password", Nginx);
        Fail("close");

        var answer = await AskAsync(username, password, query);
        Assert.Equal((502, "the token service of Docker Hub could not be reached"), (answer.Status, answer.Message));
        Assert.Equal(200, (await AskAsync("bob", "bobs-password", Nginx)).Status);
    }

    [Theory]
    [InlineData(408)]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Without_anything_to_repeat_an_answer_that_is_none_passes_as_it_is(int status)
    {
        _here.Hub.Faults.Add(Face.Auth, Fault.Status(status, "down\n", "text/plain", ("Retry-After", "7")));
        var answer = await AskAsync("bob", "bobs-password", Nginx);
        Assert.Equal((status, "down\n", "7"), (answer.Status, answer.Body, answer.Header("Retry-After")));
    }

    /// <summary>Docker Hub limits by address: everybody behind the proxy meets the limit at once.</summary>
    [Theory]
    [InlineData("bob", "dckr_pat_bob")]
    [InlineData("carol", "carols-password")]
    [InlineData("acme", "dckr_oat_acme")]
    public async Task A_limit_of_the_token_service_signs_nobody_out(string username, string password)
    {
        var form = $"grant_type=password&service=registry.docker.io&username={username}&password={password}&scope=repository:library/nginx:pull";
        var before = Json(await AskAsync(username, password, Nginx))["token"]!.GetValue<string>();
        var beforeByForm = Json(await PostAsync(form))["token"]!.GetValue<string>();
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(429, """{"details":"too many requests"}""", "application/json", ("Retry-After", "30"))))
        {
            for (var i = 0; i < 3; i++)
            {
                var (repeated, repeatedByForm) = (await AskAsync(username, password, Nginx), await PostAsync(form));
                Assert.Equal((200, Warning, before), (repeated.Status, repeated.Header("Warning"), Json(repeated)["token"]!.GetValue<string>()));
                Assert.Equal((200, Warning, beforeByForm), (repeatedByForm.Status, repeatedByForm.Header("Warning"), Json(repeatedByForm)["token"]!.GetValue<string>()));
            }

            using var admin = Surroundings.NewClient(_here.Admin);
            Assert.Contains("\"upstream\": \"the token service answered 429\"", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
            Assert.Contains("The token service failed: it answered 429", _here.Log.ToString(), StringComparison.Ordinal);
        }

        Assert.Null((await AskAsync(username, password, Nginx)).Header("Warning"));
    }

    [Fact]
    public async Task A_form_is_repeated_too_and_only_as_a_form()
    {
        const string Form = "grant_type=password&service=registry.docker.io&client_id=containerd-client&username=bob&password=bobs-password&scope=repository:library/nginx:pull";
        var before = await PostAsync(Form);
        Fail("close");

        Assert.Equal(Json(before)["token"]!.GetValue<string>(), Json(await PostAsync(Form))["token"]!.GetValue<string>());
        Assert.Equal(502, (await PostAsync(Form.Replace("bobs-", "alices-", StringComparison.Ordinal))).Status);
        Assert.Equal(502, (await PostAsync(Form.Replace("=bob&", "=alice&", StringComparison.Ordinal))).Status);
        Assert.Equal(502, (await AskAsync("bob", "bobs-password", Nginx)).Status);
    }

    [Fact]
    public async Task A_login_succeeds_without_a_refresh_token()
    {
        const string Login = "service=registry.docker.io&client_id=docker&offline_token=true&account=bob";
        var refresh = Json(await AskAsync("bob", "bobs-password", Login))["refresh_token"]!.GetValue<string>();
        var form = $"grant_type=refresh_token&service=registry.docker.io&refresh_token={Uri.EscapeDataString(refresh)}";
        Assert.Equal(200, (await PostAsync(form)).Status);
        Fail("close");

        foreach (var again in new[] { await AskAsync("bob", "bobs-password", Login), await PostAsync(form) })
        {
            Assert.Equal((200, null), (again.Status, Json(again)["refresh_token"]));
            Assert.DoesNotContain(refresh, again.Body, StringComparison.Ordinal);
            Assert.Equal(200, (await _here.AskAsync("GET", "/v2/", Json(again)["token"]!.GetValue<string>())).Status);
        }

        Assert.Equal(502, (await AskAsync("bob", "wrong", Login)).Status);
    }

    [Fact]
    public async Task Thirty_seconds_of_it_are_left_or_it_is_not_given()
    {
        await AskAsync("bob", "bobs-password", Nginx);
        Fail("close");
        _time.Advance(TimeSpan.FromSeconds(270));
        Assert.Equal(200, (await AskAsync("bob", "bobs-password", Nginx)).Status);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(502, (await AskAsync("bob", "bobs-password", Nginx)).Status);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task A_refusal_is_passed_on_and_nothing_is_repeated_after_it(int status)
    {
        await AskAsync("bob", "bobs-password", Nginx);
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(status, Wrong)))
        {
            var refused = await AskAsync("bob", "bobs-password", Nginx);
            Assert.Equal((status, Wrong, null), (refused.Status, refused.Body, refused.Header("Warning")));
        }

        Fail("503");
        Assert.Equal(503, (await AskAsync("bob", "bobs-password", Nginx)).Status);
    }

    [Theory]
    [InlineData("truncate")]
    [InlineData("endless")]
    [InlineData("stall")]
    public async Task A_refusal_that_breaks_off_is_one(string how)
    {
        await AskAsync("bob", "bobs-password", Nginx);
        _here.Hub.Requests.Clear();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Custom((http, _) => BreakOffAsync(http, how, begun))))
        {
            var pending = AskAsync("bob", "bobs-password", Nginx);
            await begun.Task;
            while (how == "stall" && !pending.IsCompleted)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            }

            Assert.InRange((await pending).Status, 502, 504);
        }

        Fail("close");
        Assert.Equal(502, (await AskAsync("bob", "bobs-password", Nginx)).Status);
    }

    [Fact]
    public async Task A_repeated_token_vouches_for_no_key()
    {
        await AskAsync("bob", "bobs-password", Nginx);
        _here.Hub.Signer.Rotate();
        await AskAsync("alice", "alices-password", Nginx);
        Fail("close");
        Assert.Equal(200, (await AskAsync("bob", "bobs-password", Nginx)).Status);
        Assert.Single(_here.Log.ToString().Split('\n'), line => line.Contains("signs with another key", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_revoked_secret_gets_nothing_that_was_given_for_it()
    {
        const string App = "service=registry.docker.io&scope=repository:acme/app:pull";
        foreach (var query in new[] { Nginx, App })
            Assert.Equal(200, (await AskAsync("bob", "dckr_pat_bob", query)).Status);
        Assert.Equal(200, (await AskAsync("bob", "bobs-password", App)).Status);
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(401, Wrong)))
            Assert.Equal(401, (await AskAsync("bob", "dckr_pat_bob", Nginx)).Status);

        Fail("close");
        Assert.Equal(502, (await AskAsync("bob", "dckr_pat_bob", Nginx)).Status);
        Assert.Equal(502, (await AskAsync("bob", "dckr_pat_bob", App)).Status);
        Assert.Equal(200, (await AskAsync("bob", "bobs-password", App)).Status);
    }

    [Fact]
    public async Task A_silent_token_service_is_waited_for_five_seconds_where_something_can_be_repeated()
    {
        await AskAsync("bob", "bobs-password", Nginx);
        _here.Hub.Requests.Clear();
        Fail("silent");
        var pending = AskAsync("bob", "bobs-password", Nginx);
        await _here.AskedAsync(Face.Auth);
        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.False(pending.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((200, Warning), ((await pending).Status, (await pending).Header("Warning")));
    }

    [Fact]
    public async Task The_policy_counts_as_it_is_now()
    {
        await using var room = await IngressRoom.StartAsync();
        Assert.Equal(200, (await AskAsync()).Status);
        room.World.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var repeated = await AskAsync();
        Assert.Equal((200, Warning), (repeated.Status, repeated.Header("Warning")));

        await File.WriteAllTextAsync(room.World.PolicyFile, """{ "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true } ] }""");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        RawAnswer denied;
        while ((denied = await AskAsync()).Status == 200)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, limit.Token);
        Assert.Equal((403, "image access denied: official images not allowed", null), (denied.Status, denied.Message, denied.Header("Warning")));
        Assert.DoesNotContain("token\":", denied.Body, StringComparison.Ordinal);

        Task<RawAnswer> AskAsync() => room.AskGatewayAsync(
            "auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", $"/token?{Nginx}", basic: "bob:bobs-password", userAgent: "containerd/2.1"));
    }

    [Fact]
    public async Task A_restart_during_the_outage_verifies_and_repeats_nothing()
    {
        var token = Json(await AskAsync("bob", "bobs-password", Nginx))["token"]!.GetValue<string>();
        Fail("close");
        await _here.RestartAsync();

        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token)).Status);
        Assert.Equal(403, (await _here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await _here.PullTokenAsync("bob", "someuser/custom-image"))).Status);
        Assert.Equal(502, (await AskAsync("bob", "bobs-password", Nginx)).Status); // tokens are nowhere on disk
        Assert.All(FilesThere.TextsOf(_here.DataDirectory), text => Assert.DoesNotContain(token.Split('.')[2], text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_restart_without_the_kept_key_cannot_tell()
    {
        var token = Json(await AskAsync("bob", "bobs-password", Nginx))["token"]!.GetValue<string>();
        Fail("close");
        await _here.RestartAsync(("Data:Directory", Path.Combine(_here.DataDirectory, "elsewhere")));
        Assert.Equal(503, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token)).Status);
    }

    [Fact]
    public async Task After_a_restart_a_token_of_another_key_leads_to_learning_it()
    {
        await AskAsync("bob", "bobs-password", Nginx);
        _here.Hub.Signer.Rotate();
        await _here.RestartAsync();
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await _here.PullTokenAsync("bob", "library/nginx"))).Status);
    }

    [Fact]
    public async Task An_organization_access_token_stays_what_it_is()
    {
        _here.Hub.Users.AddOrganization("gamma", "", "dckr_oat_gamma");
        await AskAsync("gamma", "dckr_oat_gamma", Nginx);
        Fail("close");
        var token = Json(await AskAsync("gamma", "dckr_oat_gamma", Nginx))["token"]!.GetValue<string>();
        var pulled = await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token);
        Assert.Equal((403, "image access denied: organization access tokens are not supported, use a personal access token (ask in #platform)"), (pulled.Status, pulled.Phrase));
    }

    [Fact]
    public async Task Neither_secrets_nor_tokens_reach_log_metrics_or_readiness()
    {
        var token = Json(await AskAsync("bob", "bobs-password", Nginx))["token"]!.GetValue<string>();
        foreach (var fault in new[] { "close", "503" })
        {
            using (Fail(fault))
                Assert.Equal(200, (await AskAsync("bob", "bobs-password", Nginx)).Status);
        }

        using var admin = Surroundings.NewClient(_here.Admin);
        var written = _here.Log + await admin.GetStringAsync("/metrics") + await admin.GetStringAsync("/readyz");
        Assert.All(["bobs-password", Encode("bob", "bobs-password"), token.Split('.')[1], token.Split('.')[2]], secret => Assert.DoesNotContain(secret, written, StringComparison.Ordinal));
    }

    private static string Encode(string username, string password) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{username}:{password}"));

    private static JsonNode Json(RawAnswer answer) => JsonNode.Parse(answer.Body) ?? throw new JsonException(answer.Body);

    /// <summary>A refusal whose body does not come, or not to its end.</summary>
    private static async Task BreakOffAsync(HttpContext http, string how, TaskCompletionSource begun)
    {
        http.Response.StatusCode = 401;
        http.Response.ContentLength = how == "endless" ? null : 100;
        await http.Response.WriteAsync("{", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
        begun.SetResult();
        while (how == "endless")
            await http.Response.WriteAsync(new string(' ', 16 * 1024), http.RequestAborted);
        if (how == "stall")
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
        throw new IOException("the rest of the body is withheld"); // the server closes after what it has sent; a reset could overtake it
    }

    private ArmedFault Fail(string how) => _here.Hub.Faults.Add(Face.Auth, how switch
    {
        "close" => Fault.CloseConnection(),
        "truncate" => Fault.Truncate(5),
        "endless" => Fault.EndlessBody("{"),
        "silent" => Fault.NeverAnswer(),
        _ => Fault.Status(int.Parse(how, CultureInfo.InvariantCulture), "down"),
    });

    private Task<RawAnswer> AskAsync(string? username, string? password, string query) => _here.SendRawAsync(
        $"GET /token?{query} HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\n"
        + (username is null ? "" : $"Authorization: Basic {Encode(username, password!)}\r\n") + "\r\n");

    private Task<RawAnswer> PostAsync(string form) => _here.SendRawAsync(
        $"POST /token HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\n"
        + $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {form.Length}\r\n\r\n{form}");
}

public sealed class TokenOutageTests_direct() : TokenOutageTests(Direct);

public sealed class TokenOutageTests_kestrel() : TokenOutageTests(Kestrel);
