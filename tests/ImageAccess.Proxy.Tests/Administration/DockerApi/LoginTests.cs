using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Administration.Api;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.IdentityModel.Tokens;

namespace ImageAccess.Proxy.Tests.Administration.DockerApi;

/// <summary>Signing in to Docker's own API: who gets a token, what it is worth, and that guessing ends.</summary>
public sealed class LoginTests : IAsyncLifetime
{
    private const string Refusal = """{"message":"Incorrect authentication credentials","detail":"Incorrect authentication credentials"}""";
    private const string NoToken = "no API token, or none that is good: send Authorization: Bearer TOKEN";

    private readonly ApiRoom _room = new();

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.ImportAsync(ApiRoom.Policy);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Theory]
    [InlineData("/v2/users/login", "username", "password", "token")]
    [InlineData("/v2/users/login/", "username", "password", "token")]
    [InlineData("/v2/auth/token", "identifier", "secret", "access_token")]
    [InlineData("/v2/auth/token/", "identifier", "secret", "access_token")]
    public async Task Credentials_of_Docker_Hub_and_tokens_of_the_API_give_a_token_by_both_ways(string path, string user, string secret, string member)
    {
        var own = await _room.TokenAsync("administrator");
        foreach (var (name, credential) in new[] { ("alice", "dckr_pat_alice"), ("ALICE", "dckr_pat_alice"), ("anything", own), ("", own) })
        {
            _room.Here.Hub.Requests.Clear();
            var answer = await _room.SendAsync("POST", path, body: $$"""{ "{{user}}": "{{name}}", "{{secret}}": "{{credential}}" }""");
            Assert.Equal((200, "application/json", "no-store"), (answer.Status, answer.MediaType, answer.CacheControl));
            Assert.Equal([member], answer.Json.EnumerateObject().Select(one => one.Name));
            var token = answer.Json.GetProperty(member).GetString()!;
            Assert.Equal(200, (await _room.SendAsync("GET", "/v2/orgs/acme/settings", token)).Status);
            Assert.DoesNotContain("role", Encoding.UTF8.GetString(Base64UrlEncoder.DecodeBytes(token.Split('.')[1])), StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(_room.Here.Hub.Requests.All, request => request.RawTarget.Contains(credential, StringComparison.Ordinal));
        }

        Assert.DoesNotContain(_room.Here.Log.All, line => line.Contains("dckr_pat", StringComparison.Ordinal) || line.Contains(own, StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_text_refuses_whatever_is_wrong_and_nothing_is_asked_for_an_organization_token()
    {
        var revoked = await _room.MakeAsync("administrator");
        await _room.Service<ChangeDesk>().RevokeTokenAsync(revoked.Id, Actor.Server("root"), default);
        foreach (var (name, secret) in new[]
        {
            ("alice", "wrong"), ("nobody", "wrong"), ("acme", "dckr_oat_acme"), ("alice", "dckr_oat_acme"), ("", "x"), ("alice", ""), ("a:b", "c"), ("alice", new string('x', 2000)),
            ("alice", revoked.Secret), ("alice", TokenSecret.Make()), ("al\u202eice", "x"),
        })
        {
            _room.Here.Hub.Requests.Clear();
            var answer = await _room.SendAsync("POST", "/v2/users/login", body: JsonSerializer.Serialize(new { username = name, password = secret }));
            Assert.Equal((401, "application/json", Refusal), (answer.Status, answer.MediaType, answer.Text));
            if (secret.StartsWith("dckr_oat", StringComparison.Ordinal))
                Assert.Empty(_room.Here.Hub.Requests.All);
        }

        await Eventually.TrueAsync(async () => (await _room.Here.AuditAsync(1)).Any(line =>
            line.GetProperty("event").GetString() == "sign-in" && line.GetProperty("wayIn").GetString() == "console" && line.GetProperty("reason").GetString() == "refused"
            && line.TryGetProperty("user", out var user) && user.GetString() == "alice"));
    }

    [Fact]
    public async Task A_thousand_wrong_passwords_end_in_429_and_keep_nobody_else_out()
    {
        var statuses = new List<int>();
        ApiAnswer last = null!;
        for (var i = 0; i < 1000; i++)
        {
            last = await new DockerClient(_room, "alice", string.Create(CultureInfo.InvariantCulture, $"guess{i}")).LoginAsync();
            statuses.Add(last.Status);
        }

        Assert.Equal(10, statuses.Count(status => status == 401));
        Assert.All(statuses.Skip(10), status => Assert.Equal(429, status));
        var seconds = int.Parse(last.RetryAfter!, CultureInfo.InvariantCulture);
        Assert.Equal($"too many sign-ins have failed, try again in {seconds} s", last.Detail);
        Assert.InRange(_room.Here.Hub.Requests.Of(Face.Auth).Count, 10, 12); // and no more than the keys beside
        Assert.Equal(200, (await new DockerClient(_room, "alice", "dckr_pat_alice") { Address = "192.0.2.99" }.LoginAsync()).Status);
        Assert.Equal(200, (await new DockerClient(_room, "bob", "dckr_pat_bob").LoginAsync()).Status);
    }

    [Fact]
    public async Task An_outage_of_the_token_service_is_no_refusal()
    {
        using (_room.Here.Hub.Faults.Add(Face.Auth, Fault.Status(500)))
        {
            var answer = await new DockerClient(_room, "alice", "dckr_pat_alice").LoginAsync();
            Assert.Equal((503, "5", "Docker Hub cannot be asked about the credentials at the moment, try again in 5 s"), (answer.Status, answer.RetryAfter, answer.Detail));
        }

        Assert.Equal(200, (await new DockerClient(_room, "alice", "dckr_pat_alice").LoginAsync()).Status);
    }

    [Fact]
    public async Task A_bad_body_signs_nobody_in()
    {
        foreach (var (body, status, detail) in new[]
        {
            ("", 400, "the body"), ("nonsense", 400, "the body"), ("null", 400, "the body is null: write an object"), ("[]", 400, "the body has a wrong value: write an object"),
            ("{}", 400, "the body lacks a member"), ("""{ "username": "alice" }""", 400, "the body lacks a member"), ("""{ "username": null, "password": "x" }""", 400, "the body has a wrong value at username"),
            ("""{ "username": "alice", "password": 5 }""", 400, "the body has a wrong value at password"), ("""{ "username": "alice", "password": "x", "otp": 1 }""", 400, "the body has a member that is not known: otp"),
            ("""{ "username": "alice", "username": "bob", "password": "x" }""", 400, "the body has a member twice"),
            ($$"""{ "username": "alice", "password": "{{new string('x', 3_000_000)}}" }""", 413, "the body is too large: at most 2 MiB"),
        })
        {
            var answer = await _room.SendAsync("POST", "/v2/users/login", body: body);
            Assert.Equal((status, "application/json"), (answer.Status, answer.MediaType));
            Assert.StartsWith(detail, answer.Detail, StringComparison.Ordinal);
            Assert.Equal(answer.Detail, answer.Json.GetProperty("message").GetString());
        }

        Assert.Equal(415, (await _room.SendAsync("POST", "/v2/users/login", body: "username=alice", contentType: "application/x-www-form-urlencoded")).Status);
        Assert.Empty(_room.Here.Hub.Requests.Of(Face.Auth));
    }

    [Fact]
    public async Task A_token_outlives_a_restart_and_not_its_ten_minutes_its_person_or_its_own_token()
    {
        var alice = await TokenAsync("alice", "dckr_pat_alice");
        var (id, secret) = await _room.MakeAsync("administrator");
        var program = await TokenAsync("ci", secret);
        await _room.Here.RestartAsync();
        _room.Reconnect();
        await Eventually.TrueAsync(async () => await StatusAsync(alice) == 200);
        Assert.Equal(200, await StatusAsync(program));

        var later = new SessionTokens(_room.Service<IDataProtectionProvider>(), _room.Service<KeyStore>(), new ManualTime(DateTimeOffset.UtcNow.AddMinutes(-11)));
        Assert.Equal(401, await StatusAsync(later.Issue(new Session("alice") { Account = FakeAccountId("alice") })));

        await _room.Service<ChangeDesk>().RevokeTokenAsync(id, Actor.Server("root"), default);
        Assert.Equal(401, await StatusAsync(program));

        await _room.Service<ChangeDesk>().ChangePolicyAsync(
            new() { Content = Encoding.UTF8.GetBytes(ApiRoom.Policy.Replace("\"owners\": [ \"alice\" ]", "\"owners\": [ \"ann\" ]", StringComparison.Ordinal)) },
            new ChangeRequest(Actor.Server("root"), "alice has left"),
            default);
        await Eventually.TrueAsync(async () => await StatusAsync(alice) == 403);
    }

    [Fact]
    public async Task A_forged_token_is_worth_nothing()
    {
        var good = await TokenAsync("bob", "dckr_pat_bob");
        var parts = good.Split('.');
        var payload = Encoding.UTF8.GetString(Base64UrlEncoder.DecodeBytes(parts[1]));
        var asAlice = Base64UrlEncoder.Encode(payload.Replace("bob", "alice", StringComparison.Ordinal));
        var key = RandomNumberGenerator.GetBytes(32);
        var stranger = new EphemeralDataProtectionProvider().CreateProtector("imageaccess sessions").Protect(key);
        var otherPurpose = _room.Service<IDataProtectionProvider>().CreateProtector("another purpose").Protect(key);
        string[] forged =
        [
            $"{parts[0]}.{asAlice}.{parts[2]}",
            $"{Base64UrlEncoder.Encode("""{"alg":"none","typ":"JWT"}""")}.{asAlice}.",
            $"{Base64UrlEncoder.Encode("""{"alg":"None","typ":"JWT"}""")}.{asAlice}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.",
            Sign(stranger, "HS256", asAlice),
            Sign(otherPurpose, "HS256", asAlice),
            Sign(key, "HS256", asAlice),
            Sign(otherPurpose, "HS512", parts[1]),
            await _room.Here.PullTokenAsync("alice", "library/nginx"), // Docker Hub's own
            "..", "a.b.c", new string('x', 5000) + ".y.z",
        ];
        foreach (var token in forged)
        {
            var answer = await _room.SendAsync("GET", "/v2/orgs/acme/settings", token);
            Assert.Equal((401, NoToken), (answer.Status, answer.Detail));
        }

        Assert.Equal(200, await StatusAsync(good));

        string Sign(byte[] wrapped, string algorithm, string claims)
        {
            var signed = $"{Base64UrlEncoder.Encode($$"""{"alg":"{{algorithm}}","typ":"JWT","kid":"{{Base64UrlEncoder.Encode(wrapped)}}"}""")}.{claims}";
            return $"{signed}.{Base64UrlEncoder.Encode(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(signed)))}";
        }
    }

    /// <summary>An owner's access token lies in many CI files: it approves nothing.</summary>
    [Fact]
    public async Task The_token_is_for_Dockers_own_API_alone()
    {
        var alice = await TokenAsync("alice", "dckr_pat_alice");
        var answer = await _room.SendAsync("GET", "/api/v1/organizations/acme/policy", alice);
        Assert.Equal((401, NoToken), (answer.Status, answer.Detail));
    }

    private async Task<string> TokenAsync(string name, string secret) =>
        (await _room.SendAsync("POST", "/v2/users/login", body: JsonSerializer.Serialize(new { username = name, password = secret }))).Json.GetProperty("token").GetString()!;

    private async Task<int> StatusAsync(string token) => (await _room.SendAsync("GET", "/v2/orgs/acme/settings", token)).Status;

    private string FakeAccountId(string name) => _room.Here.Hub.Users.Find(name)!.Id.ToString();
}
