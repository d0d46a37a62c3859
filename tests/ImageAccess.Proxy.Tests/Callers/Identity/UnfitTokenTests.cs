using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class UnfitTokenTests
{
    private static readonly DateTimeOffset Now = IdentityRoom.Start;
    private static readonly long Seconds = Now.ToUnixTimeSeconds();

    private static readonly Dictionary<string, (TokenFlaw Flaw, Func<string> Make)> Unfit = new(StringComparer.Ordinal)
    {
        ["alg none, no signature"] = (TokenFlaw.Malformed, () => Signed(Head("none"), Body(), _ => [])),
        ["alg none, a signature"] = (TokenFlaw.Algorithm, () => Docker.Token(Now, header: h => h["alg"] = "none")),
        ["alg missing"] = (TokenFlaw.Malformed, () => Docker.Token(Now, header: h => h.Remove("alg"))),
        ["alg null"] = (TokenFlaw.Malformed, () => Docker.Token(Now, header: h => h["alg"] = null)),
        ["alg a list"] = (TokenFlaw.Malformed, () => Docker.Token(Now, header: h => h["alg"] = new JsonArray("RS256"))),
        ["alg in lower case"] = (TokenFlaw.Algorithm, () => Docker.Token(Now, header: h => h["alg"] = "rs256")),
        ["alg with a space"] = (TokenFlaw.Algorithm, () => Docker.Token(Now, header: h => h["alg"] = "RS256 ")),
        ["HS256 with the public key as PEM"] = (TokenFlaw.Algorithm, () => Hs256(Encoding.ASCII.GetBytes(Docker.PublicKeyPem))),
        ["HS256 with the certificate as DER"] = (TokenFlaw.Algorithm, () => Hs256(Convert.FromBase64String(Docker.Leaf))),
        ["RS256 named, but an HMAC"] = (TokenFlaw.Signature, () => Signed(Head("RS256"), Body(), i => HMACSHA256.HashData(Encoding.ASCII.GetBytes(Docker.PublicKeyPem), i))),
        ["RS384 of the right key"] = (TokenFlaw.Algorithm, () => Docker.SignRsa(Head("RS384"), Body(), HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1)),
        ["RS512 of the right key"] = (TokenFlaw.Algorithm, () => Docker.SignRsa(Head("RS512"), Body(), HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1)),
        ["PS256 of the right key"] = (TokenFlaw.Algorithm, () => Docker.SignRsa(Head("PS256"), Body(), HashAlgorithmName.SHA256, RSASignaturePadding.Pss)),
        ["RS256 named, but PSS"] = (TokenFlaw.Signature, () => Docker.SignRsa(Head("RS256"), Body(), HashAlgorithmName.SHA256, RSASignaturePadding.Pss)),
        ["RS256 named, but SHA-384"] = (TokenFlaw.Signature, () => Docker.SignRsa(Head("RS256"), Body(), HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1)),
        ["ES256 named over the RSA key's signature"] = (TokenFlaw.Signature, () => Docker.Token(Now, header: h => h["alg"] = "ES256")),
        ["ES256 of another key"] = (TokenFlaw.Signature, () => TokenForge.Elliptic.Token(Now)),
        ["self-signed x5c with the right subject"] = (TokenFlaw.Signature, () => Stranger.Token(Now)),
        ["the right x5c, another's signature"] = (TokenFlaw.Signature, () => Stranger.Token(Now, header: h => h["x5c"] = new JsonArray(Docker.Leaf))),
        ["another's x5c before the right one"] = (TokenFlaw.Signature, () => Stranger.Token(Now, header: h => h["x5c"] = new JsonArray(Stranger.Leaf, Docker.Leaf))),
        ["embedded jwk"] = (TokenFlaw.Signature, () => Stranger.Token(Now, header: h => { h.Remove("x5c"); h["jwk"] = Stranger.Jwk(); })),
        ["kid and nothing else"] = (TokenFlaw.Signature, () => Stranger.Token(Now, header: h => { h.Remove("x5c"); h["kid"] = "docker"; })),
        ["other key, no x5c"] = (TokenFlaw.Signature, () => Stranger.Token(Now, header: h => h.Remove("x5c"))),
        ["signature of another token"] = (TokenFlaw.Signature, () => Swap(Docker.Token(Now), 2, Docker.Token(Now))),
        ["payload of another token"] = (TokenFlaw.Signature, () => Swap(Docker.Token(Now), 1, Docker.Token(Now))),
        ["header of another token"] = (TokenFlaw.Signature, () => Swap(Docker.Token(Now), 0, Docker.Token(Now, header: h => h["n"] = 1))),
        ["one byte of the signature less"] = (TokenFlaw.Signature, () => Signed(Head("RS256"), Body(), _ => new byte[255])),
        ["signature of one byte"] = (TokenFlaw.Signature, () => Signed(Head("RS256"), Body(), _ => [1])),

        ["wrong iss"] = Claims(TokenFlaw.Issuer, c => c["iss"] = "auth.docker.example"),
        ["iss with a slash"] = Claims(TokenFlaw.Issuer, c => c["iss"] = "auth.docker.io/"),
        ["iss as an address"] = Claims(TokenFlaw.Issuer, c => c["iss"] = "https://auth.docker.io"),
        ["iss in upper case"] = Claims(TokenFlaw.Issuer, c => c["iss"] = "AUTH.DOCKER.IO"),
        ["iss missing"] = Claims(TokenFlaw.Issuer, c => c.Remove("iss")),
        ["iss a list"] = Claims(TokenFlaw.Malformed, c => c["iss"] = new JsonArray("auth.docker.io")),
        ["wrong aud"] = Claims(TokenFlaw.Audience, c => c["aud"] = "notary.docker.io"),
        ["aud with a slash"] = Claims(TokenFlaw.Audience, c => c["aud"] = "registry.docker.io/"),
        ["aud empty"] = Claims(TokenFlaw.Audience, c => c["aud"] = ""),
        ["aud missing"] = Claims(TokenFlaw.Audience, c => c.Remove("aud")),
        ["aud null"] = Claims(TokenFlaw.Malformed, c => c["aud"] = null),
        ["aud an empty list"] = Claims(TokenFlaw.Audience, c => c["aud"] = new JsonArray()),
        ["aud a list of others"] = Claims(TokenFlaw.Audience, c => c["aud"] = new JsonArray("a", "b")),
        ["aud a list with a number"] = Claims(TokenFlaw.Malformed, c => c["aud"] = new JsonArray("registry.docker.io", 1)),

        ["expired"] = Claims(TokenFlaw.Expired, c => c["exp"] = Seconds - 3600),
        ["expired by the skew exactly"] = Claims(TokenFlaw.Expired, c => c["exp"] = Seconds - 60),
        ["exp zero"] = Claims(TokenFlaw.Expired, c => c["exp"] = 0),
        ["exp before all time"] = Claims(TokenFlaw.Expired, c => c["exp"] = long.MinValue),
        ["exp missing"] = Claims(TokenFlaw.Malformed, c => c.Remove("exp")),
        ["exp null"] = Claims(TokenFlaw.Malformed, c => c["exp"] = null),
        ["exp as string"] = Claims(TokenFlaw.Malformed, c => c["exp"] = (Seconds + 300).ToString(CultureInfo.InvariantCulture)),
        ["exp with a fraction"] = Claims(TokenFlaw.Malformed, c => c["exp"] = Seconds + 300.5),
        ["exp too large for a number"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), Body().Replace($"\"exp\":{Seconds + 300}", "\"exp\":1e400", StringComparison.Ordinal))),
        ["not yet valid"] = Claims(TokenFlaw.NotYetValid, c => c["nbf"] = Seconds + 3600),
        ["not yet valid by a second"] = Claims(TokenFlaw.NotYetValid, c => c["nbf"] = Seconds + 61),
        ["nbf after all time"] = Claims(TokenFlaw.NotYetValid, c => c["nbf"] = long.MaxValue),
        ["nbf as string"] = Claims(TokenFlaw.Malformed, c => c["nbf"] = "0"),

        ["oversized"] = Claims(TokenFlaw.TooLong, c => c["pad"] = new string('x', 64 * 1024)),
        ["empty"] = (TokenFlaw.Malformed, () => ""),
        ["one word"] = (TokenFlaw.Malformed, () => "token"),
        ["two dots"] = (TokenFlaw.Malformed, () => ".."),
        ["not base64url"] = (TokenFlaw.Malformed, () => "a+b.c/d.e=f"),
        ["an impossible length"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + "AAA"),
        ["two parts"] = (TokenFlaw.Malformed, () => Docker.Token(Now)[..Docker.Token(Now).LastIndexOf('.')]),
        ["four parts"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + ".AAAA"),
        ["five parts"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + ".AAAA.AAAA"),
        ["empty header"] = (TokenFlaw.Malformed, () => Swap(Docker.Token(Now), 0, "..")),
        ["empty payload"] = (TokenFlaw.Malformed, () => Swap(Docker.Token(Now), 1, "..")),
        ["padding"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + "=="),
        ["a space after it"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + " "),
        ["a space before it"] = (TokenFlaw.Malformed, () => " " + Docker.Token(Now)),
        ["a line end in it"] = (TokenFlaw.Malformed, () => Docker.Token(Now).Insert(10, "\r\n")),
        ["two tokens"] = (TokenFlaw.Malformed, () => $"{Docker.Token(Now)}, Bearer {Docker.Token(Now)}"),
        ["a letter beyond ASCII"] = (TokenFlaw.Malformed, () => Docker.Token(Now) + "é"),
        ["two signatures, JSON serialization"] = (TokenFlaw.Malformed, TwoSignatures),
        ["nested"] = Header(TokenFlaw.Malformed, h => h["cty"] = "JWT"),
        ["encrypted, it says"] = Header(TokenFlaw.Malformed, h => h["enc"] = "A256GCM"),
        ["compressed, it says"] = Header(TokenFlaw.Malformed, h => h["zip"] = "DEF"),
        ["crit"] = Header(TokenFlaw.Malformed, h => h["crit"] = new JsonArray("exp")),
        ["b64 false"] = Header(TokenFlaw.Malformed, h => h["b64"] = false),
        ["typ of another kind"] = Header(TokenFlaw.Malformed, h => h["typ"] = "at+jwt"),
        ["header not an object"] = (TokenFlaw.Malformed, () => Docker.Sign("[]", Body())),
        ["header not JSON"] = (TokenFlaw.Malformed, () => Docker.Sign("{alg:RS256}", Body())),
        ["payload not an object"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), "[1]")),
        ["payload not JSON"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), "<html>")),
        ["payload cut short"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), Body()[..^1])),
        ["payload and more"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), Body() + "{}")),
        ["payload with a comment"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), "/* */" + Body())),
        ["payload with a byte order mark"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), "\uFEFF" + Body())),
        ["payload not UTF-8"] = (TokenFlaw.Malformed, () => Docker.Sign(Encoding.UTF8.GetBytes(Head("RS256")), Encoding.Latin1.GetBytes(WithFirst("\"x\":\"é\"")))),
        ["half a surrogate pair"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), Body().Replace("0ab70deb", "\\ud800", StringComparison.Ordinal))),
        ["payload too deep"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), WithFirst($"\"x\":{new string('[', 500)}{new string(']', 500)}"))),
        ["alg twice"] = (TokenFlaw.Malformed, () => Docker.Sign("{\"alg\":\"none\",\"alg\":\"RS256\"}", Body())),
        ["alg twice, one escaped"] = (TokenFlaw.Malformed, () => Docker.Sign("{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", Body())),
        ["sub twice"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), WithFirst("\"sub\":\"owner\""))),
        ["username twice"] = (TokenFlaw.Malformed, () => Docker.Sign(Head("RS256"), Body().Replace("\"username\"", "\"username\":\"owner\",\"username\"", StringComparison.Ordinal))),
        ["sub a number"] = Claims(TokenFlaw.Malformed, c => c["sub"] = 1),
        ["access a word"] = Claims(TokenFlaw.Malformed, c => c["access"] = "*"),
        ["access of words"] = Claims(TokenFlaw.Malformed, c => c["access"] = new JsonArray("*")),
        ["actions a word"] = Claims(TokenFlaw.Malformed, c => c["access"]![0]!["actions"] = "pull"),
        ["actions of numbers"] = Claims(TokenFlaw.Malformed, c => c["access"]![0]!["actions"] = new JsonArray(1)),
    };

    private static TokenForge Docker => TokenForge.Docker;

    private static TokenForge Stranger => TokenForge.Stranger;

    public static TheoryData<string> Names => [.. Unfit.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task An_unfit_token_is_refused(string name)
    {
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();

        var (flaw, make) = Unfit[name];
        var answer = await room.IdentifyAsync(make());

        Assert.Equal(flaw, Assert.IsType<Identification.Invalid>(answer).Flaw);
        Assert.Equal(1, room.Server.Requests);
    }

    [Fact]
    public async Task The_pieces_that_unfit_tokens_are_made_of_make_a_good_one()
    {
        await using var room = await IdentityRoom.OpenAsync();

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(Docker.Sign(Head("RS256"), Body())));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(Docker.Sign(Head("RS256"), WithFirst("\"x\":\"y\""))));
        Assert.IsType<Identification.Verified>(
            await room.IdentifyAsync(Docker.SignRsa(Head("RS256"), Body(), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)));
        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(Swap(Docker.Token(Now), 0, Docker.Token(Now))));
    }

    [Fact]
    public async Task A_token_of_another_repository_grants_nothing_on_this_one()
    {
        await using var room = await IdentityRoom.OpenAsync();
        var answer = await room.IdentifyAsync(Docker.Token(Now, c => c["access"] = new JsonArray(TokenForge.Access("acme/app", "pull"))));

        var token = Assert.IsType<Identification.Verified>(answer).Token;
        Assert.True(token.Grants(Repository("acme/app"), RegistryAction.Pull));
        Assert.False(token.Grants(Repository("acme/application"), RegistryAction.Pull));
        Assert.False(token.Grants(Repository("library/app"), RegistryAction.Pull));
    }

    [Theory]
    [InlineData("exp", -59)]
    [InlineData("nbf", 60)]
    [InlineData("exp", 3_000_000_000)]
    [InlineData("exp", long.MaxValue - 1_800_000_000)]
    public async Task Within_the_skew_a_token_is_good(string claim, long offset)
    {
        await using var room = await IdentityRoom.OpenAsync();

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(Docker.Token(Now, c => c[claim] = Seconds + offset)));
    }

    [Fact]
    public async Task A_token_needs_no_nbf_and_may_name_several_audiences()
    {
        await using var room = await IdentityRoom.OpenAsync();

        Assert.IsType<Identification.Verified>(await room.IdentifyAsync(Docker.Token(Now, c => c.Remove("nbf"))));
        Assert.IsType<Identification.Verified>(
            await room.IdentifyAsync(Docker.Token(Now, c => c["aud"] = new JsonArray("other", "registry.docker.io"))));
    }

    [Fact]
    public async Task Nobody_is_asked_where_a_token_points()
    {
        await using var trap = await TokenServer.StartAsync();
        await using var room = await IdentityRoom.OpenAsync();
        await room.LearnAsync();
        trap.Answer = http => http.Response.WriteAsync(Stranger.CertificatePem);
        var address = trap.Address.ToString();

        foreach (var parameter in new[] { "kid", "jku", "x5u" })
        {
            room.Time.Advance(TimeSpan.FromMinutes(2)); // a refresh is allowed, and leads to the token service alone
            var answer = await room.IdentifyAsync(Stranger.Token(room.Now, header: h => h[parameter] = address));
            Assert.Equal(TokenFlaw.Signature, Assert.IsType<Identification.Invalid>(answer).Flaw);
        }

        Assert.Equal(0, trap.Requests);
        Assert.Equal(4, room.Server.Requests);
        using var client = new HttpClient();
        await client.GetAsync(trap.Address);
        Assert.Equal(1, trap.Requests);
    }

    private static RepositoryName Repository(string text)
    {
        Assert.True(RepositoryName.TryParse(text, out var name));
        return name;
    }

    private static (TokenFlaw Flaw, Func<string> Make) Claims(TokenFlaw flaw, Action<JsonObject> change) => (flaw, () => Docker.Token(Now, change));

    private static (TokenFlaw Flaw, Func<string> Make) Header(TokenFlaw flaw, Action<JsonObject> change) =>
        (flaw, () => Docker.Token(Now, header: change));

    private static string Head(string algorithm) => $"{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}";

    private static string Body() => TokenForge.Payload(Now).ToJsonString();

    private static string WithFirst(string member) => $"{{{member},{Body()[1..]}";

    private static string Signed(string header, string payload, Func<byte[], byte[]> signature) =>
        TokenForge.Sign(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(payload), signature);

    private static string Hs256(byte[] secret) => Signed(Head("HS256"), Body(), input => HMACSHA256.HashData(secret, input));

    private static string Swap(string token, int part, string other)
    {
        var parts = token.Split('.');
        parts[part] = other.Split('.')[part];
        return string.Join('.', parts);
    }

    private static string TwoSignatures()
    {
        var good = Docker.Token(Now).Split('.');
        var bad = Stranger.Token(Now).Split('.');
        return $"{{\"payload\":\"{good[1]}\",\"signatures\":[{{\"protected\":\"{bad[0]}\",\"signature\":\"{bad[2]}\"}},"
            + $"{{\"protected\":\"{good[0]}\",\"signature\":\"{good[2]}\"}}]}}";
    }
}
