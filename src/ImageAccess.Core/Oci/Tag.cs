using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>A tag: <c>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}</c> (OCI distribution specification v1.1, "Pulling manifests").</summary>
public sealed class Tag
{
    private Tag(string value) => Value = value;

    /// <summary>The tag of an image that is named without one.</summary>
    public static Tag Latest { get; } = new("latest");

    public string Value { get; }

    public static bool TryParse(string? text, [NotNullWhen(true)] out Tag? tag)
    {
        tag = IsValid(text) ? new Tag(text!) : null;
        return tag is not null;
    }

    public override string ToString() => Value;

    private static bool IsValid(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > 128 || text[0] is '.' or '-')
            return false;

        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-'))
                return false;
        }

        return true;
    }
}
