using System.Text;
using System.Text.Json;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>One instruction, its continuation lines joined, which still knows on which line each of its characters stood.</summary>
internal sealed class DockerfileInstruction(string text, IReadOnlyList<(int Offset, int Line)> segments)
{
    public string Text { get; } = text;

    /// <summary>In capitals, as <c>FROM</c>.</summary>
    public string Keyword { get; } = text[..EndOfWord(text, 0)].ToUpperInvariant();

    public int LineOf(int offset)
    {
        var (low, high) = (0, segments.Count - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            (low, high) = segments[middle].Offset <= offset ? (middle, high) : (low, middle - 1);
        }

        return segments[low].Line;
    }

    /// <summary>What follows the keyword, as an instruction of its own: <c>ONBUILD RUN …</c>.</summary>
    public DockerfileInstruction WithoutKeyword()
    {
        var start = SkipSpace(Text, EndOfWord(Text, 0));
        var first = (Offset: 0, Line: LineOf(start));
        return new DockerfileInstruction(Text[start..], [first, .. segments.Where(segment => segment.Offset > start).Select(segment => (segment.Offset - start, segment.Line))]);
    }

    /// <summary>The words after the keyword, split at blanks.</summary>
    public IEnumerable<DockerfileWord> Words()
    {
        for (var start = SkipSpace(Text, EndOfWord(Text, 0)); start < Text.Length;)
        {
            var end = EndOfWord(Text, start);
            yield return new DockerfileWord(Text[start..end], start);
            start = SkipSpace(Text, end);
        }
    }

    /// <summary>The <c>--name=value</c> before the arguments, without their quotes, and where the arguments begin.</summary>
    public (IReadOnlyList<DockerfileWord> Flags, int Arguments) Flags()
    {
        var flags = new List<DockerfileWord>();
        var position = SkipSpace(Text, EndOfWord(Text, 0));
        while (string.CompareOrdinal(Text, position, "--", 0, 2) == 0)
        {
            var start = position;
            var flag = new StringBuilder();
            var quote = '\0';
            for (; position < Text.Length && (quote != '\0' || !char.IsWhiteSpace(Text[position])); position++)
            {
                var c = Text[position];
                if (c == quote)
                    quote = '\0';
                else if (quote == '\0' && c is '"' or '\'')
                    quote = c;
                else if (c == '\\' && position + 1 < Text.Length)
                    flag.Append(Text[++position]);
                else
                    flag.Append(c);
            }

            flags.Add(new DockerfileWord(flag.ToString(), start));
            position = SkipSpace(Text, position);
        }

        return (flags, position);
    }

    /// <summary>Splits into words as a shell does: blanks in quotes and after the escape character do not split. Quotes and escapes stay.</summary>
    public static IEnumerable<string> ShellWords(string text, char escape)
    {
        var word = new StringBuilder();
        var quote = '\0';
        for (var index = 0; index < text.Length; index++)
        {
            var c = text[index];
            if (quote == '\0' && char.IsWhiteSpace(c))
            {
                yield return word.ToString();
                word.Clear();
                continue;
            }

            word.Append(c);
            if (c == escape && quote != '\'' && index + 1 < text.Length)
                word.Append(text[++index]);
            else if (c == quote)
                quote = '\0';
            else if (quote == '\0' && c is '"' or '\'')
                quote = c;
        }

        yield return word.ToString();
    }

    private static int EndOfWord(string text, int start)
    {
        while (start < text.Length && !char.IsWhiteSpace(text[start]))
            start++;
        return start;
    }

    private static int SkipSpace(string text, int start)
    {
        while (start < text.Length && char.IsWhiteSpace(text[start]))
            start++;
        return start;
    }
}

internal readonly record struct DockerfileWord(string Text, int Offset);

/// <summary>
/// A Dockerfile cut into instructions as BuildKit's parser cuts it: directives, comments (between continued lines as well),
/// continuations, heredocs, whose lines are no instructions.
/// </summary>
internal sealed class DockerfileLines
{
    private readonly string[] _lines;
    private int _next;

    private DockerfileLines(string text) => _lines = text.Split('\n');

    public char Escape { get; private set; } = '\\';

    /// <summary><c># syntax=IMAGE</c>: the frontend that the build pulls first.</summary>
    public (string Image, int Line)? Syntax { get; private set; }

    public static DockerfileLines Of(string text)
    {
        var lines = new DockerfileLines(text);
        lines.ReadDirectives();
        return lines;
    }

