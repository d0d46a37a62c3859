using System.Security.Cryptography;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>The half of the key that anybody may have.</summary>
internal sealed class PublicAuditKey(byte[] content)
{
    private const int IdLength = 16;

    public string Id => IdOf(content);

    public string Pem => PemEncoding.WriteString("PUBLIC KEY", content) + "\n";

    public static string IdOf(ECDsa key) => IdOf(key.ExportSubjectPublicKeyInfo());

    /// <summary>Null where the text holds none; a private key has a public half too.</summary>
    public static PublicAuditKey? TryParse(string pem)
    {
        using var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return key.KeySize == 256 ? new PublicAuditKey(key.ExportSubjectPublicKeyInfo()) : null;
        }
        catch (Exception exception) when (exception is ArgumentException or CryptographicException)
        {
            return null;
        }
    }

    public bool Verifies(ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature)
    {
        using var key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(content, out _);
        return key.VerifyData(signed, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
    }

    private static string IdOf(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content))[..IdLength];
}
