using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// The full name of a repository on Docker Hub: <c>library/nginx</c>, never <c>nginx</c>.
/// Grammar: OCI distribution specification v1.1, "Pulling manifests", and under 256 characters.
/// </summary>
public sealed class RepositoryName : IEquatable<RepositoryName>
{
    /// <summary>The largest length of a name, in characters.</summary>
    public const int MaximumLength = 255;

    /// <summary>The namespace of the official images.</summary>
    public const string Library = "library";

    private int _hash; // reckoned when first asked for

    private RepositoryName(string value, string @namespace, bool isOfficial)
    {
        Value = value;
        Namespace = @namespace;
        IsOfficial = isOfficial;
    }

    public string Value { get; }

    /// <summary>The first component: the account that publishes.</summary>
    public string Namespace { get; }

    /// <summary><c>library/NAME</c>, and nothing else.</summary>
    public bool IsOfficial { get; }

    /// <summary>
    /// Reads a name as people and clients write it. A name of one part is the short name of an official image, which Docker Hub itself
    /// does not know: here, and nowhere else, <c>nginx</c> becomes <c>library/nginx</c>.
    /// </summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out RepositoryName? name)
    {
        name = null;
        if (text is null || text.Length > MaximumLength || !HasValidComponents(text, out var slashes))
            return false;

        var full = slashes == 0 ? $"{Library}/{text}" : text;
        if (full.Length > MaximumLength)
            return false;

        var @namespace = full[..full.IndexOf('/', StringComparison.Ordinal)];
        name = new RepositoryName(full, @namespace, slashes <= 1 && @namespace == Library);
        return true;
    }

    /// <summary>Whether the text is one component of a name, as a namespace is.</summary>
    public static bool IsComponent(string? text) =>
        text is { Length: > 0 and <= MaximumLength } && HasValidComponents(text, out var slashes) && slashes == 0;

    public bool Equals(RepositoryName? other) => other is not null && other.Value == Value;

    public override bool Equals(object? obj) => Equals(obj as RepositoryName);

    public override int GetHashCode() => _hash == 0 ? _hash = Value.GetHashCode(StringComparison.Ordinal) : _hash;

    public override string ToString() => Value;

    /// <summary><c>[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*</c>, separated by <c>/</c>.</summary>
    private static bool HasValidComponents(ReadOnlySpan<char> text, out int slashes)
    {
        slashes = 0;
        var separator = 0; // length of the run of separators before this character
        var previous = '/';
        foreach (var c in text)
        {
            if (char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))
            {
                separator = 0;
            }
            else if (c is '.' or '_' or '-')
            {
                separator++;
                var continues = separator > 1;
                if (previous == '/' || (continues && (c != previous || c == '.' || (c == '_' && separator > 2))))
                    return false;
            }
            else if (c == '/' && separator == 0 && previous != '/')
            {
                slashes++;
            }
            else
            {
                return false;
            }

            previous = c;
        }

        return separator == 0 && previous != '/';
    }
}
