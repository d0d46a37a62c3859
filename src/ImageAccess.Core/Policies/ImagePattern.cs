using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>
/// What a block or an exception names: <c>NAMESPACE/*</c>, a repository, <c>REPOSITORY:TAG</c>, <c>REPOSITORY@DIGEST</c>, or a digest in whichever repository.
/// </summary>
public sealed class ImagePattern
{
    /// <summary>The longest pattern, in characters.</summary>
    public const int MaximumLength = RepositoryName.MaximumLength + 1 + Digest.MaximumLength;

    private const string Whole = "/*";

    private readonly string _text;

    private ImagePattern(string key, string text) => (Key, _text) = (key, text);

    /// <summary>In full, as <c>library/nginx:1.27</c>: by it the pattern is found.</summary>
    internal string Key { get; }

    /// <summary>Whether it names content, which a tag or a manifest may lead to.</summary>
    internal bool HasDigest { get; private init; }

    /// <summary>What it names in one repository; null where it is for a namespace or for every repository.</summary>
    public Asked? Asked { get; private init; }

    /// <summary>The namespace of which it names everything; null where it names something else.</summary>
    public string? Namespace { get; private init; }

    /// <param name="text">The pattern as a person writes it.</param>
    /// <param name="pattern">The pattern.</param>
    /// <param name="problem">What is wrong with the text, to follow it in a sentence; empty when nothing is.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out ImagePattern? pattern, out string problem)
    {
        pattern = null;
        if (text is null or "")
            problem = "is empty";
        else if (text.StartsWith("sha256:", StringComparison.Ordinal) || text.StartsWith("sha512:", StringComparison.Ordinal))
            pattern = OfDigest(text, out problem);
        else if (text.EndsWith(Whole, StringComparison.Ordinal))
            pattern = OfNamespace(text[..^Whole.Length], out problem);
        else
            pattern = OfImage(text, out problem);
        return pattern is not null;
    }

    /// <summary>As people write it: <c>nginx:1.27</c>, <c>bitnami/*</c>.</summary>
    public override string ToString() => _text;

    /// <summary>A digest that is cut short would be the tag of an image named <c>sha256</c>.</summary>
    private static ImagePattern? OfDigest(string text, out string problem)
    {
        problem = Digest.TryParse(text, out _) ? "" : "has a digest that is none: sha256: and 64 hexadecimal digits in lower case";
        return problem.Length == 0 ? new ImagePattern(text, text) { HasDigest = true } : null;
    }

    private static ImagePattern? OfNamespace(string text, out string problem)
    {
        // As the name of some repository in it, so that the registry before it is read in the same way.
        if (Read($"{text}/x", out problem) is not { Repository: { } some })
            return null;
        var key = some.Namespace + Whole;
        if (some.Value == $"{some.Namespace}/x" && (text == some.Namespace || text.EndsWith($"/{some.Namespace}", StringComparison.Ordinal)))
            return new ImagePattern(key, key) { Namespace = some.Namespace };
        problem = "names no namespace, as bitnami/* does";
        return null;
    }

    private static ImagePattern? OfImage(string text, out string problem)
    {
        if (Read(text, out problem) is not { Repository: { } repository } image)
            return null;
        if (image is { Tag: not null, Digest: not null })
        {
            problem = "has a tag and a digest: name the one or the other";
            return null;
        }

        var part = image.Tag is { } tag ? $":{tag}" : image.Digest is { } digest ? $"@{digest}" : "";
        return new ImagePattern(repository + part, image.ToString())
        {
            HasDigest = image.Digest is not null,
            Asked = new Asked(repository, image.Tag, image.Digest),
        };
    }

    /// <summary>An image of Docker Hub.</summary>
    private static ImageName? Read(string text, out string problem)
    {
        if (!ImageName.TryParse(text, out var image, out problem))
            return null;
        if (image.Repository is not null)
            return image;
        problem = image.Registry.Any(char.IsAsciiLetterUpper) && !image.Registry.AsSpan().ContainsAny('.', ':')
            ? "has upper-case letters; a repository's name has none"
            : $"is an image of {image.Registry}, and not of Docker Hub";
        return null;
    }
}
