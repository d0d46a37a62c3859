using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.IdentityModel.Tokens;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// A public key that tokens may be signed with. A certificate counts for its key alone: Docker Hub's own has usages and a
/// chain that no strict policy accepts.
/// </summary>
internal sealed class TokenKey
{
    private const string RsaAlgorithm = "1.2.840.113549.1.1.1";
    private const string EllipticCurveAlgorithm = "1.2.840.10045.2.1";
    private const string P256 = "1.2.840.10045.3.1.7";
    private const int MinimumRsaBits = 2048;
    private const int MaximumRsaBits = 8192;

    private TokenKey(SecurityKey key, byte[] subjectPublicKeyInfo)
    {
        Key = key;
        SubjectPublicKeyInfo = subjectPublicKeyInfo;
        Fingerprint = Fingerprint.Of(subjectPublicKeyInfo);
    }

    public SecurityKey Key { get; }

    /// <summary>As DER.</summary>
    public byte[] SubjectPublicKeyInfo { get; }

    /// <summary>Of the subject public key info: two certificates of one key are one key.</summary>
    public Fingerprint Fingerprint { get; }

    public static bool TryFromCertificate(ReadOnlySpan<byte> der, [NotNullWhen(true)] out TokenKey? key)
    {
        key = null;
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificate(der);
            return TryFromPublicKey(certificate.PublicKey, out key);
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            return false;
        }
    }

    public static bool TryFromSubjectPublicKeyInfo(ReadOnlySpan<byte> der, [NotNullWhen(true)] out TokenKey? key)
    {
        key = null;
        try
        {
            return TryFromPublicKey(PublicKey.CreateFromSubjectPublicKeyInfo(der, out var read), out key) && read == der.Length;
        }
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            return false;
        }
    }

    /// <summary>The key of the certificate that a token brings, if the token is signed with it. Whether to trust it is another matter.</summary>
    public static bool TryFromOwnLeaf(RegistryToken token, [NotNullWhen(true)] out TokenKey? key)
    {
        key = null;
        if (token.Leaf is not { } leaf)
            return false;
        var der = new byte[leaf.Length];
        return Convert.TryFromBase64String(leaf, der, out var length)
            && TryFromCertificate(der.AsSpan(0, length), out key)
            && TokenSignature.IsMadeWith(token, key);
    }

    private static bool TryFromPublicKey(PublicKey publicKey, [NotNullWhen(true)] out TokenKey? key)
    {
        SecurityKey? parsed = publicKey.Oid.Value switch
        {
            RsaAlgorithm => ToRsa(publicKey),
            EllipticCurveAlgorithm => ToEllipticCurve(publicKey),
            _ => null,
        };
        key = parsed is null ? null : new TokenKey(parsed, publicKey.ExportSubjectPublicKeyInfo());
        return key is not null;
    }

    private static RsaSecurityKey? ToRsa(PublicKey publicKey)
    {
        using var rsa = publicKey.GetRSAPublicKey();
        return rsa is { KeySize: >= MinimumRsaBits and <= MaximumRsaBits } ? new RsaSecurityKey(rsa.ExportParameters(false)) : null;
    }

    private static JsonWebKey? ToEllipticCurve(PublicKey publicKey)
    {
        using var ecdsa = publicKey.GetECDsaPublicKey();
        if (ecdsa?.ExportParameters(false) is not { Curve: { IsNamed: true, Oid.Value: P256 } } parameters)
            return null;
        return new JsonWebKey
        {
            Kty = JsonWebAlgorithmsKeyTypes.EllipticCurve,
            Crv = JsonWebKeyECTypes.P256,
            X = Base64UrlEncoder.Encode(parameters.Q.X),
            Y = Base64UrlEncoder.Encode(parameters.Q.Y),
        };
    }
}
