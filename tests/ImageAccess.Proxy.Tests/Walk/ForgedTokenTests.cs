using System.Buffers.Text;
using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Tokens that the token service did not give, or not for this: the proxy answers 401 itself, and the registry sees none of them.</summary>
public abstract class ForgedTokenTests(SharedSurroundings shared)
{
    private const string Repository = "library/nginx";
    private const string Target = $"/v2/{Repository}/manifests/latest";

    private static readonly TokenSigner Stranger = new();

    private static readonly Dictionary<string, Func<TokenSigner, string>> Forgeries = new(StringComparer.Ordinal)
    {
        ["alg none"] = hub => Sign(hub, draft => draft.Algorithm = "none"),
        ["alg None"] = hub => Sign(hub, draft => (draft.Algorithm, draft.Header["alg"]) = ("none", "None")),
        ["alg none and no signature part"] = hub => Sign(hub, draft => draft.Algorithm = "none").TrimEnd('.'),
        ["no alg"] = hub => Sign(hub, draft => draft.Header["alg"] = null),
        ["HS256 with the public key"] = hub => Sign(hub, draft => draft.Algorithm = "HS256"),
        ["RS256 said, HS256 done"] = hub => Sign(hub, draft => (draft.Algorithm, draft.Header["alg"]) = ("HS256", "RS256")),
        ["RS512 said"] = hub => Sign(hub, draft => draft.Header["alg"] = "RS512"),
        ["PS256 said"] = hub => Sign(hub, draft => draft.Header["alg"] = "PS256"),
        ["self-signed x5c"] = _ => Sign(Stranger, _ => { }),
        ["a stranger's signature under the hub's x5c"] = hub => Sign(Stranger, draft => draft.X5c = [hub.X5c]),
        ["both certificates, the stranger's first"] = hub => Sign(Stranger, draft => draft.X5c = [Stranger.X5c, hub.X5c]),
        ["both certificates, the hub's first"] = hub => Sign(Stranger, draft => draft.X5c = [hub.X5c, Stranger.X5c]),
        ["embedded jwk"] = _ => Sign(Stranger, draft => (draft.X5c, draft.Header["jwk"]) = ([], JwkOf(Stranger))),
        ["jku of a stranger"] = _ => Sign(Stranger, draft => (draft.X5c, draft.Header["jku"]) = ([], "http://127.0.0.1:9/jwks.json")),
        ["x5u of a stranger"] = _ => Sign(Stranger, draft => (draft.X5c, draft.Header["x5u"]) = ([], "http://127.0.0.1:9/x5u.pem")),
        ["kid of a stranger"] = _ => Sign(Stranger, draft => (draft.X5c, draft.Header["kid"]) = ([], "../../dev/null")),
        ["other key, no x5c"] = _ => Sign(Stranger, draft => draft.X5c = []),
        ["wrong iss"] = hub => Sign(hub, draft => draft.Issuer = "auth.docker.io.example.com"),
        ["no iss"] = hub => Sign(hub, draft => draft.Claims["iss"] = null),
        ["wrong aud"] = hub => Sign(hub, draft => draft.Audience = "registry.example.com"),
        ["empty aud"] = hub => Sign(hub, draft => draft.Audience = ""),
        ["no aud"] = hub => Sign(hub, draft => draft.Claims["aud"] = null),
        ["expired beyond the skew"] = hub => Sign(hub, draft => draft.Expires = draft.IssuedAt.AddSeconds(-61)),
        ["no exp"] = hub => Sign(hub, draft => draft.Claims["exp"] = null),
        ["exp as text"] = hub => Sign(hub, draft => draft.Claims["exp"] = "99999999999"),
        ["not yet valid"] = hub => Sign(hub, draft => draft.NotBefore = draft.IssuedAt.AddSeconds(70)),
        ["a critical extension"] = hub => Sign(hub, draft => (draft.Header["crit"], draft.Header["exp"]) = (new JsonArray("exp"), 1)),
        ["malformed"] = _ => "not.a.token",
        ["one part"] = _ => "token",
        ["four parts"] = hub => Sign(hub, _ => { }) + ".more",
        ["an encrypted token"] = _ => "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA",
        ["a changed payload"] = hub => Rewrite(hub, payload => payload.Replace("\"pull\"", "\"push\"", StringComparison.Ordinal)),
        ["a changed user"] = hub => Rewrite(hub, payload => payload.Replace("\"sub\":\"\"", "\"sub\":\"x\"", StringComparison.Ordinal)),
        ["a member that comes twice"] = hub => Rewrite(hub, payload => payload.Replace("{\"access\"", "{\"iss\":\"auth.docker.io\",\"access\"", StringComparison.Ordinal)),
        ["a signature of another token"] = hub => Sign(hub, _ => { })[..^20] + Sign(hub, draft => draft.Subject = "x")[^20..],
        ["no signature"] = hub => Sign(hub, _ => { }).Split('.') is [var header, var payload, _] ? $"{header}.{payload}." : "",
        ["padding behind the signature"] = hub => Sign(hub, _ => { }) + "==",
        ["a payload that is a list"] = hub => Sign(hub, _ => { }).Split('.') is [var header, _, var signature] ? $"{header}.W10.{signature}" : "",
    };

    private readonly Surroundings _surroundings = shared.Here;

    public static TheoryData<string> Named => [.. Forgeries.Keys];

