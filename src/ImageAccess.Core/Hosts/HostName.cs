using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Hosts;

/// <summary>
/// A DNS name in the form in which names are compared: lower case, without a trailing dot (RFC 4343; RFC 1034, section 3.1). It has ASCII
/// characters only, at most 253. An address is no name.
/// </summary>
public sealed class HostName : IEquatable<HostName>
{
    private const int MaximumLength = 253;
    private const int MaximumLabel = 63;

    private HostName(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="FormatException">The text is no name.</exception>
    public static HostName Parse(string text) => TryParse(text, out var name) ? name : throw new FormatException($"'{text}' is not a host name");

    public static bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out HostName? name)
    {
        name = null;
        if (text is [.., '.'])
            text = text[..^1];
        if (!IsValid(text))
            return false;

        name = new HostName(text.ToString().ToLowerInvariant());
        return true;
    }

    /// <summary>Whether this name is the other or, at any depth, below it.</summary>
    public bool IsAtOrUnder(string other) => Value == other || IsUnder(other);

    /// <summary>Whether this name is, at any depth, below the other.</summary>
    public bool IsUnder(string other) =>
        Value.Length > other.Length + 1 && Value[^(other.Length + 1)] == '.' && Value.EndsWith(other, StringComparison.Ordinal);

    public bool Equals(HostName? other) => other is not null && Value == other.Value;

    public override bool Equals(object? obj) => Equals(obj as HostName);

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Value;

    /// <summary>Labels of letters, digits, <c>-</c> and <c>_</c>. The last one is no number: resolvers would take the name for an address.</summary>
    private static bool IsValid(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > MaximumLength)
            return false;

        ReadOnlySpan<char> last = default;
        foreach (var range in text.Split('.'))
        {
            last = text[range];
            if (last.Length is 0 or > MaximumLabel)
                return false;
            foreach (var c in last)
            {
                if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_'))
                    return false;
            }
        }

        return !IsNumber(last);
    }

    /// <summary><c>127.1</c>, <c>0x7f000001</c> and <c>2130706433</c> are addresses to some resolvers (WHATWG URL, "ends in a number").</summary>
    private static bool IsNumber(ReadOnlySpan<char> label)
    {
        if (label.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return true;
        foreach (var c in label)
        {
            if (!char.IsAsciiDigit(c))
                return false;
        }

        return true;
    }
}
