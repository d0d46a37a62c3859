using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>
/// Wraps bytes by the key outside the database (AES-256-GCM), for one purpose and one name: who has the database and not the key file can read nothing of it,
/// and cannot put there what is another's.
/// </summary>
internal sealed class Wrapping(KeyFile file, string purpose)
{
    private const int NonceSize = 12;
    private const int TagSize = 16;

    public byte[] Wrap(ReadOnlySpan<byte> plain, string name)
    {
        var wrapped = new byte[NonceSize + TagSize + plain.Length];
        var nonce = wrapped.AsSpan(0, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(file.Derive(purpose), TagSize);
        cipher.Encrypt(nonce, plain, wrapped.AsSpan(NonceSize + TagSize), wrapped.AsSpan(NonceSize, TagSize), Encoding.UTF8.GetBytes(name));
        return wrapped;
    }

    /// <returns>Null where this key did not wrap it under this name, or somebody has changed it since.</returns>
    public byte[]? Unwrap(ReadOnlySpan<byte> wrapped, string wrappedBy, string name)
    {
        if (wrappedBy != file.Fingerprint || wrapped.Length < NonceSize + TagSize)
            return null;
        var plain = new byte[wrapped.Length - NonceSize - TagSize];
        try
        {
            using var cipher = new AesGcm(file.Derive(purpose), TagSize);
            cipher.Decrypt(wrapped[..NonceSize], wrapped[(NonceSize + TagSize)..], wrapped.Slice(NonceSize, TagSize), plain, Encoding.UTF8.GetBytes(name));
            return plain;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
