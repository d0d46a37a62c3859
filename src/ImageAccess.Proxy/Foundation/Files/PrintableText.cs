using System.Globalization;
using System.Text;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Text that came from outside, or of any length, fit for a line of a log.</summary>
internal static class PrintableText
{
    public static string Of(string text)
    {
        if (text.Length > 400)
            text = string.Concat(text.AsSpan(0, 200), " … ", text.AsSpan(text.Length - 200));
        return text.EnumerateRunes().Any(IsUnseen)
            ? string.Concat(text.EnumerateRunes().Select(rune => IsUnseen(rune) && rune != Rune.ReplacementChar ? "?" : rune.ToString()))
            : text;
    }

    /// <summary>The beginning of a text, which has whole characters.</summary>
    public static string Cut(string text, int maximumLength) =>
        text.Length <= maximumLength ? text : text[..(char.IsHighSurrogate(text[maximumLength - 1]) ? maximumLength - 1 : maximumLength)];

    /// <summary>The first names, and how many more there are: <c>alice, bob and 3 more</c>.</summary>
    public static string ListOf(IReadOnlyCollection<string> names, int most) =>
        string.Join(", ", names.Take(most)) + (names.Count > most ? $" and {names.Count - most} more" : "");

    /// <summary>What is wrong with a text that a person writes to be kept, to follow its name in a sentence; null when nothing is.</summary>
    public static string? FaultOf(string text, int maximumLength) =>
        text.Length == 0 || text.Length > maximumLength ? string.Create(CultureInfo.InvariantCulture, $"must have 1 to {maximumLength} characters")
        : text.EnumerateRunes().Any(IsUnseen) ? "has characters that cannot be seen, as line ends or marks of direction"
        : null;

    /// <summary>The text with a question mark for each character that cannot be seen.</summary>
    public static string Seen(string text) =>
        text.EnumerateRunes().Any(IsUnseen) ? string.Concat(text.EnumerateRunes().Select(rune => IsUnseen(rune) ? "?" : rune.ToString())) : text;

    /// <summary>Controls, line ends, marks of direction, and halves of surrogate pairs, which are read as a replacement.</summary>
    private static bool IsUnseen(Rune rune) =>
        rune == Rune.ReplacementChar || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
