using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// One scope of a token request: <c>repository:library/nginx:pull,push</c>
/// (distribution, "Docker Registry Token Scope and Access"). A scope of another type is forwarded unchanged.
/// </summary>
public sealed class Scope
{
    private Scope(string text, RepositoryName? repository, string actions)
    {
        Text = text;
        Repository = repository;
        Actions = actions;
    }

    /// <summary>The scope as the token service gets it, with the repository's name in full.</summary>
    public string Text { get; }

    /// <summary>The repository, or null when the scope is of another type.</summary>
    public RepositoryName? Repository { get; }

    /// <summary>What is asked for, separated by commas: <c>pull,push</c>.</summary>
    public string Actions { get; }

    public static Scope For(RepositoryName repository, RegistryAction action) =>
        new($"repository:{repository.Value}:{action.ToScope()}", repository, action.ToScope());

    public static bool TryParse(string? text, [NotNullWhen(true)] out Scope? scope)
    {
        scope = null;
        if (string.IsNullOrEmpty(text))
            return false;

        var first = text.IndexOf(':', StringComparison.Ordinal);
        var last = text.LastIndexOf(':');
        if (first <= 0 || last == first)
            return false;

        var type = text[..first];
        var name = text[(first + 1)..last];
        var actions = text[(last + 1)..];
        if (!IsType(type) || !IsActions(actions))
            return false;

        if (type == "repository" || type.StartsWith("repository(", StringComparison.Ordinal))
        {
            if (!RepositoryName.TryParse(name, out var repository))
                return false;
            scope = new Scope($"{type}:{repository.Value}:{actions}", repository, actions);
            return true;
        }

        if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-' or ':' or '*'))
            return false;
        scope = new Scope(text, null, actions);
        return true;
    }

    public override string ToString() => Text;

    /// <summary><c>repository</c>, or <c>repository(plugin)</c>.</summary>
    private static bool IsType(ReadOnlySpan<char> type)
    {
        var open = type.IndexOf('(');
        if (open >= 0)
        {
            if (type[^1] != ')' || !IsWord(type[(open + 1)..^1]))
                return false;
            type = type[..open];
        }

        return IsWord(type);
    }

    private static bool IsActions(ReadOnlySpan<char> actions)
    {
        foreach (var c in actions)
        {
            if (!char.IsAsciiLetterLower(c) && c is not (',' or '*'))
                return false;
        }

        return true;
    }

    private static bool IsWord(ReadOnlySpan<char> word)
    {
        foreach (var c in word)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c))
                return false;
        }

        return word.Length > 0;
    }
}
