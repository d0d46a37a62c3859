using System.Security.Cryptography;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

public sealed class IdentityOptionsTests
{
    [Theory]
    [InlineData("https://auth.docker.io")]
    [InlineData("https://auth.example/base/")]
    [InlineData("http://127.0.0.1:5001")]
    [InlineData("http://127.8.9.1:5001")]
    [InlineData("http://[::1]:5001")]
    [InlineData("http://localhost:5001")]
    [InlineData("http://LOCALHOST")]
    [InlineData("")]
    public void A_token_service_that_can_vouch_for_a_key(string address) => Assert.Empty(Problems(("Upstream:Auth", address)));

    [Theory]
    [InlineData("http://auth.docker.io")]
    [InlineData("http://10.0.0.1:5001")]
    [InlineData("http://localhost.example")]
    [InlineData("http://127.0.0.1.example")]
    [InlineData("http://[fe80::1]")]
    [InlineData("http://0.0.0.0")]
    public void Plain_http_elsewhere_needs_trusted_keys(string address)
    {
        Assert.Equal(
            [
                $"Identity:TrustedKeys: Upstream:Auth is {address}, and over plain http a key is learnt from this host alone; "
                + "name a PEM file of the token service's certificates here, or make Upstream:Auth https",
            ],
            Problems(("Upstream:Auth", address)));

        using var keys = new TemporaryFile(TokenForge.Docker.CertificatePem);
        Assert.Empty(Problems(("Upstream:Auth", address), ("Identity:TrustedKeys", keys.Path)));
    }

    [Theory]
    [InlineData("auth.docker.io")]
    [InlineData("/token")]
    [InlineData("ftp://auth.docker.io")]
    [InlineData("file:///token")]
    [InlineData("https://user:secret@auth.docker.io")]
    [InlineData("https://auth.docker.io?x=y")]
    [InlineData("https://auth.docker.io#x")]
    [InlineData("https://")]
    public void What_is_no_address_is_named_without_being_quoted(string address) => Assert.Equal(
        ["Upstream:Auth: is not an http or https address without user, query and fragment; write one like https://auth.docker.io"],
        Problems(("Upstream:Auth", address)));

    [Fact]
    public void A_claim_that_is_no_pointer_is_named() => Assert.Equal(
        [
            "Identity:OrganizationClaim: 'organizations' is not a JSON Pointer; "
            + "write one like /https:~1~1auth.docker.io/organizations (~1 is a slash, ~0 a tilde)",
        ],
        Problems(("Identity:OrganizationClaim", "organizations")));

    [Fact]
    public void Every_problem_is_said_at_once()
    {
        var problems = Problems(
            ("Identity:OrganizationClaim", "x"),
            ("Identity:TrustedKeys", "/nowhere/keys.pem"),
            ("Upstream:Auth", "x"));

        Assert.Collection(
            problems,
            p => Assert.StartsWith("Identity:OrganizationClaim: ", p, StringComparison.Ordinal),
            p => Assert.StartsWith("Identity:TrustedKeys: ", p, StringComparison.Ordinal),
            p => Assert.StartsWith("Upstream:Auth: ", p, StringComparison.Ordinal));
    }

    [Fact]
    public void The_section_cannot_name_another_token_service() =>
        Assert.Empty(Problems(("Identity:TokenService", "http://elsewhere.example")));

    [Fact]
    public void A_file_that_is_not_there_is_named() => Assert.Equal(
        ["Identity:TrustedKeys: /nowhere/keys.pem does not exist; name a PEM file of certificates or public keys"],
        Problems(("Identity:TrustedKeys", "/nowhere/keys.pem")));

    public static TheoryData<string, string> Files
    {
        get
        {
            using var rsa = RSA.Create(2048);
            var certificate = TokenForge.Docker.CertificatePem;
            const string Block = "that is no certificate or public key of RSA (2048 to 8192 bits) or P-256; "
                + "keep only CERTIFICATE and PUBLIC KEY blocks of such keys in it";
            return new TheoryData<string, string>
            {
                { "", "holds no key; name a PEM file of certificates or public keys" },
                { "no PEM", "holds no key; name a PEM file of certificates or public keys" },
                { rsa.ExportPkcs8PrivateKeyPem(), $"holds a PRIVATE KEY (block 1) {Block}" },
                { certificate + "\n" + rsa.ExportRSAPrivateKeyPem(), $"holds a RSA PRIVATE KEY (block 2) {Block}" },
                { new TokenForge(RSA.Create(1024)).CertificatePem, $"holds a CERTIFICATE (block 1) {Block}" },
                { new TokenForge(ECDsa.Create(ECCurve.NamedCurves.nistP521)).PublicKeyPem, $"holds a PUBLIC KEY (block 1) {Block}" },
                { "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----", $"holds a CERTIFICATE (block 1) {Block}" },
                { certificate + "\n" + certificate[..^40], "holds a PEM block that is damaged; write the file anew" },
                { certificate[40..], "holds no key; name a PEM file of certificates or public keys" },
                { new string('x', (1024 * 1024) + 1), "is larger than 1 MiB; name a PEM file of certificates or public keys" },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_file_that_is_not_all_keys_is_refused(string text, string problem)
    {
        using var file = new TemporaryFile(text);

        Assert.Equal([$"Identity:TrustedKeys: {file.Path} {problem}"], Problems(("Identity:TrustedKeys", file.Path)));
    }

    [Fact]
    public void Text_around_the_blocks_is_a_comment()
    {
        using var file = new TemporaryFile($"# 2026\n{TokenForge.Docker.CertificatePem}\n# 2027\n{TokenForge.Docker.PublicKeyPem}\n");

        Assert.Empty(Problems(("Identity:TrustedKeys", file.Path)));
    }

    private static IEnumerable<string> Problems(params (string Key, string Value)[] settings)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddIdentity(IdentityRoom.Configure(settings));
        using var provider = services.BuildServiceProvider();
        try
        {
            provider.GetRequiredService<IStartupValidator>().Validate();
            return [];
        }
        catch (OptionsValidationException e)
        {
            return e.Failures;
        }
    }
}
