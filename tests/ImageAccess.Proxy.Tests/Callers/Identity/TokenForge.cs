using System.Buffers.Text;
using System.IdentityModel.Tokens.Jwt;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>Signs tokens of Docker Hub's shape, and every other shape that a test asks for.</summary>
internal sealed class TokenForge
{
    private const string Subject = "CN=\"Docker, Inc. Eng JWT CA\"";

    /// <summary>What the token service signs with.</summary>
    public static readonly TokenForge Docker = new(RSA.Create(2048));

    /// <summary>What the token service signs with after a rotation.</summary>
    public static readonly TokenForge Next = new(RSA.Create(2048));

    /// <summary>Someone else, under the same subject.</summary>
    public static readonly TokenForge Stranger = new(RSA.Create(2048));

    public static readonly TokenForge Elliptic = new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    private readonly AsymmetricAlgorithm _key;

    public TokenForge(AsymmetricAlgorithm key)
    {
        _key = key;
        var request = key is RSA rsa
            ? new CertificateRequest(Subject, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest(Subject, (ECDsa)key, HashAlgorithmName.SHA256);

        // As Docker Hub's: an authority's certificate, which no strict policy takes for a signer of tokens; long expired.
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(1));
        Leaf = Convert.ToBase64String(certificate.RawData);
        CertificatePem = certificate.ExportCertificatePem();
        PublicKeyPem = key.ExportSubjectPublicKeyInfoPem();
    }

    public string Leaf { get; }

    public string CertificatePem { get; }

    public string PublicKeyPem { get; }

    public string Algorithm => _key is RSA ? "RS256" : "ES256";

    public JsonObject Header() => new() { ["alg"] = Algorithm, ["typ"] = "JWT", ["x5c"] = new JsonArray(Leaf) };

    public static JsonObject Payload(DateTimeOffset now) => new()
    {
        ["access"] = new JsonArray(Access("acme/app", "pull")),
        ["aud"] = "registry.docker.io",
        ["exp"] = now.ToUnixTimeSeconds() + 300,
        ["https://auth.docker.io"] = new JsonObject { ["plan_name"] = "free", ["username"] = "alice" },
        ["iat"] = now.ToUnixTimeSeconds(),
        ["iss"] = "auth.docker.io",
        ["jti"] = "dckr_jti_" + Guid.NewGuid().ToString("N"),
        ["nbf"] = now.ToUnixTimeSeconds() - 300,
        ["sub"] = "0ab70deb-065a-43fc-acd5-5d48caa945d8",
    };

    public static JsonObject Access(string name, params string[] actions) => new()
    {
        ["type"] = "repository",
        ["name"] = name,
        ["actions"] = new JsonArray([.. actions.Select(a => (JsonNode)a)]),
    };

    public string Token(DateTimeOffset now, Action<JsonObject>? claims = null, Action<JsonObject>? header = null)
    {
        var head = Header();
        var payload = Payload(now);
        header?.Invoke(head);
        claims?.Invoke(payload);
        return Sign(head.ToJsonString(), payload.ToJsonString());
    }

    public string AnonymousToken(DateTimeOffset now) => Token(now, claims =>
    {
        claims["sub"] = "";
        claims.Remove("https://auth.docker.io");
    });

    /// <summary>The same claims, written and signed by a library that knows nothing of this forge.</summary>
    public string TokenOfLibrary(DateTimeOffset now)
    {
        var header = new JwtHeader(new SigningCredentials(new RsaSecurityKey((RSA)_key), SecurityAlgorithms.RsaSha256)) { [JwtHeaderParameterNames.X5c] = new[] { Leaf } };
        return new JwtSecurityTokenHandler().WriteToken(new JwtSecurityToken(header, JwtPayload.Deserialize(Payload(now).ToJsonString())));
    }

    /// <summary>Signs whatever stands there, with the algorithm that the key is for.</summary>
    public string Sign(string header, string payload) => Sign(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(payload));

    public string Sign(byte[] header, byte[] payload) =>
        Sign(header, payload, input => _key is RSA rsa
            ? rsa.SignData(input, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)_key).SignData(input, HashAlgorithmName.SHA256));

    public string SignRsa(string header, string payload, HashAlgorithmName hash, RSASignaturePadding padding) =>
        Sign(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(payload), input => ((RSA)_key).SignData(input, hash, padding));

    public static string Sign(byte[] header, byte[] payload, Func<byte[], byte[]> signature)
    {
        var input = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(payload)}";
        return $"{input}.{Base64Url.EncodeToString(signature(Encoding.ASCII.GetBytes(input)))}";
    }

    /// <summary>The public key as a JSON Web Key.</summary>
    public JsonObject Jwk()
    {
        var parameters = ((RSA)_key).ExportParameters(false);
        return new JsonObject
        {
            ["kty"] = "RSA",
            ["n"] = Base64Url.EncodeToString(parameters.Modulus),
            ["e"] = Base64Url.EncodeToString(parameters.Exponent),
        };
    }
}