    [Theory]
    [MemberData(nameof(Named))]
    public async Task A_forged_token_gets_nothing(string name)
    {
        await LearnKeyAsync();
        var token = Forgeries[name](_surroundings.Hub.Signer);

        foreach (var (method, target, action) in new[] { ("GET", Target, "pull"), ("GET", $"/v2/{Repository}/tags/list", "pull"), ("DELETE", Target, "delete") })
        {
            var answer = await _surroundings.AskAsync(method, target, token);
            Assert.Equal((401, "UNAUTHORIZED"), (answer.Status, answer.Code));
            Assert.Equal(
                $"Bearer realm=\"{_surroundings.Mirror.GetLeftPart(UriPartial.Authority)}/token\",service=\"registry.docker.io\",scope=\"repository:{Repository}:{action}\",error=\"invalid_token\"",
                answer.Header("WWW-Authenticate"));
        }

        var ping = await _surroundings.AskAsync("GET", "/v2/", token);
        Assert.Equal(401, ping.Status);
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Cdn));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Hub));
        if (token.Length > 20)
            Assert.DoesNotContain(token, _surroundings.Log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_token_unforged_is_served()
    {
        var token = Sign(_surroundings.Hub.Signer, _ => { });
        var late = Sign(_surroundings.Hub.Signer, draft => draft.Expires = draft.IssuedAt.AddSeconds(30));

        Assert.Equal(200, (await _surroundings.AskAsync("GET", Target, token)).Status);
        Assert.Equal(200, (await _surroundings.AskAsync("GET", Target, late)).Status);
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", token)).Status);
    }

    [Theory]
    [InlineData("GET", Target, "repository:acme/app:pull", "pull")]
    [InlineData("GET", Target, "repository:library/nginxx:pull", "pull")]
    [InlineData("GET", Target, "", "pull")]
    [InlineData("PUT", Target, "repository:library/nginx:pull", "pull,push")]
    [InlineData("DELETE", Target, "repository:library/nginx:pull,push", "delete")]
    [InlineData("POST", "/v2/library/nginx/blobs/uploads/", "repository:library/nginx:pull", "pull,push")]
    [InlineData("GET", "/v2/nginx/manifests/latest", "repository:nginx:pull", "pull")]
    public async Task A_token_of_another_repository_is_not_enough(string method, string target, string scope, string wanted)
    {
        await LearnKeyAsync();
        var token = _surroundings.Hub.Signer.IssueToken(draft => draft.Access = scope.Split(':') is [_, var name, var actions] ? [new TokenAccess(name, actions.Split(','))] : []);
        var answer = await _surroundings.AskAsync(method, target, token);

        Assert.Equal((401, "UNAUTHORIZED"), (answer.Status, answer.Code));
        Assert.Equal(
            $"Bearer realm=\"{_surroundings.Mirror.GetLeftPart(UriPartial.Authority)}/token\",service=\"registry.docker.io\",scope=\"repository:{Repository}:{wanted}\",error=\"insufficient_scope\"",
            answer.Header("WWW-Authenticate"));
        var entries = string.Join(",", wanted.Split(',').Select(action => $$"""{"Type":"repository","Class":"","Name":"{{Repository}}","Action":"{{action}}"}"""));
        Assert.Equal($$"""{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{{entries}}]}]}""", answer.Body);
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Fact]
    public async Task Without_a_token_the_challenge_names_the_proxy_and_the_full_name()
    {
        var answer = await _surroundings.AskAsync("GET", "/v2/nginx/manifests/latest");
        var ping = await _surroundings.AskAsync("GET", "/v2/");

        var realm = $"Bearer realm=\"http://{_surroundings.Mirror.Authority}/token\",service=\"registry.docker.io\"";
        Assert.Equal($"{realm},scope=\"repository:library/nginx:pull\"", answer.Header("WWW-Authenticate"));
        Assert.Equal(realm, ping.Header("WWW-Authenticate"));
        Assert.Equal((401, "registry/2.0"), (ping.Status, ping.Header("Docker-Distribution-Api-Version")));
    }

    private static string Sign(TokenSigner signer, Action<TokenDraft> change) => signer.IssueToken(draft =>
    {
        draft.Access = [new TokenAccess(Repository, "pull", "push", "delete")];
        change(draft);
    });

    private static string Rewrite(TokenSigner hub, Func<string, string> change)
    {
        var parts = Sign(hub, _ => { }).Split('.');
        var payload = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1]));
        var changed = change(payload);
        Assert.NotEqual(payload, changed);
        return $"{parts[0]}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(changed))}.{parts[2]}";
    }

    private static JsonObject JwkOf(TokenSigner signer)
    {
        using var key = signer.Certificate.PublicKey.GetRSAPublicKey()!;
        var shown = key.ExportParameters(includePrivateParameters: false);
        return new JsonObject { ["kty"] = "RSA", ["n"] = Base64Url.EncodeToString(shown.Modulus), ["e"] = Base64Url.EncodeToString(shown.Exponent) };
    }

    private async Task LearnKeyAsync()
    {
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", await _surroundings.TokenAsync(null))).Status);
        _surroundings.Hub.Requests.Clear();
    }
}

public sealed class ForgedTokenTests_direct(SharedSurroundings shared) : ForgedTokenTests(shared), IClassFixture<SharedSurroundings>;

public sealed class ForgedTokenTests_kestrel(KestrelSurroundings shared) : ForgedTokenTests(shared), IClassFixture<KestrelSurroundings>;
