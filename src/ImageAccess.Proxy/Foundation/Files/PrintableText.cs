namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Text that came from outside, or of any length, fit for a line of a log.</summary>
internal static class PrintableText
{
    public static string Of(string text)
    {
        if (text.Length > 400)
            text = string.Concat(text.AsSpan(0, 200), " … ", text.AsSpan(text.Length - 200));
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }

    /// <summary>The first names, and how many more there are: <c>alice, bob and 3 more</c>.</summary>
    public static string ListOf(IReadOnlyCollection<string> names, int most) =>
        string.Join(", ", names.Take(most)) + (names.Count > most ? $" and {names.Count - most} more" : "");
}
