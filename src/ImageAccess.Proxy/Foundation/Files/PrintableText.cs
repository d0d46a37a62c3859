namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Text that came from outside, fit for a line of a log.</summary>
internal static class PrintableText
{
    public static string Of(string text)
    {
        if (text.Length > 400)
            text = string.Concat(text.AsSpan(0, 200), " … ", text.AsSpan(text.Length - 200));
        return text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)) : text;
    }
}
