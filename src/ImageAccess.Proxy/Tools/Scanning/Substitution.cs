using System.IO.Enumeration;
using System.Text;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>
/// Variables in a text: <c>$X</c>, <c>${X}</c>, <c>${X:-word}</c>, <c>${X-word}</c>, <c>${X:+word}</c>, <c>${X+word}</c>,
/// <c>${X:?word}</c>, <c>${X?word}</c>, nested. A variable without a value makes the whole text unknown, though
/// both kinds of files would put nothing there: nobody means a name with a gap.
/// </summary>
internal sealed class Substitution
{
    private const int MaximumDepth = 50;

    /// <summary>How long a text may become; no name of an image is nearly as long.</summary>
    private const int MaximumLength = 4096;

    private const int MaximumCut = 512;

    private readonly Func<string, Expansion?> _find;
    private readonly string _cure;
    private readonly char? _escape;
    private readonly Budget _budget;

    private Substitution(Func<string, Expansion?> find, string cure, char? escape, Budget budget)
    {
        _find = find;
        _cure = cure;
        _escape = escape;
        _budget = budget;
    }

    /// <summary>As in a Dockerfile: quotes are removed, an escape character protects, and <c># ## % %% / //</c> cut and replace.</summary>
    public static Substitution OfDockerfile(char escape, Func<string, Expansion?> find) =>
        new(find, "declare it before FROM with a default, or with a --build-arg", escape, new Budget());

    /// <summary>As in a Compose file: <c>$$</c> is a dollar.</summary>
    public static Substitution OfCompose(Func<string, Expansion?> find) =>
        new(find, "set it in the environment or .env, or write a default", escape: null, new Budget());

    /// <summary>For the same file, with other variables.</summary>
    public Substitution Over(Func<string, Expansion?> find) => new(find, _cure, _escape, _budget);

    public Expansion Expand(string text)
    {
        try
        {
            var rest = new Cursor(text);
            return Expansion.Of(ReadWord(rest, nested: false, wanted: true, 0));
        }
        catch (UnknownVariableException exception)
        {
            return Expansion.Unknown(exception.Message);
        }
    }

    private string ReadWord(Cursor text, bool nested, bool wanted, int depth)
    {
        if (depth > MaximumDepth)
            throw new UnknownVariableException($"variables are nested more than {MaximumDepth} deep");
        var result = new StringBuilder();
        var quoted = false;
        while (text.More && !(nested && !quoted && text.Current == '}'))
        {
            var c = text.Take();
            if (c == '$')
                result.Append(ReadDollar(text, wanted, depth));
            else if (_escape is null)
                result.Append(c);
            else if (c == _escape && text.More)
                result.Append(text.Take());
            else if (c == '"')
                quoted = !quoted;
            else if (c == '\'' && !quoted)
                result.Append(text.TakeUntil('\''));
            else
                result.Append(c);
            if (result.Length > MaximumLength)
                throw new UnknownVariableException($"it comes to more than {MaximumLength} characters");
        }

        return result.ToString();
    }

    private string ReadDollar(Cursor text, bool wanted, int depth)
    {
        if (_escape is null && text.TakeIf('$'))
            return "$";
        var braced = text.TakeIf('{');
        var name = text.TakeName();
        if (name.Length == 0)
            return !braced && _escape is not null ? "$" : throw new UnknownVariableException("a $ begins no variable; a dollar itself is written " + (_escape is null ? "$$" : $"{_escape}$"));

        if (!braced || text.TakeIf('}'))
            return wanted ? Value(name) : "";

        var result = ReadOperation(text, name, wanted, depth);
        return text.TakeIf('}') ? result : throw new UnknownVariableException($"${{{name} is not closed");
    }

