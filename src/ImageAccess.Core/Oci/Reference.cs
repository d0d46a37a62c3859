using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>Names a manifest within a repository: a tag or a digest.</summary>
public sealed class Reference
{
    private Reference(string value, Tag? tag, Digest? digest)
    {
        Value = value;
        Tag = tag;
        Digest = digest;
    }

    public string Value { get; }

    /// <summary>The tag, or null for a digest.</summary>
    public Tag? Tag { get; }

    /// <summary>The digest, or null for a tag.</summary>
    public Digest? Digest { get; }

    public bool IsTag => Tag is not null;

    public static bool TryParse(string? text, [NotNullWhen(true)] out Reference? reference)
    {
        reference = null;
        if (Digest.TryParse(text, out var digest))
            reference = new Reference(digest.Value, null, digest);
        else if (Tag.TryParse(text, out var tag))
            reference = new Reference(tag.Value, tag, null);

        return reference is not null;
    }

    public static Reference Of(Digest digest) => new(digest.Value, null, digest);

    public static Reference Of(Tag tag) => new(tag.Value, tag, null);

    public override string ToString() => Value;
}
