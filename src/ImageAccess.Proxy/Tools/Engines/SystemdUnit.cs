using System.Text;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A daemon under systemd, which gets its proxy from a drop-in of its unit (systemd.unit(5)).</summary>
internal sealed class SystemdUnit(string name)
{
    private const string Key = "Environment=";

    public EngineFile DropIns { get; } = new($"/etc/systemd/system/{name}.service.d/*.conf", WaysIn.ForwardProxy);

    public ClientCommand Restart { get; } = Both($"systemctl restart {name}");

    /// <summary>After a change of a drop-in.</summary>
    public ClientCommand Reload { get; } = Both($"systemctl daemon-reload && systemctl restart {name}");

    /// <summary>The drop-in with the daemon's proxy. systemd reads a percent sign as its own.</summary>
    public ClientFile DropIn(ForwardProxyWay way, string noProxy = MachineParts.NoProxy) => new(DropIns.Ours, $"""
        # {DropIns.Ours}
        {MachineParts.Remark(way)}[Service]
        Environment="HTTPS_PROXY={way.Address.Replace("%", "%%", StringComparison.Ordinal)}"
        Environment="NO_PROXY={noProxy}"

        """);

    /// <summary>
    /// The proxies in the <c>Environment=</c> lines of a drop-in (systemd.exec(5)). A later line wins; an empty one takes back all before it.
    /// </summary>
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

    /// <summary>Words are separated by spaces and quoted as a whole or in part; <c>%%</c> is a percent sign.</summary>
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

    private static ClientCommand Both(string command) => new(command, command);
}
