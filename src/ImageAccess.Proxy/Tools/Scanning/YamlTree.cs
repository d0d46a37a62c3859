using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>A value of a YAML document, and the line where it begins.</summary>
internal abstract class YamlValue
{
    private protected YamlValue(int line, string tag)
    {
        Line = line;
        Tag = tag;
    }

    public int Line { get; }

    /// <summary>As <c>!reset</c>; mostly empty.</summary>
    public string Tag { get; }
}

internal sealed class YamlText(Scalar scalar, int line)
    : YamlValue(scalar.Style is ScalarStyle.Literal or ScalarStyle.Folded ? line + 1 : line, YamlTree.TagOf(scalar)) // below its | or >
{
    public string Text { get; } = scalar.Value;

    /// <summary>Each line of the text is a line of the file: what <c>|</c> begins.</summary>
    public bool KeepsLines { get; } = scalar.Style == ScalarStyle.Literal;

    public bool IsNull { get; } = scalar.Style == ScalarStyle.Plain && scalar.Value is "" or "~" or "null" or "Null" or "NULL";
}

internal sealed class YamlList(NodeEvent start, int line) : YamlValue(line, YamlTree.TagOf(start))
{
    public List<YamlValue> Items { get; } = [];
}

internal sealed class YamlMap(NodeEvent start, int line) : YamlValue(line, YamlTree.TagOf(start))
{
    private const int MaximumMerged = 100;

    /// <summary>In the order of the file, each <c>&lt;&lt;</c> included as it stands.</summary>
    public List<(YamlText Key, YamlValue Value)> Entries { get; } = [];

    public YamlValue? Find(string key) => Merged().FirstOrDefault(entry => entry.Key.Text == key).Value;

    /// <summary>The entries, then those of merged maps whose keys are new; each map is visited once.</summary>
    public IEnumerable<(YamlText Key, YamlValue Value)> Merged()
    {
        var seen = new HashSet<YamlMap>();
        var keys = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<YamlValue>([this]);
        while (open.TryPop(out var value))
        {
            if (value is YamlList list)
            {
                foreach (var item in Enumerable.Reverse(list.Items).OfType<YamlMap>())
                    open.Push(item);
            }

            if (value is not YamlMap map || !seen.Add(map))
                continue;
            if (seen.Count > MaximumMerged)
                throw new UnreadableFileException($"merges more than {MaximumMerged} maps into one", Line);
            foreach (var entry in map.Entries.Where(entry => entry.Key.Text != "<<" && keys.Add(entry.Key.Text)))
                yield return entry;
            foreach (var (_, merged) in Enumerable.Reverse(map.Entries).Where(entry => entry.Key.Text == "<<"))
                open.Push(merged);
        }
    }
}

/// <summary>
/// The documents of a YAML file. An alias is the very value that its anchor names, not a copy: a small file cannot
/// grow into a large tree.
/// </summary>
internal sealed class YamlTree
{
    private const int MaximumDepth = 200;
    private const int MaximumValues = 1_000_000;

    private readonly Parser _parser;
    private readonly Dictionary<AnchorName, YamlValue> _anchors = [];
    private int _values;

    private YamlTree(string text) => _parser = new Parser(new StringReader(text));

    /// <summary>The documents before the first mistake, and the mistake.</summary>
    public static (IReadOnlyList<YamlValue> Documents, UnreadableFileException? Mistake) Read(string text)
    {
        var documents = new List<YamlValue>();
        try
        {
            var tree = new YamlTree(text);
            while (tree._parser.MoveNext())
            {
                if (tree._parser.Current is not DocumentStart)
                    continue;
                tree._anchors.Clear();
                documents.Add(tree.ReadValue(tree.Next(), 0));
            }

            return (documents, null);
        }
        catch (YamlException exception)
        {
            return (documents, new UnreadableFileException($"is not valid YAML: {exception.Message}", LineOf(exception, text)));
        }
        catch (UnreadableFileException exception)
        {
            return (documents, exception);
        }
    }

    internal static string TagOf(NodeEvent start) => start.Tag.IsEmpty ? "" : start.Tag.Value;

    private static int LineOf(Mark mark) => (int)Math.Clamp(mark.Line, 1, int.MaxValue);

    /// <summary>For a tab in the indentation the parser names the line before it. A tab is hard to see, so this names its own line.</summary>
    private static int LineOf(YamlException exception, string text)
    {
        var line = LineOf(exception.Start);
        if (!exception.Message.Contains("tab", StringComparison.Ordinal))
            return line;
        var tab = Array.FindIndex(text.Split('\n'), line - 1, candidate => candidate.AsSpan().TrimStart(' ').StartsWith("\t"));
        return tab < 0 ? line : tab + 1;
    }

    private ParsingEvent Next() => _parser.MoveNext() ? _parser.Current! : throw new UnreadableFileException("is not valid YAML: it ends too early");

    private YamlValue ReadValue(ParsingEvent current, int depth)
    {
        var line = LineOf(current.Start);
        if (depth > MaximumDepth)
            throw new UnreadableFileException($"is nested more than {MaximumDepth} deep", line);
        if (++_values > MaximumValues)
            throw new UnreadableFileException(string.Create(CultureInfo.InvariantCulture, $"holds more than {MaximumValues:N0} values"), line);

        switch (current)
        {
            case Scalar scalar:
                return Anchor(scalar, new YamlText(scalar, line));
            case AnchorAlias alias:
                return _anchors.TryGetValue(alias.Value, out var value) ? value : throw new UnreadableFileException($"is not valid YAML: no anchor before this alias is named {alias.Value}", line);
            case SequenceStart start:
                var list = Anchor(start, new YamlList(start, line));
                for (var next = Next(); next is not SequenceEnd; next = Next())
                    list.Items.Add(ReadValue(next, depth + 1));
                return list;
            case MappingStart start:
                var map = Anchor(start, new YamlMap(start, line));
                for (var next = Next(); next is not MappingEnd; next = Next())
                {
                    var key = ReadValue(next, depth + 1);
                    var entry = ReadValue(Next(), depth + 1);
                    if (key is YamlText text)
                        map.Entries.Add((text, entry));
                }

                return map;
            default:
                throw new UnreadableFileException("is not valid YAML", line);
        }
    }

    private T Anchor<T>(NodeEvent start, T value)
        where T : YamlValue
    {
        if (!start.Anchor.IsEmpty)
            _anchors[start.Anchor] = value;
        return value;
    }
}
