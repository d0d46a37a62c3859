using System.Text;
using System.Text.Json;

namespace ImageAccess.Core.Policies;

/// <summary>Says where a document that people write stops being JSON, and what was expected there.</summary>
public static class JsonMistake
{
    /// <summary>The parser's words for what is wrong, and ours.</summary>
    private static readonly (string Part, string Meaning)[] Meanings =
    [
        ("does not contain any JSON tokens", "the document is empty; an object { … } is expected"),
        ("end of comment", "a comment that begins with /* is expected to end with */"),
        ("end of string", "the document ends here; a closing \" is expected"),
        ("reached end of data", "the document ends here; a value is expected, then a closing } or ]"),
        ("open JSON object or array that should be closed", "the document ends here; a closing } or ] is expected"),
        ("after a single JSON value", "the document is complete before this; nothing more is expected"),
        ("invalid start of a property name", "a name in double quotes is expected"),
        ("invalid after a property name", "a colon is expected between a name and its value"),
        ("invalid after a value", "a comma is expected, or a closing } or ]"),
        ("invalid start of a value", "a value is expected: a text in double quotes, true, false, a list [ … ] or an object { … }"),
        ("invalid within a JSON string", "a text ends on its own line; a closing \" is expected before this"),
        ("is an invalid JSON literal", "a value is expected: a text in double quotes, true, false, a list [ … ] or an object { … }"),
        ("invalid escapable character", "after \\ one of \" \\ / b f n r t u is expected"),
        ("hex digit following '\\u'", "after \\u four hexadecimal digits are expected"),
        ("maximum configured depth", "this is nested too deep; nothing here needs so many brackets"),
        ("invalid end of a number", "a number is expected to be digits alone"),
        ("Invalid leading zero", "a number is expected to have no leading zeros"),
        ("without a matching open", "another bracket is open here; its own closing } or ] is expected"),
        ("invalid within a number", "a number is expected to be digits alone"),
        ("trailing comma", "another entry is expected after a comma"),
    ];

    /// <param name="utf8">The document.</param>
    /// <param name="exception">What the parser said of it.</param>
    public static string Describe(ReadOnlySpan<byte> utf8, JsonException exception)
    {
        var line = exception.LineNumber ?? 0;
        var column = ColumnOf(utf8, line, exception.BytePositionInLine ?? 0);
        var meaning = Array.Find(Meanings, meaning => exception.Message.Contains(meaning.Part, StringComparison.Ordinal)).Meaning;
        return $"line {line + 1}, column {column + 1}: not valid JSON{(meaning is null ? "" : $": {meaning}")}";
    }

    /// <summary>The parser counts bytes; an editor counts characters.</summary>
    private static long ColumnOf(ReadOnlySpan<byte> utf8, long line, long bytes)
    {
        for (; line > 0 && utf8.IndexOf((byte)'\n') is >= 0 and var end; line--)
            utf8 = utf8[(end + 1)..];
        return Encoding.UTF8.GetCharCount(utf8[..(int)Math.Min(bytes, utf8.Length)]);
    }
}
