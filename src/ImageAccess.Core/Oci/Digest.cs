using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// The digest of some content: <c>sha256:</c> and 64, or <c>sha512:</c> and 128 lower-case hexadecimal digits,
/// the two registered algorithms (OCI image specification, "Digests").
/// </summary>
public sealed class Digest : IEquatable<Digest>
{
    /// <summary>The length of a digest by SHA-512, in characters.</summary>
    public const int MaximumLength = 7 + 128;

    private static readonly SearchValues<char> AlgorithmCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789");

    private int _hash; // reckoned when first asked for

    private Digest(string value) => Value = value;

    public string Value { get; }

    public static bool TryParse(string? text, [NotNullWhen(true)] out Digest? digest)
    {
        digest = IsValid(text) ? new Digest(text!) : null;
        return digest is not null;
    }

    /// <summary>Whether this is the name of an algorithm, a registered one or another: words of <c>[a-z0-9]+</c> with one of <c>+ . _ -</c> between them.</summary>
    public static bool IsAlgorithm(ReadOnlySpan<char> text)
    {
        if (text.Length > 64)
            return false;
        foreach (var word in text.SplitAny('+', '.', '_', '-'))
        {
            if (text[word].IsEmpty || text[word].ContainsAnyExcept(AlgorithmCharacters))
                return false;
        }

        return true;
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
