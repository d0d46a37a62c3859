using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>
/// Wraps an element of the key ring as a whole (AES-256-GCM): who has the database and not the key file can read nothing of it, and cannot put a
/// key of his own there, which an element with a wrapped secret alone would not prevent.
/// </summary>
internal sealed class KeyWrapping(KeyFile file)
{
    private const string Purpose = "data-protection keys";
    private const int NonceSize = 12;
    private const int TagSize = 16;

    public byte[] Wrap(XElement element, string name)
    {
        var plain = Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting));
        var wrapped = new byte[NonceSize + TagSize + plain.Length];
        var nonce = wrapped.AsSpan(0, NonceSize);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(file.Derive(Purpose), TagSize);
        cipher.Encrypt(nonce, plain, wrapped.AsSpan(NonceSize + TagSize), wrapped.AsSpan(NonceSize, TagSize), Encoding.UTF8.GetBytes(name));
        CryptographicOperations.ZeroMemory(plain);
        return wrapped;
    }

    /// <returns>Null where this key did not wrap it, or somebody has changed it since.</returns>
    public XElement? Unwrap(DataProtectionKeyRow row)
    {
        if (row.WrappedBy != file.Fingerprint || row.Wrapped.Length < NonceSize + TagSize)
            return null;
        var plain = new byte[row.Wrapped.Length - NonceSize - TagSize];
        try
        {
            using var cipher = new AesGcm(file.Derive(Purpose), TagSize);
            cipher.Decrypt(
                row.Wrapped.AsSpan(0, NonceSize), row.Wrapped.AsSpan(NonceSize + TagSize), row.Wrapped.AsSpan(NonceSize, TagSize), plain, Encoding.UTF8.GetBytes(row.Name));
            return XElement.Parse(Encoding.UTF8.GetString(plain));
        }
        catch (Exception exception) when (exception is CryptographicException or XmlException)
        {
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }
}
