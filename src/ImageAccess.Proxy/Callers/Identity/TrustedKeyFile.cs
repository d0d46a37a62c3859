using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>The PEM file of <c>Identity:TrustedKeys</c>. Every block of it counts, or the file is refused.</summary>
internal static class TrustedKeyFile
{
    private const int MaximumSize = 1024 * 1024;
    private const string Begin = "-----BEGIN ";

    /// <param name="path">A file of certificates or public keys.</param>
    /// <param name="keys">Each key once.</param>
    /// <param name="problem">What follows the file's name in a sentence, and the way out.</param>
    public static bool TryRead(string path, out IReadOnlyList<TokenKey> keys, out string problem)
    {
        var reading = new WholeFile(path, MaximumSize).Read();
        if (reading.Bytes is { } bytes)
            return TryParse(Encoding.UTF8.GetString(bytes.Span), out keys, out problem);

        keys = [];
        problem = $"{reading.Failure}; name a PEM file of certificates or public keys";
        return false;
    }

    public static bool TryParse(ReadOnlySpan<char> text, out IReadOnlyList<TokenKey> keys, out string problem)
    {
        var found = new List<TokenKey>();
        keys = found;
        var begun = text.Count(Begin);
        var blocks = 0;
        while (PemEncoding.TryFind(text, out var fields))
        {
            blocks++;
            var label = text[fields.Label].ToString();
            var der = Convert.FromBase64String(text[fields.Base64Data].ToString());
            TokenKey? key = null;
            var isKey = label switch
            {
                "CERTIFICATE" => TokenKey.TryFromCertificate(der, out key),
                "PUBLIC KEY" => TokenKey.TryFromSubjectPublicKeyInfo(der, out key),
                _ => false,
            };
            if (!isKey)
            {
                problem = $"holds a {label} (block {blocks}) that is no certificate or public key of RSA (2048 to 8192 bits) or P-256; "
                    + "keep only CERTIFICATE and PUBLIC KEY blocks of such keys in it";
                return false;
            }

            if (found.TrueForAll(k => k.Fingerprint != key!.Fingerprint))
                found.Add(key!);
            text = text[fields.Location.End..];
        }

        problem = (blocks, begun) switch
        {
            (0, 0) => "holds no key; name a PEM file of certificates or public keys",
            _ when blocks < begun => "holds a PEM block that is damaged; write the file anew",
            _ => "",
        };
        return problem.Length == 0;
    }
}
