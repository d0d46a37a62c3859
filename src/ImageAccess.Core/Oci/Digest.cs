using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// The digest of some content: <c>sha256:</c> and 64, or <c>sha512:</c> and 128 lower-case hexadecimal digits,
/// the two registered algorithms (OCI image specification, "Digests").
/// </summary>
public sealed class Digest : IEquatable<Digest>
{
    private int _hash; // reckoned when first asked for

    private Digest(string value) => Value = value;

    public string Value { get; }

    public static bool TryParse(string? text, [NotNullWhen(true)] out Digest? digest)
    {
        digest = IsValid(text) ? new Digest(text!) : null;
        return digest is not null;
    }

    public bool Equals(Digest? other) => other is not null && other.Value == Value;

    public override bool Equals(object? obj) => Equals(obj as Digest);

    public override int GetHashCode() => _hash == 0 ? _hash = Value.GetHashCode(StringComparison.Ordinal) : _hash;

    public override string ToString() => Value;

    private static bool IsValid(ReadOnlySpan<char> text)
    {
        ReadOnlySpan<char> hex;
        if (text.StartsWith("sha256:") && text.Length == 7 + 64 || text.StartsWith("sha512:") && text.Length == 7 + 128)
            hex = text[7..];
        else
            return false;

        foreach (var c in hex)
        {
            if (!char.IsAsciiHexDigitLower(c))
                return false;
        }

        return true;
    }
}
