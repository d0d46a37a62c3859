namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>A <c>.env</c> file: <c>NAME=value</c> a line; quotes, comments, <c>export</c>, and in all but single quotes variables.</summary>
internal static class EnvironmentFile
{
    /// <param name="path">The file.</param>
    /// <param name="find">Variables from elsewhere, which take precedence over those of the file.</param>
    /// <exception cref="UnreadableFileException">It is not there, or no text.</exception>
    public static IReadOnlyDictionary<string, Expansion> Read(string path, Func<string, Expansion?> find)
    {
        var values = new Dictionary<string, Expansion>();
        var substitution = Substitution.OfCompose(name => find(name) ?? (values.TryGetValue(name, out var value) ? value : null));
        foreach (var line in SourceText.Read(path).Split('\n'))
        {
            var text = line.Trim();
            if (text.StartsWith("export ", StringComparison.Ordinal))
                text = text["export ".Length..].TrimStart();
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0 && text[0] != '#')
                values[text[..equals].TrimEnd()] = ReadValue(text[(equals + 1)..].TrimStart(), substitution);
        }

        return values;
    }

    private static Expansion ReadValue(string text, Substitution substitution)
    {
        if (text.Length > 0 && text[0] is '"' or '\'')
        {
            var end = text.IndexOf(text[0], 1);
            var quoted = text[1..(end < 0 ? text.Length : end)];
            return text[0] == '\'' ? Expansion.Of(quoted) : substitution.Expand(quoted);
        }

        var comment = text.IndexOf(" #", StringComparison.Ordinal);
        return substitution.Expand((comment < 0 ? text : text[..comment]).TrimEnd());
    }
}
