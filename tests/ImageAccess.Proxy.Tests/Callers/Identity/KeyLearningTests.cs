using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class KeyLearningTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly TokenForge ShortKey = new(RSA.Create(1024));
    private static readonly TokenForge OtherCurve = new(ECDsa.Create(ECCurve.NamedCurves.nistP384));

    private static readonly Dictionary<string, Func<DateTimeOffset, string>> Unteachable = new(StringComparer.Ordinal)
    {
        ["signed by another than its certificate"] =
            now => TokenForge.Next.Token(now, header: h => h["x5c"] = new JsonArray(TokenForge.Stranger.Leaf)),
        ["no certificate"] = now => TokenForge.Next.Token(now, header: h => h.Remove("x5c")),
        ["an empty list of certificates"] = now => TokenForge.Next.Token(now, header: h => h["x5c"] = new JsonArray()),
        ["a certificate that is none"] = now => TokenForge.Next.Token(now, header: h => h["x5c"] = new JsonArray("bm90IG9uZQ==")),
        ["a certificate not in base64"] = now => TokenForge.Next.Token(now, header: h => h["x5c"] = new JsonArray("%%%")),
        ["its own certificate second"] =
            now => TokenForge.Next.Token(now, header: h => h["x5c"] = new JsonArray(TokenForge.Stranger.Leaf, TokenForge.Next.Leaf)),
        ["another issuer"] = now => TokenForge.Next.Token(now, c => c["iss"] = "auth.example"),
        ["long expired"] = now => TokenForge.Next.Token(now, c => c["exp"] = now.ToUnixTimeSeconds() - 3600),
        ["a key too short"] = now => ShortKey.Token(now),
        ["another curve"] = now => OtherCurve.Token(now),
        ["nonsense"] = _ => "nonsense",
        ["nothing"] = _ => "",
    };

    public static TheoryData<string> UnteachableNames => [.. Unteachable.Keys];

    private const string NotJson = "the token service's answer is not the JSON of a token";
    private const string TooLarge = "the token service's answer is larger than 64 KiB";

    private static readonly Dictionary<string, (string Cause, Action<TokenServer> Fail)> Faults = new(StringComparer.Ordinal)
    {
        ["503"] = ("the token service answered 503", s => s.AnswerText(503, "text/plain", "down")),
        ["429"] = ("the token service answered 429", s => s.AnswerText(429, "application/json", "{}")),
        ["a redirect"] = ("the token service answered 307", s => s.Answer = http => Redirect(http, s.Address + "elsewhere")),
        ["HTML"] = (NotJson, s => s.AnswerText(200, "text/html", "<html>portal</html>")),
        ["nothing"] = (NotJson, s => s.AnswerText(200, "application/json", "")),
        ["a list"] = (NotJson, s => s.AnswerText(200, "application/json", "[]")),
        ["a number"] = (NotJson, s => s.AnswerText(200, "application/json", "{\"token\":7}")),
        ["an error of the old format"] = (NotJson, s => s.AnswerText(200, "application/json", "{\"details\":\"no\"}")),
        ["half a surrogate pair"] = (NotJson, s => s.AnswerText(200, "application/json", "{\"token\":\"\\ud800\"}")),
        ["no JWT"] = (
            "the token service's token is not one of the registry's (malformed)",
            s => s.AnswerText(200, "application/json", "{\"token\":\"x\"}")),
        ["oversized"] = (TooLarge, s => s.AnswerText(200, "application/json", new string(' ', 65 * 1024) + "{}")),
        ["endless"] = (TooLarge, s => s.Answer = StreamEndlessly),
        ["cut off"] = ("the token service gave no whole answer (HOST: the answer broke off, Connection reset by peer; look at Upstream:Auth)", s => s.Answer = Abort),
        ["cut off in the middle"] = ("the token service gave no whole answer (HOST: the answer broke off, Connection reset by peer; look at Upstream:Auth)", s => s.Answer = AbortInTheMiddle),
        ["an old token"] = (
            "the token service's token is expired by this host's clock",
            s => s.AnswerToken(() => TokenForge.Docker.Token(DateTimeOffset.UnixEpoch))),
        ["a token of the future"] = (
            "the token service's token is not yet valid by this host's clock",
            s => s.AnswerToken(() => TokenForge.Docker.Token(IdentityRoom.Start.AddHours(1)))),
        ["a token without certificate"] = (
            "the token service's token is not signed with the certificate that it brings",
            s => s.AnswerToken(() => TokenForge.Docker.Token(IdentityRoom.Start, header: h => h.Remove("x5c")))),
    };

    public static TheoryData<string> FaultNames => [.. Faults.Keys];

    [Fact]
    public async Task The_key_is_learnt_from_an_anonymous_token_once()
    {
        await using var room = await IdentityRoom.OpenAsync();
        Assert.Equal(0, room.Server.Requests);

        for (var i = 0; i < 3; i++)
            Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));

        Assert.Equal(1, room.Server.Requests);
        Assert.Equal("/token?service=registry.docker.io&scope=repository:library/hello-world:pull", room.Server.LastTarget);
        Assert.Null(room.Server.LastAuthorization);
    }

    [Theory]
    [InlineData("{\"access_token\":\"TOKEN\"}")]
    [InlineData("{\"token\":\"\",\"access_token\":\"TOKEN\"}")]
    [InlineData("{\"token\":\"TOKEN\"}")]
    public async Task The_token_goes_by_either_name(string answer)
    {
        await using var room = await IdentityRoom.OpenAsync();
        var token = TokenForge.Docker.AnonymousToken(room.Now);
        room.Server.AnswerText(200, "application/json", answer.Replace("TOKEN", token, StringComparison.Ordinal));

        await room.LearnAsync();
    }

    [Fact]
    public async Task A_key_on_the_curve_P256_is_learnt_likewise()
    {
        await using var room = await IdentityRoom.OpenAsync();
        room.Server.AnswerToken(() => TokenForge.Elliptic.AnonymousToken(room.Now));

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Elliptic.Token(room.Now)));
        Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
    }

    [Fact]
    public async Task Concurrent_requests_share_one_fetch()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        room.Server.Answer = async http =>
        {
            await release.Task;
            await http.Response.WriteAsJsonAsync(new { token = TokenForge.Docker.AnonymousToken(room.Now) });
        };

        var waiting = Enumerable.Range(0, 50).Select(_ => room.IdentifyAsync(TokenForge.Docker.Token(room.Now))).ToList();
        await UntilAsync(() => room.Server.Requests > 0);
        Assert.DoesNotContain(waiting, w => w.IsCompleted);
        release.SetResult();

        Assert.All(await Task.WhenAll(waiting), a => Assert.IsType<Identification.Verified>(a));
        Assert.Equal(1, room.Server.Requests);
    }

    [Fact]
    public async Task Who_gives_up_waiting_takes_the_key_from_nobody()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        room.Server.Answer = async http =>
        {
            await release.Task;
            await http.Response.WriteAsJsonAsync(new { token = TokenForge.Docker.AnonymousToken(room.Now) });
        };
        using var leaving = new CancellationTokenSource();

        var first = room.Identifier.IdentifyAsync($"Bearer {TokenForge.Docker.Token(room.Now)}", leaving.Token).AsTask();
        var second = room.IdentifyAsync(TokenForge.Docker.Token(room.Now));
        await UntilAsync(() => room.Server.Requests > 0);
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        release.SetResult();
        Assert.IsType<Identification.Verified>(await second);
        Assert.Equal(1, room.Server.Requests);
    }

    [Fact]
    public async Task A_token_that_could_never_be_good_causes_no_fetch()
    {
        await using var room = await IdentityRoom.OpenAsync();

        await room.IdentifyAsync("nonsense");
        await room.IdentifyAsync(TokenForge.Stranger.Token(room.Now, c => c["iss"] = "me"));
        await room.IdentifyAsync(TokenForge.Stranger.Token(room.Now, c => c["exp"] = 1));
        await room.IdentifyAsync(TokenForge.Stranger.Token(room.Now, header: h => h["alg"] = "PS256"));

        Assert.Equal(0, room.Server.Requests);
    }

    [Fact]
    public async Task Strangers_cause_at_most_one_refresh_a_minute()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();

        await AskAsStrangersAsync(room, fetches: 1); // the key is as fresh as can be
        room.Time.Advance(Minute - Second);
        await AskAsStrangersAsync(room, fetches: 1);
        room.Time.Advance(Second);
        await AskAsStrangersAsync(room, fetches: 2);
        room.Time.Advance(Minute - Second);
        await AskAsStrangersAsync(room, fetches: 2);
        room.Time.Advance(Second);
        await AskAsStrangersAsync(room, fetches: 3);
    }

    [Fact]
    public async Task A_failed_refresh_counts_for_the_minute_and_leaves_the_key_good()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        room.Server.AnswerText(503, "text/plain", "down");
        room.Time.Advance(Minute);

        await AskAsStrangersAsync(room, fetches: 2);
        await AskAsStrangersAsync(room, fetches: 2);
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(HealthStatus.Healthy, (await room.CheckHealthAsync()).Status);
    }

    [Fact]
    public async Task After_a_rotation_the_new_key_is_fetched_and_the_former_one_stays_good_for_an_hour()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        room.Time.Advance(Minute);
        room.Server.AnswerToken(() => TokenForge.Next.AnonymousToken(room.Now));

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
        Assert.Equal(2, room.Server.Requests);

        room.Time.Advance(TimeSpan.FromHours(1) - Second);
        var former = TokenForge.Docker.Token(room.Now);
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(former));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(former)); // remembered, but not past the hour
        Assert.Equal(1, room.Remembered);

        room.Time.Advance(Second);
        Assert.Equal(TokenFlaw.Signature, Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(former)).Flaw);
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
    }

    [Fact]
    public async Task A_key_that_a_fresh_token_brings_is_learnt_at_once()
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        room.Server.AnswerToken(() => TokenForge.Next.Token(room.Now));

        room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(1, room.Server.Requests);
        room.Time.Advance(TimeSpan.FromHours(1));
        Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
    }

    [Fact]
    public async Task The_first_key_may_come_with_a_fresh_token_too()
    {
        await using var room = await IdentityRoom.OpenAsync();
        room.Identifier.LearnFrom(TokenForge.Docker.Token(room.Now));

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(0, room.Server.Requests);
    }

    [Fact]
    public async Task A_token_service_that_signs_with_two_keys_in_turn_keeps_both()
    {
        await using var room = await IdentityRoom.OpenAsync();
        for (var i = 0; i < 10; i++)
        {
            room.Identifier.LearnFrom(TokenForge.Docker.Token(room.Now));
            room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));
            room.Time.Advance(TimeSpan.FromMinutes(30));
        }

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
    }

    [Fact]
    public async Task No_more_than_four_keys_are_good_at_once()
    {
        await using var room = await IdentityRoom.OpenAsync();
        TokenForge[] forges = [.. Enumerable.Range(0, 5).Select(_ => new TokenForge(ECDsa.Create(ECCurve.NamedCurves.nistP256)))];
        foreach (var forge in forges)
            room.Identifier.LearnFrom(forge.Token(room.Now));
        room.Server.AnswerToken(() => forges[^1].Token(room.Now));

        Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(forges[0].Token(room.Now)));
        foreach (var forge in forges[1..])
            Assert.IsType<Identification.Verified>(await room.IdentifyAsync(forge.Token(room.Now)));
    }

    [Theory]
    [MemberData(nameof(UnteachableNames))]
    public async Task No_key_is_learnt_from_an_unfit_token(string what)
    {
        var make = Unteachable[what];
        await using var room = await IdentityRoom.OpenAsync();
        room.Server.AnswerToken(() => make(room.Now));

        Assert.IsType<Identification.Unavailable>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
        Assert.Equal(HealthStatus.Degraded, (await room.CheckHealthAsync()).Status);

        room.Identifier.LearnFrom(make(room.Now));
        Assert.IsType<Identification.Unavailable>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
        room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
    }

    [Theory]
    [MemberData(nameof(FaultNames))]
    public async Task A_failing_token_service_makes_tokens_unavailable_until_it_recovers(string fault)
    {
        var (cause, fail) = Faults[fault];
        await using var room = await IdentityRoom.OpenAsync();
        var recovered = room.Server.Answer;
        fail(room.Server);

        Assert.IsType<Identification.Unavailable>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        var asked = room.Server.Requests; // a second time where the connection was reset
        var health = await room.CheckHealthAsync();
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Equal($"no token can be verified: {cause.Replace("HOST", room.Server.Address.Authority, StringComparison.Ordinal)}", health.Description);

        room.Server.Answer = recovered;
        room.Time.Advance(TimeSpan.FromSeconds(2.9));
        Assert.IsType<Identification.Unavailable>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(asked, room.Server.Requests); // not so soon

        room.Time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(HealthStatus.Healthy, (await room.CheckHealthAsync()).Status);
    }

    [Fact]
    public async Task A_slow_token_service_is_waited_for_five_seconds()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var recovered = room.Server.Answer;
        room.Server.Answer = http => Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted);

        var waiting = room.IdentifyAsync(TokenForge.Docker.Token(room.Now));
        await UntilAsync(() => room.Server.Requests > 0);
        room.Time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(waiting.IsCompleted);
        room.Time.Advance(TimeSpan.FromSeconds(0.1));

        Assert.IsType<Identification.Unavailable>(await waiting);
        Assert.Equal($"no token can be verified: the token service did not answer within 5 s ({room.Server.Address.Authority}; look at Upstream:Auth)", (await room.CheckHealthAsync()).Description);

        room.Server.Answer = recovered;
        room.Time.Advance(TimeSpan.FromSeconds(3));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
    }

    [Fact]
    public async Task A_token_service_that_is_not_there_is_said_so()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)); // bound, and not listening
        await using var room = await IdentityRoom.OpenAsync(("Upstream:Auth", $"http://{socket.LocalEndPoint}"));

        Assert.IsType<Identification.Unavailable>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(
            $"no token can be verified: the token service cannot be reached ({socket.LocalEndPoint}: no connection, Connection refused; look at Upstream:Auth, Upstream:Proxy and the firewall)",
            (await room.CheckHealthAsync()).Description);
    }

    [Fact]
    public async Task Before_a_key_is_needed_nothing_is_wrong()
    {
        await using var room = await IdentityRoom.OpenAsync();

        Assert.Equal(HealthStatus.Healthy, (await room.CheckHealthAsync()).Status);
        Assert.Equal(0, room.Server.Requests);
    }

    [Fact]
    public async Task Trusted_keys_are_all_that_counts()
    {
        using var file = new TemporaryFile($"{TokenForge.Docker.CertificatePem}\n{TokenForge.Elliptic.PublicKeyPem}");
        await using var room = await IdentityRoom.OpenAsync(("Identity:TrustedKeys", file.Path));
        room.Server.AnswerToken(() => TokenForge.Next.Token(room.Now));

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Elliptic.Token(room.Now)));
        room.Identifier.LearnFrom(TokenForge.Next.Token(room.Now));
        Assert.Equal(TokenFlaw.Signature, Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now))).Flaw);
        room.Time.Advance(TimeSpan.FromDays(400));
        Assert.IsType<Identification.Invalid>(await room.IdentifyAsync(TokenForge.Next.Token(room.Now)));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(TokenForge.Docker.Token(room.Now)));
        Assert.Equal(0, room.Server.Requests);
    }

    private static async Task AskAsStrangersAsync(IdentityRoom room, int fetches)
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => room.IdentifyAsync(TokenForge.Stranger.Token(room.Now))));
        Assert.All(answers, a => Assert.Equal(TokenFlaw.Signature, Assert.IsType<Identification.Invalid>(a).Flaw));
        Assert.Equal(fetches, room.Server.Requests);
    }

    private static Task Redirect(HttpContext http, string where)
    {
        http.Response.Redirect(where, permanent: false, preserveMethod: true);
        return Task.CompletedTask;
    }

    private static async Task StreamEndlessly(HttpContext http)
    {
        var piece = Encoding.ASCII.GetBytes(new string(' ', 4096));
        while (!http.RequestAborted.IsCancellationRequested)
            await http.Response.Body.WriteAsync(piece, http.RequestAborted);
    }

    private static Task Abort(HttpContext http)
    {
        http.Abort();
        return Task.CompletedTask;
    }

    private static async Task AbortInTheMiddle(HttpContext http)
    {
        http.Response.ContentLength = 1000;
        await http.Response.WriteAsync("{\"token\":\"");
        await http.Response.Body.FlushAsync();
        http.Abort();
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var i = 0; i < 500 && !condition(); i++)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        Assert.True(condition());
    }
}