    public IEnumerable<DockerfileInstruction> Instructions()
    {
        while (_next < _lines.Length)
        {
            if (ReadInstruction() is not { } instruction)
                continue;
            yield return instruction;
            SkipHeredocs(instruction);
        }
    }

    /// <summary>Directives stand before everything else, comments included.</summary>
    private void ReadDirectives()
    {
        var first = _lines[0].StartsWith("#!", StringComparison.Ordinal) ? 1 : 0;
        for (var index = first; index < _lines.Length; index++)
        {
            var line = _lines[index].AsSpan().Trim();
            var equals = line.IndexOf('=');
            if (equals < 0 || line[0] != '#')
                return;
            var name = line[1..equals].Trim();
            var value = line[(equals + 1)..].Trim();
            if (!IsDirectiveName(name))
                return;
            if (name.Equals("syntax", StringComparison.OrdinalIgnoreCase))
                Syntax = (value.ToString().Split(' ')[0], index + 1);
            else if (name.Equals("escape", StringComparison.OrdinalIgnoreCase) && value is "`" or "\\")
                Escape = value[0];
        }
    }

    private static bool IsDirectiveName(ReadOnlySpan<char> name)
    {
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c))
                return false;
        }

        return name.Length > 0 && char.IsAsciiLetter(name[0]);
    }

    private DockerfileInstruction? ReadInstruction()
    {
        var text = new StringBuilder();
        var segments = new List<(int, int)>();
        for (var first = true; _next < _lines.Length; first = false)
        {
            var line = _lines[_next++].AsSpan().TrimEnd('\r');
            var trimmed = line.TrimStart();
            if (trimmed.StartsWith("#") || (trimmed.IsEmpty && !first))
            {
                if (first)
                    return null;
                continue;
            }

            var continues = Continues(ref trimmed, ref line);
            segments.Add((text.Length, _next));
            text.Append(first ? trimmed : line);
            if (!continues)
                break;
        }

        return string.IsNullOrWhiteSpace(text.ToString()) ? null : new DockerfileInstruction(text.ToString(), segments);
    }

    /// <summary>Takes the escape character off a line's end; one that is escaped itself does not continue the line.</summary>
    private bool Continues(ref ReadOnlySpan<char> trimmed, ref ReadOnlySpan<char> line)
    {
        var end = line.TrimEnd(" \t");
        if (end.IsEmpty || end[^1] != Escape || (end.Length > 1 && end[^2] == Escape))
            return false;
        line = end[..^1];
        trimmed = line.TrimStart();
        return true;
    }

    private void SkipHeredocs(DockerfileInstruction instruction)
    {
        var inner = instruction.Keyword == "ONBUILD" ? instruction.WithoutKeyword() : instruction;
        if (inner.Keyword is not ("RUN" or "COPY" or "ADD") || !inner.Text.Contains("<<", StringComparison.Ordinal) || IsJson(inner))
            return;
        foreach (var (name, chomp) in Heredocs(inner.Text))
        {
            var start = _next;
            while (!EndsHeredoc(_next < _lines.Length ? _lines[_next] : throw new UnreadableFileException($"the heredoc {name} is not closed", start), name, chomp))
                _next++;
            _next++;
        }
    }

    private static bool EndsHeredoc(string line, string name, bool chomp)
    {
        var end = line.AsSpan().TrimEnd('\r');
        return (chomp ? end.TrimStart('\t') : end).SequenceEqual(name);
    }

    private static bool IsJson(DockerfileInstruction instruction)
    {
        var arguments = instruction.Text[instruction.Flags().Arguments..];
        if (!arguments.StartsWith('['))
            return false;
        try
        {
            using var json = JsonDocument.Parse(arguments);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The words <c>&lt;&lt;NAME</c>, <c>&lt;&lt;-NAME</c>, <c>3&lt;&lt;"NAME"</c>, outside quotes.</summary>
    private IEnumerable<(string Name, bool Chomp)> Heredocs(string text)
    {
        foreach (var word in DockerfileInstruction.ShellWords(text, Escape))
        {
            var rest = word.AsSpan().TrimStart("0123456789");
            if (!rest.StartsWith("<<") || rest[2..].Contains('<'))
                continue;
            var chomp = rest[2..].StartsWith("-");
            var name = rest[(chomp ? 3 : 2)..].ToString().Replace("\"", "", StringComparison.Ordinal).Replace("'", "", StringComparison.Ordinal);
            if (name.Length > 0)
                yield return (name, chomp);
        }
    }
}
