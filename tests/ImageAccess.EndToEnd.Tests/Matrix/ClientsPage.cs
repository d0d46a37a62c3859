using System.Text;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>
/// <c>docs/clients.md</c>: a section for each client, with the version that it is about and a table of its commands and the ways in.
/// With <c>WRITE_CLIENTS=1</c> in the environment a run writes its tables instead of comparing with them.
/// </summary>
internal static class ClientsPage
{
    public const string Path = "docs/clients.md";

    public static readonly IReadOnlyList<(Ways Way, string Title)> Columns =
    [
        (Ways.Mirror, "mirror, as `clients` sets it up"),
        (Ways.Before, "mirror before Docker Hub"),
        (Ways.Gateway, "gateway"),
        (Ways.ForwardProxy, "forward proxy"),
    ];

    /// <summary>For a way in that a client does not have.</summary>
    private const string None = "";

    public static bool IsWritten => Environment.GetEnvironmentVariable("WRITE_CLIENTS") == "1";

    /// <summary>The clients that have a section.</summary>
    public static IReadOnlyList<string> Clients => [.. Sections().Skip(1).Select(section => section.Split('\n')[0])];

    private static string File => System.IO.Path.Combine(ProxyUnderTest.Repository, Path);

    public static Section? Find(string client) =>
        Sections().FirstOrDefault(section => section.StartsWith($"{client}\n", StringComparison.Ordinal)) is { } text ? Section.Read(text) : null;

    /// <summary>Puts a column into a client's section. The sections are in the order of <see cref="KnownClients"/>.</summary>
    public static void Write(ClientKind client, string version, Ways way, IReadOnlyDictionary<string, string> column)
    {
        var found = Find(client.Name);
        var rows = client.Rows.ToDictionary(row => Shown(row.Shown), row => Columns
            .Select(each => each.Way == way ? column.GetValueOrDefault(Shown(row.Shown), None) : found?.Cell(Shown(row.Shown), each.Way) ?? None)
            .ToArray());
        var others = Sections().Where(text => !text.StartsWith($"{client.Name}\n", StringComparison.Ordinal)).ToList();
        var order = KnownClients.All.Select(one => one.Name).ToList();
        var sections = others.Skip(1).Append(new Section(client.Name, version, rows).Text).OrderBy(text => order.IndexOf(text.Split('\n')[0]));
        System.IO.File.WriteAllText(File, string.Join("\n## ", sections.Prepend(others[0]).Select(text => text.TrimEnd('\n') + "\n")));
    }

    /// <summary>A command as the page has it.</summary>
    public static string Shown(string command)
    {
        var text = command.Replace("IMAGE", MatrixWorld.Denied, StringComparison.Ordinal).Replace("DIGEST", "sha256:…", StringComparison.Ordinal);
        return text.Contains('`', StringComparison.Ordinal) ? text : $"`{text}`";
    }

    /// <summary>What stands before the first section, and the sections without their <c>##</c>.</summary>
    private static string[] Sections() => System.IO.File.ReadAllText(File).Split("\n## ");

    internal sealed record Section(string Client, string Version, IReadOnlyDictionary<string, string[]> Rows)
    {
        public string Text
        {
            get
            {
                var text = new StringBuilder($"{Client}\n\nVersion `{Version}` of Debian.\n\n");
                Line(Columns.Select(column => column.Title).Prepend("command"));
                Line(Columns.Select(_ => "---").Prepend("---"));
                foreach (var (command, cells) in Rows) Line(cells.Prepend(command));
                return text.ToString();

                void Line(IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
            }
        }

        public static Section Read(string text)
        {
            var lines = text.Split('\n');
            var version = lines.First(line => line.StartsWith("Version `", StringComparison.Ordinal)).Split('`')[1];
            var rows = lines.Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Skip(2)
                .Select(line => line[2..^2].Split(" | "))
                .ToDictionary(cells => cells[0], cells => cells[1..], StringComparer.Ordinal);
            return new Section(lines[0], version, rows);
        }

        public string Cell(string command, Ways way)
        {
            var at = Columns.Index().First(column => column.Item.Way == way).Index;
            return Rows.TryGetValue(command, out var cells) && at < cells.Length ? cells[at].Trim() : None;
        }
    }
}
