namespace ImageAccess.Core.Oci;

/// <summary>The <c>Link</c> header (RFC 8288, section 3 and appendix B.2).</summary>
public static class LinkHeader
{
    /// <summary>
    /// The targets of the links to the next page, in their order. A link that names no relation counts, because clients of registries look
    /// at none. Reading ends at what is no link.
    /// </summary>
    /// <param name="values">The header's values; each may hold several links.</param>
    public static IReadOnlyList<string> NextOf(IEnumerable<string> values)
    {
        var targets = new List<string>();
        foreach (var value in values)
            AddNext(value, targets);
        return targets;
    }

    private static void AddNext(string value, List<string> targets)
    {
        for (var at = Skip(value, 0, " \t,"); at < value.Length && value[at] == '<'; at = Skip(value, at, " \t,"))
        {
            var end = value.IndexOf('>', at);
            if (end < 0)
                return;
            var target = value[(at + 1)..end];
            at = end + 1;
            if (ReadRelations(value, ref at) is not { } relations || relations.Split([' ', '\t']).Contains("next", StringComparer.OrdinalIgnoreCase))
                targets.Add(target);
        }
    }

    /// <summary>Reads the parameters of a link, up to the comma that ends it; the first <c>rel</c> counts, null where there is none.</summary>
    private static string? ReadRelations(string value, ref int at)
    {
        string? relations = null;
        while ((at = Skip(value, at, " \t;")) < value.Length && value[at] != ',')
        {
            var name = TakeUntil(value, ref at, "=;,").TrimEnd();
            var text = at < value.Length && value[at] == '=' ? ReadText(value, ref at) : "";
            if (name.Equals("rel", StringComparison.OrdinalIgnoreCase))
                relations ??= text;
        }

        return relations;
    }

    /// <summary>Reads <c>=token</c> or <c>="text"</c>.</summary>
    private static string ReadText(string value, ref int at)
    {
        at = Skip(value, at + 1, " \t");
        if (at == value.Length || value[at] != '"')
            return TakeUntil(value, ref at, ";,").TrimEnd();

        var start = ++at;
        while (at < value.Length && value[at] != '"')
            at += value[at] == '\\' ? 2 : 1;
        var text = value[start..Math.Min(at, value.Length)]; // escapes stay: no name of a relation has one
        at = Math.Min(at + 1, value.Length);
        return text;
    }

    private static int Skip(string value, int at, string characters)
    {
        while (at < value.Length && characters.Contains(value[at], StringComparison.Ordinal))
            at++;
        return at;
    }

    private static string TakeUntil(string value, ref int at, string ends)
    {
        var length = value.AsSpan(at).IndexOfAny(ends);
        var text = length < 0 ? value[at..] : value.Substring(at, length);
        at += text.Length;
        return text;
    }
}
