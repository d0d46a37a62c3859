using System.Text;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>The <c>Environment=</c> lines of a systemd unit (systemd.exec(5)).</summary>
internal static class SystemdEnvironment
{
    private const string Key = "Environment=";

    /// <summary>The proxies that a program with these variables uses. A later line wins, an empty one takes back all before it.</summary>
    public static IReadOnlyList<string> Proxies(string text)
    {
        var variables = new Dictionary<string, string>();
        foreach (var line in text.ReplaceLineEndings("\n").Replace("\\\n", " ", StringComparison.Ordinal).Split('\n').Select(line => line.Trim()))
        {
            if (!line.StartsWith(Key, StringComparison.Ordinal))
                continue;
            if (line.Length == Key.Length)
                variables.Clear();
            foreach (var word in Words(line[Key.Length..]))
            {
                if (word.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals)
                    variables[word[..equals]] = word[(equals + 1)..];
            }
        }

        return [.. variables.Where(variable => variable.Key.ToUpperInvariant() is "HTTPS_PROXY" or "HTTP_PROXY").Select(variable => variable.Value).Distinct()];
    }

    /// <summary>Separated by spaces, quoted as a whole or in part; <c>%%</c> is a percent sign.</summary>
    private static List<string> Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        char? quote = null;
        foreach (var c in text.Replace("%%", "%", StringComparison.Ordinal).Append(' '))
        {
            if (quote == c)
                quote = null;
            else if (quote is null && c is '"' or '\'')
                quote = c;
            else if (quote is null && char.IsWhiteSpace(c))
                Take();
            else
                word.Append(c);
        }

        Take();
        return words;

        void Take()
        {
            if (word.Length > 0)
                words.Add(word.ToString());
            word.Clear();
        }
    }
}
