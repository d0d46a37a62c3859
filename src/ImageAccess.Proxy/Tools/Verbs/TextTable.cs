using System.Globalization;
using System.Text;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>A table for a terminal of a hundred columns. The last column takes the rest of the line, and is shortened in its middle.</summary>
/// <param name="heads">The columns; one that begins with <c>&gt;</c> is aligned to the right.</param>
internal sealed class TextTable(params IReadOnlyList<string> heads)
{
    public const int Width = 100;

    private const int Narrowest = 24;
    private const string Gap = "  ";

    private readonly List<Row> _rows = [];

    /// <summary>The text in one line, without characters that control a terminal.</summary>
    public static string Plain(string text) =>
        text.Any(IsUnprintable) ? string.Concat(text.Select(c => IsUnprintable(c) ? '?' : c)) : text;

    /// <summary><c>1 image</c>, <c>2 images</c>.</summary>
    public static string Count(long number, string one, string? several = null) =>
        string.Create(CultureInfo.InvariantCulture, $"{number:N0} {(number == 1 ? one : several ?? one + "s")}");

    public void Add(params string[] cells) => _rows.Add(new Row([.. cells.Select(Plain)], null));

    /// <summary>A sentence below the last row.</summary>
    public void Note(string text) => _rows.Add(new Row([], Plain(text)));

    /// <summary>A line below the last row that is never broken: a command, to be copied.</summary>
    public void Command(string text) => _rows.Add(new Row([], Plain(text)) { IsWhole = true });

    public async Task WriteAsync(TextWriter output)
    {
        var widths = heads.Select((head, column) => _rows
            .Where(row => row.Cells.Length > 0).Select(row => row.Cells[column].Length).Append(head.TrimStart('>').Length).Max()).ToArray();
        widths[^1] = Math.Max(Narrowest, Width - widths[..^1].Sum(width => width + Gap.Length));

        await output.WriteLineAsync(Line([.. heads.Select(head => head.TrimStart('>'))], widths));
        foreach (var row in _rows)
        {
            if (row.Note is null)
                await output.WriteLineAsync(Line(row.Cells, widths));
            else if (row.IsWhole)
                await output.WriteLineAsync($"    {row.Note}");
            else
                await WriteWrappedAsync(output, row.Note, "    ");
        }
    }

    /// <summary>A text in lines of at most a hundred columns, broken between words.</summary>
    public static async Task WriteWrappedAsync(TextWriter output, string text, string indent)
    {
        var line = new StringBuilder(indent);
        foreach (var word in text.Split(' '))
        {
            if (line.Length > indent.Length && line.Length + 1 + word.Length > Width)
            {
                await output.WriteLineAsync(line.ToString());
                line.Clear().Append(indent);
            }

            line.Append(line.Length > indent.Length ? " " : "").Append(word);
        }

        await output.WriteLineAsync(line.ToString());
    }

    private static bool IsUnprintable(char c) => char.IsControl(c) || char.GetUnicodeCategory(c) is
        UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate;

    private static string Shorten(string text, int width) =>
        text.Length <= width ? text : string.Concat(text.AsSpan(0, (width - 1) / 2), "…", text.AsSpan(text.Length - (width / 2)));

    private string Line(string[] cells, int[] widths) => string.Join(Gap, cells.Select((cell, column) => column switch
    {
        _ when heads[column].StartsWith('>') => cell.PadLeft(widths[column]),
        _ when column == widths.Length - 1 => Shorten(cell, widths[column]),
        _ => cell.PadRight(widths[column]),
    })).TrimEnd();

    private sealed record Row(string[] Cells, string? Note)
    {
        public bool IsWhole { get; init; }
    }
}
