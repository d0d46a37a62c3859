using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

public enum TokenAlgorithm
{
    RS256,
    ES256,
}

/// <summary>
/// Signs registry tokens as Docker Hub does: one certificate in <c>x5c</c>, no <c>kid</c>, no published key.
/// A second signer is a stranger whose tokens no hub but its own accepts.
/// </summary>
public sealed class TokenSigner
{
    private static readonly Lazy<Key> ProcessKey = new(() => Key.Make(TokenAlgorithm.RS256, TimeProvider.System.GetUtcNow()));
    private readonly Lock _gate = new();
    private readonly List<Key> _keys = [];
    private readonly TokenAlgorithm _algorithm;
    private readonly TimeProvider _time;

    public TokenSigner(TokenAlgorithm algorithm = TokenAlgorithm.RS256, TimeProvider? time = null)
    {
        _algorithm = algorithm;
        _time = time ?? TimeProvider.System;
        Rotate();
    }

    private TokenSigner(Key first)
    {
        _time = TimeProvider.System;
        _keys.Add(first);
    }

    /// <summary>How long an untouched draft lives.</summary>
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromSeconds(300);

    public X509Certificate2 Certificate => Current.Certificate;

    public string CertificatePem => Certificate.ExportCertificatePem();

    /// <summary>The value of a header's <c>x5c</c> entry.</summary>
    public string X5c => Convert.ToBase64String(Certificate.RawData);

    private Key Current
    {
        get
        {
            lock (_gate)
                return _keys[^1];
        }
    }

    /// <summary>A new key for what is issued from now on. The hub's registry still accepts the earlier ones.</summary>
    public void Rotate()
    {
        var key = Key.Make(_algorithm, _time.GetUtcNow());
        lock (_gate)
            _keys.Add(key);
    }

    public string IssueToken(Action<TokenDraft>? change = null)
    {
        var draft = new TokenDraft(_time.GetUtcNow(), Lifetime);
        change?.Invoke(draft);
        return Sign(draft);
    }

    /// <summary>Making an RSA key takes longer than most tests: the hubs of a process begin with the same one.</summary>
    internal static TokenSigner ForHub(FakeHubOptions options) =>
        options.TokenAlgorithm is TokenAlgorithm.RS256 && options.Time == TimeProvider.System
        ? new TokenSigner(ProcessKey.Value)
        : new TokenSigner(options.TokenAlgorithm, options.Time);

    internal string Sign(TokenDraft draft)
    {
        var key = Current;
        var name = draft.Algorithm ?? _algorithm.ToString();
        var input = Encode(draft.ToHeader(name, X5c)) + "." + Encode(draft.ToPayload());
        var bytes = Encoding.ASCII.GetBytes(input);
        var signature = name switch
        {
            "none" => [],
            "HS256" => HMACSHA256.HashData(Encoding.ASCII.GetBytes(CertificatePem), bytes),
            _ => key.Sign(bytes),
        };
        return input + "." + Base64Url.EncodeToString(signature);
    }

    /// <summary>The payload of a token that one of this signer's keys signed; null otherwise. Looks at no claim.</summary>
    internal JsonObject? Open(string token)
    {
        var parts = token.Split('.');
        try
        {
            if (parts.Length != 3 || JsonNode.Parse(Base64Url.DecodeFromChars(parts[0])) is not JsonObject header)
                return null;
            var signed = Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]);
            var signature = Base64Url.DecodeFromChars(parts[2]);
            Key[] known;
            lock (_gate)
                known = [.. _keys];
            return header["alg"]?.GetValue<string>() == _algorithm.ToString() && known.Any(key => key.Verify(signed, signature))
                ? JsonNode.Parse(Base64Url.DecodeFromChars(parts[1])) as JsonObject
                : null;
        }
        catch (Exception failure) when (failure is FormatException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string Encode(JsonObject json) =>
        Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(json, Answers.Json));

    private sealed class Key(AsymmetricAlgorithm pair, X509Certificate2 certificate)
    {
        public X509Certificate2 Certificate => certificate;

        /// <summary>The certificate has CA:TRUE, a path length of 0 and serverAuth, as Docker's has; its issuer is not sent along.</summary>
        public static Key Make(TokenAlgorithm _algorithm, DateTimeOffset now)
        {
            var name = new X500DistinguishedName("CN=\"Docker, Inc. Eng JWT CA\"");
            AsymmetricAlgorithm pair = _algorithm is TokenAlgorithm.RS256 ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = pair is RSA rsa
                ? new CertificateRequest(name, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                : new CertificateRequest(name, (ECDsa)pair, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
            using var root = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var certificate = request.Create(
                new X500DistinguishedName("CN=\"Docker, Inc. Eng Root CA\""),
                X509SignatureGenerator.CreateForECDsa(root),
                now.AddDays(-30),
                now.AddDays(335),
                RandomNumberGenerator.GetBytes(16));
            return new Key(pair, certificate);
        }

        public byte[] Sign(byte[] input) => pair is RSA rsa
            ? rsa.SignData(input, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)pair).SignData(input, HashAlgorithmName.SHA256);

        public bool Verify(byte[] input, byte[] signature) => pair is RSA rsa
            ? rsa.VerifyData(input, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)pair).VerifyData(input, signature, HashAlgorithmName.SHA256);
    }
}
