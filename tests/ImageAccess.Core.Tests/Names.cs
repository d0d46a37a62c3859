using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Tests;

/// <summary>Words that a test knows to be valid.</summary>
internal static class Names
{
    public const string Sha256 = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    public const string Sha512 = "sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    public static RepositoryName Repository(string text) =>
        RepositoryName.TryParse(text, out var name) ? name : throw new ArgumentException($"not a repository: {text}", nameof(text));
}
