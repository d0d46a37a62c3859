using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class TokenServiceTests : IAsyncLifetime
{
    private const string Pull = "service=registry.docker.io&scope=repository:library/nginx:pull";
    private FakeHub _hub = null!;
    private HubClient _client = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync();
        _client = HubClient.Of(_hub);
        _hub.Images.PushImage("library/nginx", "latest");
        _hub.Users.Add("alice", "wonderland", "dckr_pat_alice");
        _hub.Users.AddOrganization("acme", "", "dckr_oat_acme");
        _hub.Namespaces.Find("acme")!.AddMember("alice", "Editor");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task An_anonymous_token_has_an_empty_subject_and_no_account()
    {
        using var response = await _client.TokenAsync(Pull);
        var answer = await HubClient.JsonOf(response);
        var token = (string)answer["token"]!;
        var payload = HubClient.PayloadOf(token);

        Assert.Equal(token, (string)answer["access_token"]!);
        Assert.Equal(300, (int)answer["expires_in"]!);
        Assert.Null(answer["refresh_token"]);
        Assert.Equal("", (string)payload["sub"]!);
        Assert.Null(payload["https://auth.docker.io"]);
        Assert.Equal("registry.docker.io", (string)payload["aud"]!);
        Assert.Equal((long)payload["iat"]! + 300, (long)payload["exp"]!);
        Assert.Equal((long)payload["iat"]! - 300, (long)payload["nbf"]!);
        Assert.Equal("pull", (string)payload["access"]![0]!["actions"]![0]!);
        Assert.Equal("100", (string)payload["access"]![0]!["parameters"]!["pull_limit"]!);
    }

    [Fact]
    public async Task The_header_carries_the_certificate_of_the_key_that_signed()
    {
        using var response = await _client.TokenAsync(Pull, "alice:wonderland");
        var token = (string)(await HubClient.JsonOf(response))["token"]!;
        var header = HubClient.HeaderOf(token);

        Assert.Equal("alg typ x5c", string.Join(' ', header.AsObject().Select(member => member.Key)));
        using var certificate = X509CertificateLoader.LoadCertificate(Convert.FromBase64String((string)header["x5c"]![0]!));
        Assert.Contains("Eng JWT CA", certificate.Subject, StringComparison.Ordinal);
        Assert.True(certificate.GetRSAPublicKey()!.VerifyData(
            Encoding.ASCII.GetBytes(token[..token.LastIndexOf('.')]),
            Base64Url.DecodeFromChars(token.Split('.')[2]),
            HashAlgorithmName.SHA256,
            RSASignaturePadding.Pkcs1));
        Assert.Equal("alice", (string)HubClient.PayloadOf(token)["https://auth.docker.io"]!["username"]!);
    }

    [Theory]
    [InlineData("alice:dckr_pat_alice", HttpStatusCode.OK)]
    [InlineData("acme:dckr_oat_acme", HttpStatusCode.OK)]
    [InlineData("alice:wrong", HttpStatusCode.Unauthorized)]
    [InlineData("nobody:wonderland", HttpStatusCode.Unauthorized)]
    public async Task Basic_credentials_are_checked(string credentials, HttpStatusCode status)
    {
        using var response = await _client.TokenAsync(Pull, credentials);

        Assert.Equal(status, response.StatusCode);
        if (status is HttpStatusCode.Unauthorized)
            Assert.Equal("{\"details\":\"incorrect username or password\"}", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_form_gives_an_offline_token_which_gives_tokens_again()
    {
        using var signedIn = await _client.TokenFormAsync(
            ("grant_type", "password"), ("service", "registry.docker.io"), ("client_id", "containerd-client"), ("access_type", "offline"),
            ("username", "alice"), ("password", "wonderland"), ("scope", "repository:library/nginx:pull repository:acme/app:pull,push"));
        var refresh = (string)(await HubClient.JsonOf(signedIn))["refresh_token"]!;
        using var again = await _client.TokenFormAsync(
            ("grant_type", "refresh_token"), ("refresh_token", refresh), ("service", "registry.docker.io"),
            ("scope", "repository:acme/app:pull,push"));
        var payload = HubClient.PayloadOf((string)(await HubClient.JsonOf(again))["token"]!);

        Assert.Equal("acme/app", (string)payload["access"]![0]!["name"]!);
        Assert.Equal("""["pull","push"]""", payload["access"]![0]!["actions"]!.ToJsonString());
        Assert.Contains("username=alice", _hub.Requests.Of(Face.Auth)[0].Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "repository:library/nginx:pull,push", "pull")]
    [InlineData(null, "repository:acme/secret:pull", "")]
    [InlineData(null, "repository:nginx:pull", "")]
    [InlineData(null, "repository:acme/missing:pull", "")]
    [InlineData("alice", "repository:acme/secret:pull", "pull")]
    [InlineData("alice", "repository:acme/new:pull,push", "pull,push")]
    [InlineData("alice", "repository:library/nginx:pull,push", "pull")]
    [InlineData("acme", "repository:acme/secret:pull", "pull")]
    [InlineData("mallory", "repository:acme/secret:pull,push", "")]
    public async Task A_token_has_the_rights_of_its_account(string? account, string scope, string granted)
    {
        _hub.Users.Add("mallory", "m");
        _hub.Images.PushImage("acme/secret", "1");
        _hub.Images.MakePrivate("acme/secret");

        var payload = HubClient.PayloadOf(await _hub.TokenForAsync(account, scope));

        Assert.Equal(granted, string.Join(',', payload["access"]![0]!["actions"]!.AsArray().Select(action => (string)action!)));
    }

    [Fact]
    public async Task Forged_tokens_are_refused_and_rotated_ones_are_not()
    {
        var stranger = new TokenSigner();
        TokenAccess[] access = [new("library/nginx", "pull")];
        string[] forged =
        [
            stranger.IssueToken(token => token.Access = access),
            stranger.IssueToken(token => (token.Access, token.X5c) = (access, [_hub.Signer.X5c])),
            _hub.Signer.IssueToken(token => (token.Access, token.Algorithm) = (access, "none")),
            _hub.Signer.IssueToken(token => (token.Access, token.Algorithm) = (access, "HS256")),
            _hub.Signer.IssueToken(token => (token.Access, token.Audience) = (access, "elsewhere")),
            _hub.Signer.IssueToken(token => (token.Access, token.Expires) = (access, DateTimeOffset.UnixEpoch)),
        ];
        foreach (var token in forged)
        {
            _client.Token = token;
            using var refused = await _client.GetAsync("/v2/library/nginx/manifests/latest");
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            Assert.Contains("error=\"invalid_token\"", refused.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        }

        _client.Token = _hub.Signer.IssueToken(token => token.Access = access);
        _hub.Signer.Rotate();
        using var accepted = await _client.GetAsync("/v2/library/nginx/manifests/latest");
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
    }
}
