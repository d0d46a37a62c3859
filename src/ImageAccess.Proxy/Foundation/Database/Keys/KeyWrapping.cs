using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>Wraps an element of the key ring as a whole: a wrapped secret alone would not prevent that somebody puts a key of his own there.</summary>
internal sealed class KeyWrapping(KeyFile file)
{
    private readonly Wrapping _wrapping = new(file, "data-protection keys");

    public byte[] Wrap(XElement element, string name)
    {
        var plain = Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting));
        var wrapped = _wrapping.Wrap(plain, name);
        CryptographicOperations.ZeroMemory(plain);
        return wrapped;
    }

    /// <returns>Null where this key did not wrap it, or somebody has changed it since.</returns>
    public XElement? Unwrap(DataProtectionKeyRow row)
    {
        if (_wrapping.Unwrap(row.Wrapped, row.WrappedBy, row.Name) is not { } plain)
            return null;
        try
        {
            return XElement.Parse(Encoding.UTF8.GetString(plain));
        }
        catch (XmlException)
        {
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }
}
