using System.Buffers;

namespace ImageAccess.Core.Oci;

/// <summary>
/// The names of Docker Hub's users and organizations. New ones have 4 to 30 lower-case letters and digits; older ones are shorter, or have
/// <c>-</c> and <c>_</c>. None has a dot: a client would take it for the host of a registry.
/// </summary>
public static class AccountName
{
    public const int MaximumLength = RepositoryName.MaximumLength;

    public const string UserRule = "lower-case letters, digits, - and _; an e-mail address or a person's name is none";

    public const string NamespaceRule = "lower-case letters and digits, with - _ between them";

    private static readonly SearchValues<char> Characters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-_");

    /// <param name="text">A user name in lower case.</param>
    public static bool IsUser(string? text) =>
        text is { Length: > 0 and <= MaximumLength } && text[0] is not '-' && !text.AsSpan().ContainsAnyExcept(Characters);

    /// <summary>Whether repositories can be in it: then it is a component of their names as well.</summary>
    public static bool IsNamespace(string? text) => IsUser(text) && RepositoryName.IsComponent(text);
}