    private string ReadOperation(Cursor text, string name, bool wanted, int depth)
    {
        var colon = text.TakeIf(':');
        if (!text.More)
            throw new UnknownVariableException($"${{{name} is not closed");
        var operation = text.Take();
        switch (operation)
        {
            case '-' or '+' or '?':
                var value = wanted ? Find(name) : null;
                var present = value is { Length: > 0 } || (!colon && value is not null);
                var word = ReadWord(text, nested: true, wanted && present == (operation == '+'), depth + 1);
                if (wanted && operation == '?' && !present)
                    throw new UnknownVariableException($"the variable {name} is required: {word}");
                return operation == '+' ? present ? word : "" : present ? value! : word;
            case '#' or '%' or '/' when !colon && _escape is not null:
                var twice = text.TakeIf(operation);
                var pattern = text.Peek(end: operation == '/' ? "/}" : "}");
                var replacement = operation == '/' && text.TakeIf('/') ? ReadWord(text, nested: true, wanted, depth + 1) : "";
                return wanted ? Cut(Value(name), operation, twice, pattern, replacement) : "";
            default:
                throw new UnknownVariableException($"${{{name} is followed by what is no operation");
        }
    }

    private string? Find(string name)
    {
        if (_find(name) is not { } value)
            return null;
        var text = value.Text ?? throw new UnknownVariableException(value.Trouble!);
        _budget.Left -= text.Length;
        return _budget.Left < 0 ? throw new UnknownVariableException("the file's variables come to too much text") : text;
    }

    private string Value(string name) => Find(name) ?? throw new UnknownVariableException($"the variable {name} has no value: {_cure}");

    /// <summary>Cuts and replaces as a shell does. A single symbol takes the shortest match, a double one the longest; a double slash replaces every match.</summary>
    private static string Cut(string value, char operation, bool twice, string pattern, string replacement)
    {
        if (value.Length > MaximumCut || pattern.Length > MaximumCut)
            throw new UnknownVariableException($"a text of more than {MaximumCut} characters is not cut");
        var lengths = Enumerable.Range(0, value.Length + 1);
        if (operation == '/')
            return Replace(value, twice, pattern, replacement);
        var cut = (twice ? lengths.Reverse() : lengths)
            .Where(length => FileSystemName.MatchesSimpleExpression(pattern, operation == '#' ? value[..length] : value[^length..], ignoreCase: false))
            .FirstOrDefault(0);
        return operation == '#' ? value[cut..] : value[..^cut];
    }

    private static string Replace(string value, bool every, string pattern, string replacement)
    {
        var result = new StringBuilder();
        for (var start = 0; start < value.Length;)
        {
            var length = value.Length - start;
            while (length > 0 && !FileSystemName.MatchesSimpleExpression(pattern, value.AsSpan(start, length), ignoreCase: false))
                length--;
            result.Append(length == 0 ? value[start].ToString() : replacement);
            start += Math.Max(length, 1);
            if (length > 0 && !every)
                return result.Append(value, start, value.Length - start).ToString();
        }

        return result.ToString();
    }

    /// <summary>How many characters the variables of one file may come to.</summary>
    private sealed class Budget
    {
        public int Left { get; set; } = 4 * 1024 * 1024;
    }

    private sealed class UnknownVariableException(string message) : Exception(message);

    private sealed class Cursor(string text)
    {
        private int _position;

        public bool More => _position < text.Length;

        public char Current => text[_position];

        public char Take() => text[_position++];

        public bool TakeIf(char c)
        {
            var matches = More && Current == c;
            if (matches)
                _position++;
            return matches;
        }

        public string TakeName()
        {
            var start = _position;
            while (More && (Current == '_' || char.IsAsciiLetter(Current) || (_position > start && char.IsAsciiDigit(Current))))
                _position++;
            return text[start.._position];
        }

        public string Peek(string end)
        {
            var start = _position;
            while (More && !end.Contains(Current, StringComparison.Ordinal))
                _position++;
            return text[start.._position];
        }

        public string TakeUntil(char end)
        {
            var found = text.IndexOf(end, _position);
            var taken = text[_position..(found < 0 ? text.Length : found)];
            _position = found < 0 ? text.Length : found + 1;
            return taken;
        }
    }
}
