using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.Core.Classification;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>
/// The mirror cannot tell who asks, or cannot decide, for a reason of its own. An ordinary error would lead its client to Docker Hub,
/// and so to the denied image: it is held, and told why.
/// </summary>
public abstract class OwnFaultTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Classic = "docker/24.0.9 go/go1.20.13 os/linux arch/amd64 UpstreamClient(Docker-Client/24.0.9)";
    private const string Store = "docker/29.1.3 go/go1.25.5 containerd-client/2.2.0 os/linux arch/amd64";
    private const string Denied = "someuser/custom-image";
    private const string Clock = "image access unavailable: the proxy's clock differs from Docker Hub's, tell its administrator";
    private const string UnknownKey = "image access unavailable: the proxy does not know the key of Docker Hub's tokens, tell its administrator";
    private const string Organizations = "image access unavailable: this account has more organizations than the proxy reads, tell its administrator";
    private const string NoKey = "image access unavailable: tokens cannot be verified at the moment, try again";
    private const string NoToken = "image access unavailable: the token service of Docker Hub cannot be reached, try again";
    private const string Broken = "image access unavailable: the request failed in the proxy itself, try again";
    private const string Help = " (ask in #platform)";
    private const string Observe = """{ "organizations": [ { "name": "acme", "enabled": true, "mode": "observe", "allow": { "official": true } } ] }""";
    private const string Off = """{ "organizations": [ { "name": "acme", "allow": { "official": true } } ] }""";

    private Surroundings _here = null!;

    /// <summary>How far Docker Hub's clock is ahead of ours: seconds.</summary>
    public static TheoryData<int> Clocks => [47 * 60, -3 * 3600, 400 * 86400, -400 * 86400, 421, -366];

    public async Task InitializeAsync() => _here = await StartAsync();

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [MemberData(nameof(Clocks))]
    public async Task Whose_clock_is_wrong_holds_every_image(int seconds)
    {
        await using var wrong = await StartAsync(Surroundings.Policy, hub => hub.Time = new ShiftedTime(TimeSpan.FromSeconds(seconds)));
        foreach (var repository in new[] { Denied, "library/nginx" })
            await AssertHeldAsync(wrong, repository, await TokenAsync(wrong, repository, Classic), Clock);

        Assert.Empty(wrong.Hub.Requests.Of(Face.Registry));
        using var admin = Surroundings.NewClient(wrong.Admin);
        var degraded = JsonNode.Parse(await admin.GetStringAsync("/readyz"))!["degraded"]!;
        var side = seconds > 0 ? "behind" : "ahead of";
        Assert.Matches($"^this machine's clock is [0-9.:]+ {side} Docker Hub's: set it; tokens look expired or not yet valid$", degraded["clock"]!.GetValue<string>());
        Assert.Single(wrong.Log.At(LogLevel.Warning), line => line.StartsWith("This machine's clock is ", StringComparison.Ordinal) && line.Contains($" {side} Docker Hub's", StringComparison.Ordinal));
    }

    /// <summary>What a client that asks again would mend is no fault of the proxy.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(40)]
    [InlineData(-40)]
    public async Task An_expired_token_gets_a_challenge_while_new_ones_are_accepted(int seconds)
    {
        await using var here = await StartAsync(Surroundings.Policy, hub => hub.Time = new ShiftedTime(TimeSpan.FromSeconds(seconds)));
        Assert.Equal(200, (await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await TokenAsync(here, "library/nginx", Classic), Classic)).Status);
        foreach (var flawed in new[] { Token(here, draft => draft.Expires = here.Hub.Time.GetUtcNow().AddMinutes(-10)), "no.token.atall", Token(here, draft => draft.Issuer = "elsewhere") })
        {
            var answer = await here.AskAsync("HEAD", $"/v2/{Denied}/manifests/latest", flawed, Classic);
            Assert.Equal(401, answer.Status);
            Assert.Contains("error=\"invalid_token\"", answer.Header("WWW-Authenticate"), StringComparison.Ordinal);
        }
    }

    /// <summary>The attack: whoever could forge a date must not bring an expired token, or one of next year, to life.</summary>
    [Theory]
    [InlineData(-900)]
    [InlineData(-86400)]
    [InlineData(31_000_000)]
    public async Task A_forged_date_makes_no_token_valid(int seconds)
    {
        var forged = TimeProvider.System.GetUtcNow().AddSeconds(seconds);
        foreach (var face in new[] { Face.Registry, Face.Auth, Face.Hub })
            _here.Hub.Faults.Add(face, Fault.WithHeader("Date", forged.ToString("r", System.Globalization.CultureInfo.InvariantCulture)));
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await TokenAsync(_here, "library/nginx", Classic))).Status);
        _here.Hub.Requests.Clear();

        var stolen = Token(_here, draft => (draft.NotBefore, draft.Expires) = (forged.AddMinutes(-5), forged.AddMinutes(5)));
        foreach (var userAgent in new[] { Classic, Store, null })
            Assert.NotEqual(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", stolen, userAgent)).Status);
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>No token that the client could get instead is any better.</summary>
    [Theory]
    [InlineData("rotated", true)]
    [InlineData("no leaf", true)]
    [InlineData("no leaf", false)]
    [InlineData("former leaf", false)]
    [InlineData("no certificate", false)]
    [InlineData("elliptic", true)]
    public async Task Whose_new_tokens_no_key_verifies_holds_every_image(string change, bool trusts)
    {
        if (trusts)
        {
            var keys = Path.Combine(_here.DataDirectory, "keys.pem");
            await File.WriteAllTextAsync(keys, _here.Hub.Signer.CertificatePem);
            await _here.RestartAsync(("Identity:TrustedKeys", keys));
        }

        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await TokenAsync(_here, "library/nginx", Classic), Classic)).Status);
        var next = new TokenSigner(change == "elliptic" ? TokenAlgorithm.ES256 : TokenAlgorithm.RS256);
        var issued = next.IssueToken(draft =>
        {
            draft.Access = [new TokenAccess("library/nginx", "pull"), new TokenAccess(Denied, "pull")];
            draft.X5c = change switch { "no leaf" => [], "former leaf" => [_here.Hub.Signer.X5c], "no certificate" => ["bm90aGluZw=="], _ => null };
        });
        _here.Hub.Requests.Clear();
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(200, $$"""{"token":"{{issued}}","expires_in":300}""")))
        {
            foreach (var repository in new[] { Denied, "library/nginx" })
                await AssertHeldAsync(_here, repository, await TokenAsync(_here, repository, Classic), UnknownKey);
        }

        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        using var admin = Surroundings.NewClient(_here.Admin);
        Assert.Equal(
            "no token can be verified: the proxy does not know the key of Docker Hub's tokens, tell its administrator",
            JsonNode.Parse(await admin.GetStringAsync("/readyz"))!["degraded"]!["identity"]!.GetValue<string>());

        var known = await TokenAsync(_here, "library/nginx", Classic); // Docker Hub signs as before
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", known, Classic)).Status);
        Assert.DoesNotContain("no token can be verified", await admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
    }

    /// <summary>A known key verifies a token without its certificate: then nothing is wrong. And a key that a client brings is no key of Docker Hub's.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_strangers_token_holds_nobody(bool trusts)
    {
        var keys = Path.Combine(_here.DataDirectory, "keys.pem");
        await File.WriteAllTextAsync(keys, _here.Hub.Signer.CertificatePem);
        if (trusts)
            await _here.RestartAsync(("Identity:TrustedKeys", keys));
        Assert.NotEmpty(await TokenAsync(_here, "library/nginx", Classic));
        var bare = Token(_here, draft => draft.X5c = []);
        using (_here.Hub.Faults.Add(Face.Auth, Fault.Status(200, $$"""{"token":"{{bare}}"}""")))
            Assert.Equal(bare, await TokenAsync(_here, "library/nginx", Classic));
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", bare, Classic)).Status);

        var strange = new TokenSigner(TokenAlgorithm.ES256).IssueToken(draft => draft.Access = [new TokenAccess(Denied, "pull")]);
        var answer = await _here.AskAsync("HEAD", $"/v2/{Denied}/manifests/latest", strange, Classic);
        Assert.Equal(401, answer.Status);
        Assert.Contains("error=\"invalid_token\"", answer.Header("WWW-Authenticate"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(257, "array")]
    [InlineData(300, "object")]
    [InlineData(1000, "array")]
    public async Task Who_has_too_many_organizations_is_held(int count, string form)
    {
        await using var here = await StartAsync(Surroundings.Policy, null, ("Identity:OrganizationClaim", "/https:~1~1auth.docker.io/orgs"));
        var names = Enumerable.Range(0, count).Select(i => $"organization{i}");
        var token = Token(here, draft =>
        {
            (draft.Username, draft.Subject) = ("bob", "11111111-2222-3333-4444-555555555555");
            draft.HubClaims["orgs"] = form == "array"
                ? new JsonArray([.. names.Select(name => JsonValue.Create(name))])
                : new JsonObject(names.Select(name => KeyValuePair.Create<string, JsonNode?>(name, new JsonObject())));
        });
        foreach (var repository in new[] { Denied, "library/nginx" })
            await AssertHeldAsync(here, repository, token, Organizations);
        Assert.Empty(here.Hub.Requests.Of(Face.Registry));
    }

    [Theory]
    [InlineData(Denied)]
    [InlineData("library/nginx")]
    [InlineData("acme/app")]
    public async Task Without_a_key_every_image_is_held(string repository)
    {
        _here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        await AssertHeldAsync(_here, repository, await _here.PullTokenAsync("bob", repository), NoKey);
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        Assert.Contains((await _here.AuditAsync(1)), line => line.GetProperty("rule").GetString() == "unknown" && line.GetProperty("outcome").GetString() == "deny"
            && line.GetProperty("wayIn").GetString() == "mirror");
    }

    [Theory]
    [InlineData("close")]
    [InlineData("500")]
    [InlineData("503")]
    [InlineData("429")]
    [InlineData("truncate")]
    [InlineData("endless")]
    public async Task Without_a_token_the_client_gets_what_stands_in_for_one_and_is_held_by_it(string fault)
    {
        _here.Hub.Faults.Add(Face.Auth, fault switch
        {
            "close" => Fault.CloseConnection(),
            "truncate" => Fault.Truncate(7),
            "endless" => Fault.EndlessBody("{\"token\":\""),
            _ => Fault.Status(int.Parse(fault, System.Globalization.CultureInfo.InvariantCulture)),
        });
        var tokens = new List<string>();
        foreach (var userAgent in new[] { Classic, Store, "containerd/2.2.0", "buildkit/v0.26", "containers/5.36.2 (github.com/containers/image)", "build/1 skopeo/1.22.0", "cri-o/1.34.1" })
            tokens.Add(await TokenAsync(_here, Denied, userAgent, expected: 60));
        var form = await PostTokenAsync("grant_type=password&service=registry.docker.io&client_id=containerd-client&username=bob&password=bobs-password&scope=repository:someuser/custom-image:pull");
        tokens.Add(Json(form)["token"]!.GetValue<string>());

        var token = Assert.Single(tokens.Distinct());
        Assert.Null(Json(form)["refresh_token"]);
        Assert.Equal(("no-store", "199 - \"the token service cannot answer, this is no token: nothing can be pulled with it\""), (form.Header("Cache-Control"), form.Header("Warning")));
        foreach (var repository in new[] { Denied, "library/nginx" })
            await AssertHeldAsync(_here, repository, token, NoToken);
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>Clients give up after 15 seconds, and then ask Docker Hub.</summary>
    [Theory]
    [InlineData(Classic)]
    [InlineData("containerd/2.2.0")]
    [InlineData("containers/5.36.2 (github.com/containers/image)")]
    public async Task A_silent_token_service_is_waited_for_ten_seconds(string userAgent)
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var here = await StartAsync(Surroundings.Policy, hub => hub.Time = time, time);
        using var silent = here.Hub.Faults.Add(Face.Auth, Fault.NeverAnswer());
        var asking = TokenAsync(here, Denied, userAgent, expected: 60);
        await Eventually.TrueAsync(() => silent.Hits == 1);
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(asking.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("imageaccess-stands-in-for-a-token", await asking);
    }

    /// <summary>A sign-in must not seem to succeed, and who asks nobody else is told the truth.</summary>
    [Theory]
    [InlineData(Classic, "service=registry.docker.io&client_id=docker&offline_token=true&account=bob")]
    [InlineData(Store, "service=registry.docker.io")]
    [InlineData(Classic, "service=registry.docker.io&scope=registry:catalog:*")]
    [InlineData("curl/8.14.1", "service=registry.docker.io&scope=repository:library/nginx:pull")]
    [InlineData("crane/0.20.7 go-containerregistry", "service=registry.docker.io&scope=repository:library/nginx:pull")]
    [InlineData(null, "service=registry.docker.io&scope=repository:library/nginx:pull")]
    public async Task Nothing_stands_in_for_a_token_where_nobody_would_be_held(string? userAgent, string query)
    {
        _here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        Assert.Equal(502, (await _here.AskAsync("GET", $"/token?{query}", null, userAgent)).Status);
    }

    /// <summary>With a list, what is no token stands in only for those whose manifests are held then.</summary>
    [Theory]
    [InlineData("containerd", Classic, "repository:someuser/custom-image:pull", false)]
    [InlineData("containerd", Store, "repository:someuser/custom-image:pull", true)]
    [InlineData("containerd", Classic, "repository(plugin):someuser/custom-image:pull", true)]
    [InlineData("containerd", "containers/5.36.2 (github.com/containers/image)", "repository:someuser/custom-image:pull", false)]
    [InlineData("classic-docker", Classic, "repository:someuser/custom-image:pull", true)]
    [InlineData("classic-docker", Classic, "repository(plugin):someuser/custom-image:pull", false)]
    [InlineData("classic-docker", "buildkit/v0.26", "repository:someuser/custom-image:pull", false)]
    [InlineData("containers", "build/1 skopeo/1.22.0", "repository:someuser/custom-image:pull", true)]
    [InlineData("containers", "curl/8.14.1", "repository:someuser/custom-image:pull", false)]
    public async Task A_list_of_families_is_that_of_those_for_whom_something_stands_in(string family, string userAgent, string scope, bool standsIn)
    {
        await using var here = await StartAsync(settings: ("Mirror:Hold:0", family));
        here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var answer = await here.AskAsync("GET", $"/token?service=registry.docker.io&scope={scope}", null, userAgent);
        Assert.Equal(standsIn ? (200, "no-store") : (502, "no-store"), (answer.Status, answer.Header("Cache-Control")));
        Assert.Equal(standsIn, answer.Body.Contains("imageaccess-stands-in-for-a-token", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Observe, true)]
    [InlineData(Off, true)]
    [InlineData(Surroundings.Policy, false)]
    public async Task Off_and_observe_never_hold(string policy, bool hold)
    {
        await using var here = await StartAsync(policy, null, ("Mirror:Hold", hold ? "true" : "false"));
        here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var pulled = await here.AskAsync("HEAD", $"/v2/{Denied}/manifests/latest", await here.PullTokenAsync("bob", Denied), Classic);
        Assert.Equal((503, "tokens cannot be verified at the moment, try again"), (pulled.Status, pulled.Phrase));
        Assert.Equal(502, (await here.AskAsync("GET", $"/token?service=registry.docker.io&scope=repository:{Denied}:pull", null, Classic)).Status);

        await using var wrong = await StartAsync(policy, hub => hub.Time = new ShiftedTime(TimeSpan.FromMinutes(47)), ("Mirror:Hold", hold ? "true" : "false"));
        Assert.Equal(401, (await wrong.AskAsync("HEAD", $"/v2/{Denied}/manifests/latest", await TokenAsync(wrong, Denied, Classic), Classic)).Status);
    }

    [Theory]
    [InlineData(Surroundings.Policy, 500, Broken + Help + " (no such process)")]
    [InlineData("""{ "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta", "enabled": true, "mode": "observe" } ] }""", 500, Broken + " (no such process)")]
    [InlineData(Observe, 500, "the request failed in the proxy itself")]
    public async Task A_decision_that_fails_is_held(string policy, int status, string phrase)
    {
        await using var here = await StartAsync(policy);
        here.Services = services => services.AddSingleton<ICatalogSource, ThrowingSource>();
        await here.RestartAsync();
        await File.WriteAllTextAsync(here.PolicyFile, policy);
        var answer = await here.AskAsync("HEAD", "/v2/bitnami/redis/manifests/latest", await here.PullTokenAsync("bob", "bitnami/redis"), Classic);
        Assert.Equal((status, phrase), (answer.Status, answer.Phrase));
        Assert.Empty(here.Hub.Requests.Of(Face.Registry));
        Assert.Single(here.Log.At(LogLevel.Error), "A request failed in the proxy itself");
    }

    /// <summary>Under Docker Hub's own names the client has no other registry: the plain errors are right.</summary>
    [Fact]
    public async Task Under_Docker_Hubs_own_names_nothing_is_held_and_nothing_stands_in()
    {
        await using var room = await IngressRoom.StartAsync();
        var token = await room.World.PullTokenAsync("bob", Denied);
        room.World.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var pulled = await room.AskGatewayAsync("registry-1.docker.io", IngressRoom.Request("GET", "registry-1.docker.io", $"/v2/{Denied}/manifests/latest", token, Classic));
        Assert.Equal((503, "tokens cannot be verified at the moment, try again"), (pulled.Status, pulled.Phrase));
        var asked = await room.AskGatewayAsync("auth.docker.io", IngressRoom.Request("GET", "auth.docker.io", $"/token?service=registry.docker.io&scope=repository:{Denied}:pull", userAgent: Classic));
        Assert.Equal(502, asked.Status);
    }

    /// <summary>The attack: what stands in for a token is used in every place where a token counts, by every way in, while Docker Hub is well.</summary>
    [Theory]
    [InlineData("HEAD", "/v2/library/nginx/manifests/latest")]
    [InlineData("GET", "/v2/library/nginx/manifests/DIGEST")]
    [InlineData("GET", "/v2/library/nginx/blobs/DIGEST")]
    [InlineData("GET", "/v2/acme/secret/tags/list")]
    [InlineData("GET", "/v2/acme/app/referrers/DIGEST")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/")]
    [InlineData("DELETE", "/v2/acme/app/manifests/latest")]
    [InlineData("GET", "/v2/")]
    public async Task What_stands_in_for_a_token_opens_nothing_and_never_goes_upstream(string method, string target)
    {
        await using var room = await IngressRoom.StartAsync();
        var here = room.World;
        string token;
        using (here.Hub.Faults.Add(Face.Auth, Fault.CloseConnection()))
            token = await TokenAsync(here, "library/nginx", Classic, expected: 60);
        Assert.Equal(200, (await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await TokenAsync(here, "library/nginx", Classic), Classic)).Status);
        here.Hub.Requests.Clear();

        target = target.Replace("DIGEST", "sha256:" + new string('b', 64), StringComparison.Ordinal);
        foreach (var userAgent in new[] { Classic, Store, null })
        {
            var mirror = await here.AskAsync(method, target, token, userAgent);
            Assert.True(mirror.Status >= 300 || mirror.Header("Docker-Content-Digest") == "sha256:" + new string('0', 64), mirror.ToString());
            var gateway = await room.AskGatewayAsync("registry-1.docker.io", IngressRoom.Request(method, "registry-1.docker.io", target, token, userAgent));
            Assert.Equal(401, gateway.Status);
        }

        Assert.DoesNotContain(here.Hub.Requests.All, request => request.Face is Face.Registry or Face.Cdn);
        var search = await room.AskGatewayAsync("index.docker.io", IngressRoom.Request("GET", "index.docker.io", "/v1/search?q=nginx", token));
        Assert.Equal(400, search.Status);
        Assert.All(here.Hub.Requests.All, request => Assert.DoesNotContain(token, $"{request.RawTarget} {string.Join(' ', request.Headers)} {request.Body}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_mirror_is_tried_after_a_fault_that_comes_after_an_allow()
    {
        _here.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        var answer = await _here.AskAsync("HEAD", "/v2/library/nginx/manifests/latest", await _here.PullTokenAsync("bob", "library/nginx"), Classic);
        Assert.Equal(502, answer.Status);
        Assert.StartsWith("Docker Hub could not be reached", answer.Phrase, StringComparison.Ordinal);
    }

    /// <summary>Each family gets the answer after which it gives up.</summary>
    private static async Task AssertHeldAsync(Surroundings here, string repository, string token, string cause)
    {
        var message = cause + Help;
        var (tag, digest) = ($"/v2/{repository}/manifests/latest", $"/v2/{repository}/manifests/sha256:{new string('a', 64)}");
        foreach (var target in new[] { tag, digest, $"/v2/{repository}/tags/list" })
        {
            var classic = await here.AskAsync("GET", target, token, Classic);
            Assert.Equal((500, message + " (no such process)"), (classic.Status, classic.Phrase));
        }

        foreach (var userAgent in new[] { Store, "containerd/1.7.29", "buildkit/v0.26" })
        {
            var resolved = await here.AskAsync("HEAD", tag + "?ns=docker.io", token, userAgent);
            Assert.Equal((200, message, "sha256:" + new string('0', 64)), (resolved.Status, resolved.Phrase, resolved.Header("Docker-Content-Digest")));
            Assert.Equal((300, message), await StatusAsync("HEAD", digest + "?ns=docker.io", userAgent));
            Assert.Equal((403, message), await StatusAsync("GET", tag + "?ns=docker.io", userAgent));
        }

        var podman = await here.AskAsync("GET", tag, token, "containers/5.36.2 (github.com/containers/image)");
        Assert.Equal((200, "application/vnd.oci.image.index.v1+json"), (podman.Status, podman.Header("Content-Type")));
        Assert.Contains(message, podman.Body.Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal((503, message), await StatusAsync("GET", tag, "oras/1.3.0"));

        async Task<(int, string)> StatusAsync(string method, string target, string userAgent)
        {
            var answer = await here.AskAsync(method, target, token, userAgent);
            return (answer.Status, answer.Phrase);
        }
    }

    private static async Task<string> TokenAsync(Surroundings here, string repository, string userAgent, int? expected = null)
    {
        var answer = await here.AskAsync("GET", $"/token?service=registry.docker.io&scope=repository:{repository}:pull", null, userAgent);
        Assert.Equal(200, answer.Status);
        var json = Json(answer);
        if (expected is { } seconds)
            Assert.Equal((seconds, json["token"]!.GetValue<string>(), null), (json["expires_in"]!.GetValue<int>(), json["access_token"]!.GetValue<string>(), json["issued_at"]));
        return json["token"]!.GetValue<string>();
    }

    private static string Token(Surroundings here, Action<TokenDraft> shape) => here.Hub.Signer.IssueToken(draft =>
    {
        draft.Access = [new TokenAccess("library/nginx", "pull"), new TokenAccess(Denied, "pull")];
        shape(draft);
    });

    private static JsonNode Json(RawAnswer answer) => JsonNode.Parse(answer.Body)!;

    private Task<RawAnswer> PostTokenAsync(string form) => _here.SendRawAsync(
        $"POST /token HTTP/1.1\r\nHost: {_here.Mirror.Authority}\r\nConnection: close\r\nUser-Agent: {Store}\r\n"
        + $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {Encoding.ASCII.GetByteCount(form)}\r\n\r\n{form}");

    private sealed class ShiftedTime(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }

    private sealed class ThrowingSource : ICatalogSource
    {
        public NamespaceRecord? Find(string @namespace) => throw new InvalidDataException("a table is broken");

        public Task<CatalogAnswer?> AskAsync(string @namespace, ClientShare caller, CancellationToken cancellationToken) => throw new InvalidDataException();
    }
}

public sealed class OwnFaultTests_direct() : OwnFaultTests(Direct);

public sealed class OwnFaultTests_kestrel() : OwnFaultTests(Kestrel);
